//! A certificate and its key, each from a file of its own.

use std::path::PathBuf;

use lubdub_proxy::tls::Certificate;

use super::super::certificate::{CertificateFiles, Digest, Fault, Part};
use super::super::error::Mistakes;
use super::super::leaf::Leaf;
use super::super::pem;
use super::{load, set};

/// The two keys that name the files, in one table.
pub(super) struct Named<'a> {
    /// The key of the table.
    pub(super) table: &'a str,
    /// What it calls the file of the certificate and its chain.
    pub(super) cert_name: &'static str,
    pub(super) cert: &'a Option<Leaf>,
    pub(super) key: &'a Option<Leaf>,
}

/// The certificate that is in the files, where they are, and what was in them. `None` if something is
/// wrong, which is then noted.
pub(super) fn certificate(
    named: &Named<'_>,
    mistakes: &mut Mistakes,
) -> Option<(Certificate, CertificateFiles, Digest)> {
    let Named {
        table, cert_name, ..
    } = named;
    let cert = path(named.cert, &format!("{table}.{cert_name}"), mistakes);
    let private = path(named.key, &format!("{table}.key"), mistakes);
    let (Some((cert, cert_path)), Some((private, key_path))) = (&cert, &private) else {
        // The one that is there may be wrong as well.
        if let Some((leaf, _)) = cert {
            load(leaf, pem::certificates, mistakes);
        }
        if let Some((leaf, _)) = private {
            load(leaf, pem::private_key, mistakes);
        }
        return None;
    };
    let files = CertificateFiles {
        table: (*table).to_owned(),
        cert_name,
        cert: cert_path.clone(),
        key: key_path.clone(),
    };
    let contents = files.read();
    let seen = contents.digest();
    let read = contents.certificate().map_err(|faults| {
        for Fault { part, wrong } in faults {
            let leaf = match part {
                Part::Cert => cert,
                Part::Key => private,
            };
            mistakes.wrong(leaf, wrong.0);
        }
    });
    read.ok().map(|certificate| (certificate, files, seen))
}

/// A file that must be named, with what names it.
fn path<'a>(
    leaf: &'a Option<Leaf>,
    key: &str,
    mistakes: &mut Mistakes,
) -> Option<(&'a Leaf, PathBuf)> {
    let leaf = set(leaf, key, mistakes)?;
    load(leaf, |path| Ok(path.to_owned()), mistakes).map(|path| (leaf, path))
}
