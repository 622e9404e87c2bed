//! Files that the configuration names.

use super::program::{Lubdub, MINIMAL_FILE};

const TLS: &str = "\
[listen.public]
address = \"127.0.0.1:0\"
[listen.public.tls.certificate.main]
cert = \"cert.pem\"
key = \"key.pem\"
[upstream.chat]
url = \"wss://chat.example\"
ca = \"cert.pem\"
";

/// A certificate and its key, as PEM.
fn certificate() -> (String, String) {
    let made =
        rcgen::generate_simple_self_signed(["chat.example".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn certificates_are_loaded() {
    let (cert, key) = certificate();
    let summary = Lubdub::new("tls")
        .file("lubdub.toml", TLS)
        .file("cert.pem", &cert)
        .file("key.pem", &key)
        .run(&["check", "--config", "lubdub.toml"])
        .expect_ok();
    assert!(
        summary.contains("listen public: wss://127.0.0.1:0"),
        "{summary}"
    );
    assert!(
        summary.contains("upstream chat: wss://chat.example:443"),
        "{summary}"
    );
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let ((cert, _), (_, key)) = (certificate(), certificate());
    let mistakes = Lubdub::new("tls_mismatch")
        .file("lubdub.toml", TLS)
        .file("cert.pem", &cert)
        .file("key.pem", &key)
        .run(&["check", "--config", "lubdub.toml"])
        .expect_mistakes();
    assert_eq!(
        mistakes,
        [
            "listen.public.tls.certificate.main.key = \"key.pem\" (lubdub.toml): does not belong to \
             listen.public.tls.certificate.main.cert"
        ]
    );
}

#[test]
fn files_that_do_not_hold_what_they_should_are_named() {
    let (cert, _) = certificate();
    let mistakes = Lubdub::new("tls_wrong_files")
        .file("lubdub.toml", TLS)
        .file("key.pem", &cert)
        .run(&[
            "check",
            "--config",
            "lubdub.toml",
            "--set",
            "admin.token_file=none",
        ])
        .expect_mistakes();
    let expected = [
        "listen.public.tls.certificate.main.cert = \"cert.pem\" (lubdub.toml): cannot be read",
        "listen.public.tls.certificate.main.key = \"key.pem\" (lubdub.toml): names a file without \
         a private key",
        "upstream.chat.ca = \"cert.pem\" (lubdub.toml): cannot be read",
        "admin.token_file = \"none\" (--set): cannot be read",
    ];
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
    for (mistake, expected) in mistakes.iter().zip(expected) {
        assert!(mistake.starts_with(expected), "{mistake}");
    }
}

#[test]
fn a_listener_with_tls_takes_one_certificate() {
    let two = Lubdub::new("tls_two")
        .file("lubdub.toml", TLS)
        .variable("LUBDUB__LISTEN__PUBLIC__TLS__CERTIFICATE__OTHER__CERT", "o")
        .run(&[
            "check",
            "--config",
            "lubdub.toml",
            "--set",
            "upstream.chat.url=wss://h",
        ]);
    let mistakes = two.expect_mistakes();
    assert_eq!(
        mistakes[0],
        "listen.public.tls.certificate.other \
         (LUBDUB__LISTEN__PUBLIC__TLS__CERTIFICATE__OTHER__CERT): a listener takes one \
         certificate, and there is listen.public.tls.certificate.main (lubdub.toml)"
    );

    let mistakes = Lubdub::new("tls_none")
        .file(
            "lubdub.toml",
            &format!("{MINIMAL_FILE}[listen.public.tls]\n"),
        )
        .run(&["check", "--config", "lubdub.toml"])
        .expect_mistakes();
    assert_eq!(
        mistakes,
        ["listen.public.tls (lubdub.toml): has no certificate: set \
             listen.public.tls.certificate.NAME.cert and its key"]
    );
}
