//! TLS for the bench: who trusts whom, and certificates for a side-by-side run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// The files of a certificate that was made for a run.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    /// The certificate, which is its own authority.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Both in one file, as HAProxy wants them.
    pub both: PathBuf,
}

// === impl Certificate ===

impl Certificate {
    /// Makes a certificate for 127.0.0.1: ECDSA on P-256, as most of the web has.
    pub(crate) fn make(directory: &Path) -> anyhow::Result<Self> {
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let made = rcgen::generate_simple_self_signed(names)?;
        let files = Self {
            cert: directory.join("cert.pem"),
            key: directory.join("key.pem"),
            both: directory.join("both.pem"),
        };
        let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        fs::write(&files.cert, &cert)?;
        fs::write(&files.key, &key)?;
        fs::write(&files.both, cert + &key)?;
        Ok(files)
    }
}

/// For clients that trust the certificates of a file, and no others.
pub(crate) fn client(ca: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate)?;
    }
    let mut config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Every handshake in full: a resumed one would measure another thing, depending on who resumes.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(Arc::new(config))
}

/// For a server with this certificate.
pub(crate) fn server(cert: &Path, key: &Path) -> anyhow::Result<Arc<ServerConfig>> {
    let key = PrivateKeyDer::from_pem_file(key)
        .with_context(|| format!("cannot read the key {}", key.display()))?;
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(certificates(cert)?, key)?;
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(path)?.collect::<Result<Vec<_>, _>>();
    let certificates =
        read().with_context(|| format!("cannot read the certificates of {}", path.display()))?;
    anyhow::ensure!(
        !certificates.is_empty(),
        "there is no certificate in {}",
        path.display()
    );
    Ok(certificates)
}
