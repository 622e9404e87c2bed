//! TLS toward upstreams, as it is configured.

use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, KeyPair};

use super::program::{Lubdub, Outcome};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A certificate for chat.example and its key, as PEM.
fn certificate() -> (String, String) {
    let made =
        rcgen::generate_simple_self_signed(["chat.example".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// What `check` says of this upstream, with files of a certificate for chat.example.
fn check_upstream(test: &str, url: &str, settings: &str) -> Outcome {
    let (cert, key) = certificate();
    let (other, _) = certificate();
    let file = format!(
        "listen.public.address = \"127.0.0.1:0\"\nadmin.address = \"off\"\n\
         [upstream.chat]\nurl = \"{url}\"\n{settings}\n"
    );
    Lubdub::new(&format!("tls_upstream_{test}"))
        .file("lubdub.toml", &file)
        .file("cert.pem", &cert)
        .file("key.pem", &key)
        .file("other.pem", &other)
        .run(&["check", "--config", "lubdub.toml"])
}

#[test]
fn tls_toward_an_upstream_is_told_in_short() {
    for (test, settings, told) in [
        ("name", "ca = \"cert.pem\"", ", verified as 10.0.0.5"),
        (
            "other_name",
            "ca = \"cert.pem\"\nserver_name = \"Chat.example\"",
            ", verified as chat.example",
        ),
        (
            "ipv6",
            "ca = \"cert.pem\"\nserver_name = \"[::1]\"",
            ", verified as ::1",
        ),
        ("blind", "insecure_skip_verify = true", ", not verified"),
        (
            "shown",
            "ca = \"cert.pem\"\ncertificate = \"cert.pem\"\nkey = \"key.pem\"",
            ", verified as 10.0.0.5, is shown a certificate until 4096-01-01T00:00:00Z",
        ),
    ] {
        let outcome = check_upstream(test, "wss://10.0.0.5:9443", settings);
        assert_eq!(outcome.code, Some(0), "{test}: {}", outcome.stderr);
        let line = format!("upstream chat: wss://10.0.0.5:9443{told}\n");
        assert!(outcome.stdout.contains(&line), "{test}: {}", outcome.stdout);
        let warned = outcome
            .stderr
            .contains("upstream.chat.insecure_skip_verify = true");
        assert_eq!(warned, test == "blind", "{test}: {}", outcome.stderr);
    }
}

#[test]
fn an_upstream_at_a_unix_socket_is_verified_by_a_name_that_is_set() {
    let url = "wss+unix:/run/chat.sock";
    let settings = "ca = \"cert.pem\"\nserver_name = \"chat.example\"";
    let summary = check_upstream("unix", url, settings).expect_ok();
    let line = format!("upstream chat: {url}, verified as chat.example\n");
    assert!(summary.contains(&line), "{summary}");
}

#[test]
fn what_is_wrong_with_tls_toward_an_upstream_is_named() {
    let key = "key = \"key.pem\"";
    let plain = "upstream.chat.url must be wss, https or wss+unix for this";
    for (test, url, settings, words) in [
        (
            "no_key",
            "wss://b",
            "certificate = \"cert.pem\"",
            &["upstream.chat.key: must be set"][..],
        ),
        (
            "no_certificate",
            "wss://b",
            key,
            &["upstream.chat.certificate: must be set"],
        ),
        (
            "pair",
            "wss://b",
            &format!("certificate = \"other.pem\"\n{key}"),
            &[
                "upstream.chat.key = \"key.pem\" (lubdub.toml): does not belong to upstream.chat.certificate",
            ],
        ),
        (
            "not_there",
            "wss://b",
            &format!("certificate = \"none.pem\"\n{key}\nca = \"none.pem\""),
            &[
                "upstream.chat.ca = \"none.pem\" (lubdub.toml): is not there",
                "upstream.chat.certificate = \"none.pem\" (lubdub.toml): is not there",
            ],
        ),
        (
            "no_ca",
            "wss://b",
            "ca = \"key.pem\"",
            &["upstream.chat.ca = \"key.pem\" (lubdub.toml): names a file without a certificate"],
        ),
        (
            "name",
            "wss://b",
            "server_name = \"chat.example:443\"\nca = \"cert.pem\"",
            &[
                "upstream.chat.server_name = \"chat.example:443\" (lubdub.toml): must be a host name or an IP",
            ],
        ),
        (
            "path",
            "wss+unix:/run/chat.sock",
            "ca = \"none.pem\"",
            &[
                "upstream.chat.url = \"wss+unix:/run/chat.sock\" (lubdub.toml): needs \
                 upstream.chat.server_name: a path is no name that a certificate can be for",
                "upstream.chat.ca = \"none.pem\" (lubdub.toml): is not there",
            ],
        ),
        (
            "plain",
            "ws://b",
            &format!(
                "ca = \"cert.pem\"\ncertificate = \"cert.pem\"\n{key}\nserver_name = \"b\"\n\
                 insecure_skip_verify = true"
            ),
            &[plain; 5],
        ),
    ] {
        let mistakes = check_upstream(test, url, settings).expect_mistakes();
        assert_eq!(mistakes.len(), words.len(), "{test}: {mistakes:?}");
        for words in words {
            let is_told = mistakes.iter().any(|told| told.contains(words));
            assert!(is_told, "{test}: no {words:?} in {mistakes:?}");
        }
    }
    // What is the default says nothing.
    let outcome = check_upstream("plain_default", "ws://b", "insecure_skip_verify = false");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}

#[test]
fn a_certificate_for_an_upstream_that_has_expired_is_warned_of() {
    let made = |end: SystemTime| {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(["lubdub.example".to_owned()]).expect("a name");
        params.not_after = end.into();
        let made = params.self_signed(&key).expect("a certificate");
        (made.pem(), key.serialize_pem())
    };
    let file = "listen.public.address = \"127.0.0.1:0\"\nadmin.address = \"off\"\n\
                [upstream.chat]\nurl = \"wss://b\"\nca = \"cert.pem\"\n\
                certificate = \"cert.pem\"\nkey = \"key.pem\"\n";
    let now = SystemTime::now();
    for (end, words) in [
        (now - DAY, Some(", and the backend refuses it")),
        (now + 3 * DAY, Some(": expires on ")),
        (now + 300 * DAY, None),
    ] {
        let (cert, key) = made(end);
        let outcome = Lubdub::new("tls_upstream_expiry")
            .file("lubdub.toml", file)
            .file("cert.pem", &cert)
            .file("key.pem", &key)
            .run(&["check", "--config", "lubdub.toml"]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        let told = outcome.stderr.contains("upstream.chat.certificate = ");
        assert_eq!(told, words.is_some(), "{}", outcome.stderr);
        let words = words.unwrap_or_default();
        assert!(
            outcome.stderr.contains(words),
            "{words}: {}",
            outcome.stderr
        );
    }
}
