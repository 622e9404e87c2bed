//! Certificates and keys from PEM files.

use std::io;
use std::path::Path;

use rustls::CertificateError;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::error::Wrong;
use super::reading;

/// All certificates in a file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    certificates_in(&read(path)?)
}

/// All certificates in the text of a file, at least one.
pub(super) fn certificates_in(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let certificates = CertificateDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| describe(&error, "certificate"))?;
    if certificates.is_empty() {
        return Err(describe(&pem::Error::NoItemsFound, "certificate"));
    }
    Ok(certificates)
}

/// The first private key in a file.
pub(super) fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Wrong> {
    private_key_in(&read(path)?)
}

/// The first private key in the text of a file.
pub(super) fn private_key_in(text: &[u8]) -> Result<PrivateKeyDer<'static>, Wrong> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| {
        if is_encrypted(text) {
            return Wrong::new(
                "names a key that is encrypted, and lubdub has nobody to ask for the passphrase; \
                 \"openssl pkey -in KEY -out PLAIN\" decrypts it",
            );
        }
        describe(&error, "private key")
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Wrong> {
    reading::read(path, reading::MOST).map_err(|error| unreadable(&error))
}

/// Why a file is not read.
pub(super) fn unreadable(error: &io::Error) -> Wrong {
    Wrong(format!("cannot be read: {error}"))
}

/// Why a certificate cannot be used.
pub(crate) fn unusable(error: &CertificateError) -> Wrong {
    // The type of the verifier's own error is not ours to name.
    if format!("{error:?}").contains("UnsupportedCertVersion") {
        return Wrong::new(
            "is an X.509 certificate of version 1, which cannot say for which hosts it is; make one \
             of version 3, with \"-addext subjectAltName=DNS:chat.example.com\" of openssl req",
        );
    }
    let error = rustls::Error::InvalidCertificate(error.clone());
    Wrong(format!("cannot be used: {error}"))
}

/// Whether there is an encrypted key in `text`: by PKCS#8 (RFC 5958), or in the manner of old
/// (RFC 1421 4.6.1.1).
fn is_encrypted(text: &[u8]) -> bool {
    let holds = |mark: &[u8]| text.windows(mark.len()).any(|window| window == mark);
    holds(b"-----BEGIN ENCRYPTED PRIVATE KEY-----") || holds(b"Proc-Type: 4,ENCRYPTED")
}

pub(super) fn describe(error: &pem::Error, what: &str) -> Wrong {
    // The enum is open: whatever else may come is about the file's syntax.
    #[allow(clippy::wildcard_enum_match_arm)]
    match error {
        pem::Error::Io(error) => unreadable(error),
        pem::Error::NoItemsFound => Wrong(format!("names a file without a {what} as PEM")),
        error => Wrong(format!("names a file that is not PEM: {error}")),
    }
}
