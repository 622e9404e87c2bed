//! TLS for the bench: who trusts whom, and certificates for a side-by-side run.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::crypto::aws_lc_rs::kx_group::X25519;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::version::TLS13;
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

/// For clients that trust the certificates of a file, and no others. They offer one version, one
/// suite and one group, which everybody has: left to themselves some proxies would choose a larger
/// key or a key exchange against quantum computers, and pay for what others do not do.
pub(crate) fn client(ca: &Path) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate)?;
    }
    let provider = CryptoProvider {
        cipher_suites: vec![TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![X25519],
        ..aws_lc_rs::default_provider()
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
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

#[cfg(test)]
mod tests {
    use rustls::{ClientConnection, HandshakeKind, NamedGroup, ServerConnection};

    use super::*;

    /// lubdub once spent an ML-KEM exchange on every session, of which its peers knew nothing.
    #[test]
    fn everybody_does_the_same_cryptography() {
        let name = format!("lubdub-bench-tls-{}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        let files = Certificate::make(&directory).unwrap();
        let name = "localhost".try_into().unwrap();
        let mut client = ClientConnection::new(client(&files.cert).unwrap(), name).unwrap();
        let mut server = ServerConnection::new(server(&files.cert, &files.key).unwrap()).unwrap();
        fs::remove_dir_all(&directory).unwrap();

        while client.is_handshaking() || server.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut wire.as_slice()).unwrap();
            server.process_new_packets().unwrap();
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut wire.as_slice()).unwrap();
            client.process_new_packets().unwrap();
        }
        let group = server.negotiated_key_exchange_group().unwrap();
        assert_eq!(group.name(), NamedGroup::X25519);
        assert_eq!(server.handshake_kind(), Some(HandshakeKind::Full));
    }
}
