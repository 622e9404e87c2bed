//! `lubdub probe` against backends that speak TLS, and some that try.

use std::net::TcpListener;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls_pki_types::PrivateKeyDer;

use super::backend::{self, Manner};
use super::{Lubdub, Outcome};

/// A backend with a certificate that signs itself.
struct Backend {
    url: String,
    /// As PEM.
    certificate: String,
}

impl Backend {
    fn start(params: &CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        let made = params.self_signed(&key).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has them")
            .with_no_client_auth()
            .with_single_cert(vec![made.der().clone()], key)
            .expect("they fit");
        let port = backend::start_tls(Manner::Right, Arc::new(config)).port();
        Self {
            url: format!("wss://localhost:{port}/"),
            certificate: made.pem(),
        }
    }

    /// A probe that trusts `ca`.
    fn probe(&self, test: &str, ca: &str) -> Outcome {
        let args = ["probe", &self.url, "--interval", "10ms", "--ca", "ca.pem"];
        Lubdub::new(test).file("ca.pem", ca).run(&args)
    }
}

/// What makes a certificate for `host`, issued in its own name.
fn of(host: &str) -> CertificateParams {
    let mut params = CertificateParams::new([host.to_owned()]).expect("a name");
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, host);
    params
}

#[test]
fn a_certificate_is_checked_against_the_authority_that_is_named() {
    let backend = Backend::start(&of("localhost"));
    let outcome = backend.probe("probe_tls", &backend.certificate);
    assert_eq!(
        (outcome.code, &*outcome.stderr),
        (Some(0), ""),
        "{}",
        outcome.stdout
    );

    let same_name = Backend::start(&of("localhost")).certificate;
    backend
        .probe("probe_tls_same_name", &same_name)
        .expect_no_probe(&format!(
            "lubdub: {}: no TLS: its certificate is not signed by the authority that is trusted, but by \
             another of the same name (bad signature): name its CA in --ca (upstream.NAME.ca)\n",
            backend.url
        ));
    let other = Backend::start(&of("other.example")).certificate;
    backend
        .probe("probe_tls_other", &other)
        .expect_no_probe(&format!(
            "lubdub: {}: no TLS: its certificate has an unknown issuer: none that is in --ca \
             (upstream.NAME.ca)",
            backend.url
        ));
    let args = ["probe", &backend.url, "--ca", "none.pem"];
    Lubdub::new("probe_tls_none")
        .run(&args)
        .expect_no_probe("lubdub: --ca none.pem: cannot be read");
}

#[test]
fn what_is_wrong_with_a_certificate_is_told_in_plain_words() {
    let mut expired = of("localhost");
    expired.not_after = date_time_ymd(2020, 1, 1);
    let mut early = of("localhost");
    early.not_before = date_time_ymd(4000, 1, 1);
    let mut nameless = of("localhost");
    nameless.subject_alt_names.clear();
    for (test, params, words) in [
        ("expired", expired, "expired on 2020-01-01T00:00:00Z\n"),
        (
            "early",
            early,
            "is not valid before 4000-01-01T00:00:00Z; is the clock of this machine right?\n",
        ),
        (
            "name",
            of("other.example"),
            "is for other names (other.example), not for localhost; upstream.NAME.server_name says ",
        ),
        (
            "nameless",
            nameless,
            "is not for localhost: it has no name in its subjectAltName ",
        ),
    ] {
        let backend = Backend::start(&params);
        backend
            .probe(&format!("probe_certificate_{test}"), &backend.certificate)
            .expect_no_probe(&format!(
                "lubdub: {}: no TLS: its certificate {words}",
                backend.url
            ));
    }
}

/// webpki refuses both for what they say of themselves.
#[test]
fn a_certificate_that_is_not_for_servers_is_good_if_it_is_named_itself() {
    let mut authority = of("localhost");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut of_clients = of("localhost");
    of_clients.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    for (test, params, words) in [
        (
            "authority",
            authority,
            "is that of an authority (basicConstraints CA:TRUE, ",
        ),
        (
            "purpose",
            of_clients,
            "is not for servers (extendedKeyUsage has no serverAuth)",
        ),
    ] {
        let backend = Backend::start(&params);
        let test = format!("probe_certificate_{test}");
        let named = backend.probe(&test, &backend.certificate);
        assert_eq!(named.code, Some(0), "{test}: {}", named.stderr);
        let other = Backend::start(&of("other.example")).certificate;
        let not_named = backend.probe(&test, &other);
        not_named.expect_no_probe(&format!("no TLS: its certificate {words}"));
    }
}

/// A probe of an upstream sees what lubdub will see.
#[test]
fn an_upstream_is_probed_as_it_is_configured() {
    let backend = Backend::start(&of("chat.internal"));
    let url = &backend.url;
    let file = |more: &str| {
        format!(
            "upstream.chat = {{ url = \"{}\"{more} }}\n",
            url.trim_end_matches('/')
        )
    };
    let probe = |test: &str, file: &str, name: &str| {
        let args = [
            "probe",
            name,
            "--interval",
            "10ms",
            "--config",
            "lubdub.toml",
        ];
        Lubdub::new(&format!("probe_upstream_{test}"))
            .file("lubdub.toml", file)
            .file("ca.pem", &backend.certificate)
            .run(&args)
    };
    let trusting = ", ca = \"ca.pem\"";
    let right = file(&format!("{trusting}, server_name = \"chat.internal\""));
    for name in ["chat", "Chat/room?x=1"] {
        let outcome = probe("right", &right, name);
        assert_eq!(outcome.code, Some(0), "{name}: {}", outcome.stderr);
    }
    let blind = file(", insecure_skip_verify = true");
    assert_eq!(probe("blind", &blind, "chat").code, Some(0));
    probe("name", &file(trusting), "chat").expect_no_probe(
        "is for other names (chat.internal), not for localhost; upstream.chat.server_name says",
    );
    let mistakes = [
        (
            right.as_str(),
            "talk",
            "upstream.talk: there is no such upstream, but chat",
        ),
        (
            &file(", ca = \"none.pem\""),
            "chat",
            "upstream.chat.ca = \"none.pem\" (lubdub.toml): is not there",
        ),
        (
            "",
            "chat",
            "upstream.chat: no upstream is configured; is the file named (--config)?",
        ),
    ];
    for (file, name, words) in mistakes {
        let told = probe("mistakes", file, name).expect_mistakes();
        assert!(
            told.iter().any(|told| told.contains(words)),
            "{words}: {told:?}"
        );
    }
}

#[test]
fn a_backend_without_tls_is_told_from_one_with_a_wrong_certificate() {
    let ca = Backend::start(&of("localhost")).certificate;
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
    for (test, address, timeout, words) in [
        (
            "mute",
            mute.local_addr().expect("an address"),
            "50ms",
            "nothing within 50ms\n",
        ),
        (
            "plain",
            backend::start(Manner::Right),
            "1m",
            "it speaks no TLS there; is it ws:// (or http://) in place of wss://?\n",
        ),
    ] {
        let url = format!("wss://{address}/");
        let args = ["probe", &url, "--timeout", timeout, "--ca", "ca.pem"];
        Lubdub::new(&format!("probe_tls_{test}"))
            .file("ca.pem", &ca)
            .run(&args)
            .expect_no_probe(&format!("lubdub: {url}: no TLS: {words}"));
    }
}
