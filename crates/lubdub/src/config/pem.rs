//! Certificates and keys from PEM files.

use std::path::Path;

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::error::Wrong;

/// All certificates in a file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| describe(&error, "certificate"))?;
    if certificates.is_empty() {
        return Err(describe(&pem::Error::NoItemsFound, "certificate"));
    }
    Ok(certificates)
}

/// The first private key in a file.
pub(crate) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Wrong> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| describe(&error, "private key"))
}

fn describe(error: &pem::Error, what: &str) -> Wrong {
    // The enum is open: whatever else may come is about the file's syntax.
    #[allow(clippy::wildcard_enum_match_arm)]
    match error {
        pem::Error::Io(error) => Wrong(format!("cannot be read: {error}")),
        pem::Error::NoItemsFound => Wrong(format!("names a file without a {what} as PEM")),
        error => Wrong(format!("names a file that is not PEM: {error}")),
    }
}
