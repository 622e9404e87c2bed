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
        "listen.public.tls.certificate.main.cert = \"cert.pem\" (lubdub.toml): is not there; it was \
         looked for at ",
        "listen.public.tls.certificate.main.key = \"key.pem\" (lubdub.toml): names a file without \
         a private key",
        "upstream.chat.ca = \"cert.pem\" (lubdub.toml): is not there; it was looked for at ",
        "admin.token_file = \"none\" (--set): is not there; it was looked for at ",
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

/// They began in the working directory, wherever the file was that named them.
#[test]
fn a_relative_path_begins_where_the_file_is_that_names_it() {
    let (cert, key) = certificate();
    let lubdub = || {
        Lubdub::new("tls_elsewhere")
            .file("lubdub.toml", TLS)
            .file("cert.pem", &cert)
            .file("key.pem", &key)
            .below("below")
    };
    let args = ["check", "--config", "../lubdub.toml"];
    lubdub().run(&args).expect_ok();
    // What is in effect is in effect wherever it is put.
    let effective = lubdub()
        .run(&["config", "effective", "--config", "../lubdub.toml"])
        .expect_ok();
    assert!(
        effective.contains("cert = \"/") && effective.contains("ca = \"/"),
        "{effective}"
    );
    Lubdub::new("tls_effective")
        .file("effective.toml", &effective)
        .run(&["check", "--config", "effective.toml"])
        .expect_ok();
    // A flag's begins in the working directory.
    let flag = ["--set", "upstream.chat.ca=../cert.pem"];
    lubdub().run(&[&args[..], &flag].concat()).expect_ok();
    let flag = ["--set", "upstream.chat.ca=cert.pem"];
    let mistakes = lubdub().run(&[&args[..], &flag].concat()).expect_mistakes();
    let [mistake] = &mistakes[..] else {
        panic!("{mistakes:?}")
    };
    assert!(
        mistake.contains("it was looked for at /")
            && mistake.contains("/tls_elsewhere/below/cert.pem, since")
            && mistake.ends_with("begins in the working directory"),
        "{mistake}"
    );
}

/// It was said not to be PEM, or that there was no key in it.
#[test]
fn an_encrypted_key_is_called_so() {
    let (cert, _) = certificate();
    for encrypted in [
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIHs\n-----END ENCRYPTED PRIVATE KEY-----\n",
        "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,60E2\n\n\
         MIHs\n-----END EC PRIVATE KEY-----\n",
    ] {
        let mistakes = Lubdub::new("tls_encrypted")
            .file("lubdub.toml", TLS)
            .file("cert.pem", &cert)
            .file("key.pem", encrypted)
            .run(&["check", "--config", "lubdub.toml"])
            .expect_mistakes();
        assert_eq!(mistakes.len(), 1, "{mistakes:?}");
        assert!(
            mistakes[0].contains("names a key that is encrypted")
                && mistakes[0].contains("openssl"),
            "{mistakes:?}"
        );
    }
}

/// A certificate of the first version, as `openssl x509 -req` makes it where it gets no file of
/// extensions.
const V1: &str = "\
-----BEGIN CERTIFICATE-----\n\
MIIBJTCBywIUDkXV1aISNiHikLbt+9vcG964oA8wCgYIKoZIzj0EAwIwFDESMBAG\n\
A1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyODIzNTMxNloYDzIxMDAxMDMxMjM1MzE2\n\
WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n\
AARKHKJbHMTyXFQcntiHf/JcfRQjFhXTuwUTq6YVW4m7NLPJmUPLdI+IxJ7Tag1B\n\
9DQX/9s3W8as+WDPZeBWSSQFMAoGCCqGSM49BAMCA0kAMEYCIQDigBYk6bglziDY\n\
m+c9EYsTHR2Jn705UQNTHJ4HN+wRKgIhAMj+BsMwRnrPUgLQlHyIJO03NNeq6Ki0\n\
hHb/+oWuBdY9\n\
-----END CERTIFICATE-----\n";

/// "OtherError(UnsupportedCertVersion)" told nobody what to do.
#[test]
fn a_certificate_of_version_1_is_called_so() {
    let (_, key) = certificate();
    let mistakes = Lubdub::new("tls_v1")
        .file("lubdub.toml", &TLS.replace("ca = \"cert.pem\"\n", ""))
        .file("cert.pem", V1)
        .file("key.pem", &key)
        .run(&["check", "--config", "lubdub.toml"])
        .expect_mistakes();
    assert_eq!(mistakes.len(), 1, "{mistakes:?}");
    assert!(
        mistakes[0]
            .contains(".cert = \"cert.pem\" (lubdub.toml): is an X.509 certificate of version 1")
            && mistakes[0].contains("subjectAltName"),
        "{mistakes:?}"
    );
}
