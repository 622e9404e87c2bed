//! Files by which clients are known: who vouches for them, and whom nobody trusts any more.

use super::certificates::{TLS, certificate};
use super::program::Lubdub;

/// lubdub whose listener asks clients for certificates that this authority vouches for.
fn with_clients(test: &str, more: &str) -> Lubdub {
    let (cert, key) = certificate();
    let clients = format!("[listen.public.tls]\nclient_ca = \"cert.pem\"\n{more}\n");
    let config = TLS.replace(
        "[listen.public.tls.cert",
        &format!("{clients}[listen.public.tls.cert"),
    );
    Lubdub::new(test)
        .file("lubdub.toml", &config)
        .file("cert.pem", &cert)
        .file("key.pem", &key)
}

#[test]
fn what_is_wrong_with_the_files_of_clients_is_named() {
    let required = "client_auth = \"required\"\nclient_crl = \"crl.pem\"";
    for (n, (list, wrong)) in [
        (
            "nothing",
            "names a file without a certificate revocation list (X509 CRL) as PEM",
        ),
        (
            "-----BEGIN X509 CRL-----\nMIHs\n-----END X509 CRL-----\n",
            "cannot be used: list 1 of it cannot be used: it is no certificate revocation list",
        ),
        (
            "-----BEGIN X509 CRL-----\n*\n-----END X509 CRL-----\n",
            "names a file that is not PEM",
        ),
        (
            "0\u{82}",
            "is DER; \"openssl crl -inform DER -in LIST -out LIST.pem\" makes PEM of it",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mistakes = with_clients(&format!("tls_crl_{n}"), required)
            .file("crl.pem", list)
            .run(&["check", "--config", "lubdub.toml"])
            .expect_mistakes();
        let [mistake] = &mistakes[..] else {
            panic!("{mistakes:?}")
        };
        let key = "listen.public.tls.client_crl = \"crl.pem\" (lubdub.toml): ";
        assert!(mistake.starts_with(&format!("{key}{wrong}")), "{mistake}");
    }
}

#[test]
fn clients_that_nobody_vouches_for_are_a_mistake() {
    let (cert, key) = certificate();
    let mistakes = Lubdub::new("tls_no_ca")
        .file("lubdub.toml", TLS)
        .file("cert.pem", &cert)
        .file("key.pem", &key)
        .run(&[
            "check",
            "--config",
            "lubdub.toml",
            "--set",
            "listen.public.tls.client_auth=optional",
        ])
        .expect_mistakes();
    assert_eq!(
        mistakes,
        [
            "listen.public.tls.client_auth = \"optional\" (--set): needs \
             listen.public.tls.client_ca: somebody has to vouch for clients"
        ]
    );
}

#[test]
fn a_field_that_means_something_else_is_no_field_for_a_subject() {
    for (field, wrong) in [
        (
            "Host",
            "must be a field of its own: host means something to every server",
        ),
        ("Sec-WebSocket-Key", "must be a field of its own"),
        (
            "a b",
            "must be the name of a header field, such as X-Client-Subject",
        ),
    ] {
        let mistakes = with_clients("tls_field", &format!("subject_header = \"{field}\""))
            .run(&["check", "--config", "lubdub.toml"])
            .expect_mistakes();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(mistakes[0].contains(wrong), "{mistakes:?}");
    }
}

#[test]
fn what_is_set_for_clients_whom_nobody_asks_is_warned_of() {
    let outcome = with_clients("tls_off", "subject_header = \"X-Client-Subject\"").run(&[
        "check",
        "--config",
        "lubdub.toml",
    ]);
    let warnings: Vec<_> = outcome.stderr.lines().collect();
    assert!(
        outcome.stderr.contains("client-auth-off")
            && outcome.stderr.contains("listen.public.tls.client_ca")
            && outcome.stderr.contains("listen.public.tls.subject_header"),
        "{warnings:#?}"
    );
    let asked = with_clients("tls_asked", "client_auth = \"required\"").run(&[
        "check",
        "--config",
        "lubdub.toml",
    ]);
    assert!(!asked.stderr.contains("client-"), "{}", asked.stderr);
    assert!(
        asked
            .stdout
            .contains("certificates of clients of public: from 1 authorities, nothing revoked"),
        "{}",
        asked.stdout
    );
}

#[test]
fn lists_that_are_missing_or_out_of_date_are_warned_of() {
    let key = || rcgen::KeyPair::generate().expect("a key");
    let authority = |common: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.distinguished_name = rcgen::DistinguishedName::new();
        let name = &mut params.distinguished_name;
        name.push(rcgen::DnType::CommonName, common);
        rcgen::CertifiedIssuer::self_signed(params, key()).expect("an authority")
    };
    let (listed, unlisted) = (authority("listed"), authority("unlisted"));
    let list = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2020, 1, 1),
        next_update: rcgen::date_time_ymd(2021, 1, 1),
        crl_number: rcgen::SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let list = list.signed_by(&listed).expect("a list").pem();
    let settings = "client_auth = \"required\"\nclient_crl = \"crl.pem\"";
    let warnings = with_clients("tls_lists", settings)
        .file("cas.pem", &[listed.pem(), unlisted.pem()].concat())
        .file("crl.pem", &list.expect("PEM"))
        .run(&[
            "check",
            "--config",
            "lubdub.toml",
            "--set",
            "listen.public.tls.client_ca=cas.pem",
        ])
        .stderr;
    assert!(
        warnings.contains("client-crl-old") && warnings.contains("2021-01-01T00:00:00Z"),
        "{warnings}"
    );
    assert!(
        warnings.contains("client-crl-missing") && warnings.contains("\"CN=unlisted\""),
        "{warnings}"
    );
    assert!(!warnings.contains("\"CN=listed\""), "{warnings}");
}
