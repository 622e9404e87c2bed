//! Files that the configuration names.

use std::time::Duration;

use super::program::{Lubdub, MINIMAL_FILE};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) const TLS: &str = "\
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
pub(crate) fn certificate() -> (String, String) {
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

/// Names and dates, and the first in the file first, whatever it is called.
#[test]
fn the_certificates_of_a_listener_are_told_in_the_order_of_the_file() {
    let file = "\
        [listen.public]\n\
        address = \"127.0.0.1:0\"\n\
        [listen.public.tls.certificate.zoe]\n\
        cert = \"zoe.pem\"\n\
        key = \"zoe.key\"\n\
        [listen.public.tls.certificate.ann]\n\
        cert = \"ann.pem\"\n\
        key = \"ann.key\"\n\
        [upstream.chat]\n\
        url = \"ws://127.0.0.1:9000\"\n";
    let lubdub = |test| {
        let mut lubdub = Lubdub::new(test).file("lubdub.toml", file);
        for (name, hosts) in [
            ("zoe", vec!["zoe.example"]),
            (
                "ann",
                vec!["a.example", "b.example", "*.c.example", "d.example"],
            ),
            ("bea", vec!["bea.example"]),
        ] {
            let hosts: Vec<_> = hosts.into_iter().map(str::to_owned).collect();
            let made = rcgen::generate_simple_self_signed(hosts).expect("a certificate");
            lubdub = lubdub
                .file(&format!("{name}.pem"), &made.cert.pem())
                .file(&format!("{name}.key"), &made.signing_key.serialize_pem());
        }
        let bea = "LUBDUB__LISTEN__PUBLIC__TLS__CERTIFICATE__BEA";
        lubdub
            .variable(&format!("{bea}__CERT"), "bea.pem")
            .variable(&format!("{bea}__KEY"), "bea.key")
    };
    let expected = [
        "certificate zoe of public: zoe.example, until 4096-01-01T00:00:00Z",
        "certificate ann of public: a.example, b.example, *.c.example and 1 more, until \
         4096-01-01T00:00:00Z",
        "certificate bea of public: bea.example, until 4096-01-01T00:00:00Z",
    ];
    let told = |summary: &str| -> Vec<_> {
        let lines = summary.lines();
        lines
            .filter(|line| line.starts_with("certificate "))
            .map(str::to_owned)
            .collect()
    };
    let args = ["check", "--config", "lubdub.toml"];
    assert_eq!(told(&lubdub("tls_order").run(&args).expect_ok()), expected);

    // What is in effect is in the same order.
    let args = ["config", "effective", "--config", "lubdub.toml"];
    let effective = lubdub("tls_order").run(&args).expect_ok();
    let args = ["check", "--config", "effective.toml"];
    let again = Lubdub::new("tls_order_again").file("effective.toml", &effective);
    let expected = lubdub("tls_order").run(&["check", "--config", "lubdub.toml"]);
    assert_eq!(
        told(&again.run(&args).expect_ok()),
        told(&expected.expect_ok())
    );
}

#[test]
fn a_certificate_that_is_never_shown_is_warned_of() {
    let warnings = |names: &[&str]| {
        let table = |name| {
            format!(
                "[listen.public.tls.certificate.{name}]\ncert = \"{name}.pem\"\nkey = \"{name}.key\"\n"
            )
        };
        let file = [MINIMAL_FILE.to_owned(), table("main"), table("more")].concat();
        let mut lubdub = Lubdub::new("tls_unused").file("lubdub.toml", &file);
        let names: Vec<_> = names.iter().copied().map(str::to_owned).collect();
        let main = vec!["a.example".to_owned(), "b.example".to_owned()];
        for (name, hosts) in [("main", main), ("more", names)] {
            let made = rcgen::generate_simple_self_signed(hosts).expect("names");
            lubdub = lubdub
                .file(&format!("{name}.pem"), &made.cert.pem())
                .file(&format!("{name}.key"), &made.signing_key.serialize_pem());
        }
        let outcome = lubdub.run(&["check", "--config", "lubdub.toml"]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        outcome.stderr
    };
    assert_eq!(warnings(&["b.example", "c.example"]), "");
    for (names, expected) in [
        (
            &["b.example"][..],
            "certificates before it have all of its names",
        ),
        (&["127.0.0.1"], "it has no host name in its subjectAltName"),
    ] {
        let told = warnings(names);
        assert!(
            told.contains("listen.public.tls.certificate.more.cert = \"more.pem\"")
                && told.contains(expected)
                && told.contains("lubdub explain certificate-unused"),
            "{told}"
        );
    }
}

/// Every one is read, not only up to the first that is wrong.
#[test]
fn each_certificate_that_cannot_be_used_is_named() {
    let ((cert, _), (_, other)) = (certificate(), certificate());
    let mistakes = Lubdub::new("tls_two")
        .file("lubdub.toml", TLS)
        .file("cert.pem", &cert)
        .file("key.pem", &other)
        .variable("LUBDUB__LISTEN__PUBLIC__TLS__CERTIFICATE__OTHER__CERT", "o")
        .run(&["check", "--config", "lubdub.toml"])
        .expect_mistakes();
    assert_eq!(mistakes.len(), 3, "{mistakes:#?}");
    assert!(
        mistakes[0].starts_with("listen.public.tls.certificate.main.key")
            && mistakes[1].starts_with("listen.public.tls.certificate.other.cert = \"o\"")
            && mistakes[2] == "listen.public.tls.certificate.other.key: must be set",
        "{mistakes:#?}"
    );
}

#[test]
fn a_listener_with_tls_has_a_certificate() {
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

/// Clients refuse them, and nobody was told before.
#[test]
fn a_certificate_that_has_expired_or_soon_will_is_warned_of() {
    let now = std::time::SystemTime::now();
    let (from, to) = (|days: u32| now - days * DAY, |days: u32| now + days * DAY);
    for (not_before, not_after, expected) in [
        (from(90), now - DAY, Some("expired on 20")),
        (to(1), to(90), Some("is not valid before 20")),
        (from(76), to(13) + DAY / 2, Some("in 13d")),
        (from(60), to(30), None),
        // What lives for six days has two left for two thirds of them.
        (from(3), to(3), None),
        (from(5), to(1) + DAY / 2, Some("in 1d")),
    ] {
        let mut params =
            rcgen::CertificateParams::new(["chat.example".to_owned()]).expect("a name");
        (params.not_before, params.not_after) = (not_before.into(), not_after.into());
        let key = rcgen::KeyPair::generate().expect("a key");
        let cert = params.self_signed(&key).expect("a certificate");
        let outcome = Lubdub::new("tls_dates")
            .file("lubdub.toml", &TLS.replace("ca = \"cert.pem\"\n", ""))
            .file("cert.pem", &cert.pem())
            .file("key.pem", &key.serialize_pem())
            .run(&["check", "--config", "lubdub.toml"]);
        assert_eq!(outcome.code, Some(0));
        match expected {
            Some(expected) => assert!(
                outcome.stderr.contains(expected)
                    && outcome.stderr.contains(
                        "listen.public.tls.certificate.main.cert = \"cert.pem\" (lubdub.toml): "
                    )
                    && outcome.stderr.contains("lubdub explain certificate-expiry"),
                "{}",
                outcome.stderr
            ),
            None => assert_eq!(outcome.stderr, ""),
        }
    }
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

/// "Failed to parse private key" told nobody that it is too short. As openssl makes it with `req -x509 -newkey rsa:1024
/// -nodes -subj /CN=localhost -days 36500`.
#[test]
fn a_short_key_of_rsa_is_called_so() {
    let mistakes = Lubdub::new("tls_short")
        .file("lubdub.toml", &TLS.replace("ca = \"cert.pem\"\n", ""))
        .file("cert.pem", include_str!("short/cert.pem"))
        .file("key.pem", include_str!("short/key.pem"))
        .run(&["check", "--config", "lubdub.toml"])
        .expect_mistakes();
    assert_eq!(
        mistakes,
        [
            "listen.public.tls.certificate.main.key = \"key.pem\" (lubdub.toml): cannot be used: it is an RSA \
             key of 1024 bits, and 2048 are the fewest that clients believe"
        ]
    );
}
