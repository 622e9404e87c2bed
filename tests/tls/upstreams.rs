//! Which upstreams lubdub believes, what it shows of itself, and what it says where that comes to nothing.

use std::fmt::Write as _;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use lubdub_testkit::backend::{Demands, Identity, Met, TLS12, TLS13, TlsBackend};
use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use rustix::process::Signal;
use serde_json::Value;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A directory of files, among them lubdub's own, and upstreams that each have a path.
pub(crate) struct Stage {
    directory: PathBuf,
    upstreams: String,
}

impl Stage {
    /// An empty one that is named after the test.
    pub(crate) fn new(test: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("upstreams")
            .join(test);
        fs::create_dir_all(&directory).expect("a new directory");
        Self {
            directory,
            upstreams: String::new(),
        }
    }

    /// Writes a file beside lubdub's own.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.directory.join(name), text).expect("a file can be written");
    }

    /// Writes both files of `identity`.
    fn write_identity(&self, name: &str, identity: &Identity) {
        self.write(&format!("{name}.pem"), identity.pem());
        self.write(&format!("{name}.key"), identity.key_pem());
    }

    /// Another upstream, whose connections are all new ones. Requests for `/NAME` go to it.
    pub(crate) fn upstream(&mut self, name: &str, backend: SocketAddr, settings: &[&str]) {
        let port = backend.port();
        let mut add = |line: &str| {
            let _ = writeln!(self.upstreams, "{line}");
        };
        add(&format!(
            "[upstream.{name}]\nurl = \"wss://localhost:{port}\"\npool = false"
        ));
        settings.iter().for_each(|line| add(line));
        add(&format!(
            "[route.{name}]\nupstream = \"{name}\"\npath_prefix = \"/{name}\""
        ));
    }

    /// No upstream any more.
    pub(crate) fn clear(&mut self) {
        self.upstreams.clear();
    }

    /// Writes lubdub's own file.
    pub(crate) fn configure(&self) {
        let upstreams = &self.upstreams;
        let text = format!(
            "listen.main.address = \"127.0.0.1:0\"\nadmin.address = \"127.0.0.1:0\"\n\
             log.refusals = \"1000/s\"\n{upstreams}"
        );
        self.write("lubdub.toml", &text);
    }

    pub(crate) async fn lubdub(&self) -> Binary {
        self.configure();
        Binary::start_from(&self.directory.join("lubdub.toml")).await
    }
}

/// A request that comes to an upstream and back.
pub(crate) async fn pass(lubdub: &Binary, path: &str) {
    let mut client = lubdub.dial().connect().await;
    client.ask(&Request::get(path)).await;
    client.expect_answer(204).await;
}

/// An upgrade that does not come to an upstream; what lubdub says of it is the last of so many such lines.
async fn refuse(lubdub: &Binary, path: &str, times: usize) -> String {
    let mut client = lubdub.dial().connect().await;
    client.ask(&Request::upgrade(path)).await;
    client.expect_answer(502).await;
    let line = lubdub.expect_logged_times("not served", times).await;
    assert_eq!(line["outcome"], "connect_failed", "{line}");
    let reason = line["reason"].as_str().expect("there is a reason");
    // For a person: no lists of bytes, no names of Rust.
    assert!(!reason.contains(['[', '{', '"']), "{reason}");
    reason.to_owned()
}

/// Reads the configuration again and waits until lubdub has done so.
pub(crate) async fn reload(lubdub: &Binary, times: usize) {
    lubdub.signal(Signal::HUP);
    let message = "configuration reloaded";
    lubdub.expect_logged_times(message, times).await;
}

fn authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

fn authority_that_only_signs(params: &mut CertificateParams) {
    authority(params);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
}

fn for_clients_only(params: &mut CertificateParams) {
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
}

fn expired(params: &mut CertificateParams) {
    params.not_after = (SystemTime::now() - DAY).into();
}

fn early(params: &mut CertificateParams) {
    params.not_before = (SystemTime::now() + DAY).into();
}

#[tokio::test]
async fn who_shows_a_certificate_that_is_named_is_believed_whatever_else_it_says_of_itself() {
    let openssl = |name| match name {
        "authority" => Identity::from_pem(
            include_str!("openssl/authority.pem"),
            include_str!("openssl/authority.key"),
        ),
        _ => Identity::from_pem(
            include_str!("openssl/signs_only.pem"),
            include_str!("openssl/signs_only.key"),
        ),
    };
    let cases = [
        ("plain", Identity::self_signed("localhost", |_| {})),
        ("ca", Identity::self_signed("localhost", authority)),
        (
            "signs",
            Identity::self_signed("localhost", authority_that_only_signs),
        ),
        (
            "clients",
            Identity::self_signed("localhost", for_clients_only),
        ),
        ("openssl", openssl("authority")),
        ("openssl-signs", openssl("signs_only")),
    ];
    let mut stage = Stage::new("named");
    let mut backends = Vec::new();
    for (name, identity) in &cases {
        stage.write_identity(name, identity);
        for (version, versions) in [("12", TLS12), ("13", TLS13)] {
            let demands = Demands {
                versions,
                ..Demands::default()
            };
            let backend = TlsBackend::start(identity, &demands).await;
            let upstream = format!("{name}-{version}");
            let ca = format!("ca = \"{name}.pem\"");
            stage.upstream(&upstream, backend.address(), &[&ca]);
            backends.push((upstream, backend));
        }
    }
    let lubdub = stage.lubdub().await;
    for (upstream, backend) in &mut backends {
        pass(&lubdub, &format!("/{upstream}")).await;
        assert_eq!(backend.meet().await.name.as_deref(), Some("localhost"));
    }
}

#[tokio::test]
async fn a_certificate_that_is_named_has_to_have_the_name_the_time_and_the_key() {
    let other = Identity::self_signed("localhost", authority);
    let own = Identity::self_signed("localhost", authority);
    let impostor = own.with_key_of(&other);
    let mut stage = Stage::new("named_and_wrong");
    let mut backends = Vec::new();
    let cases = [
        // What it shows, what is named, and the words.
        (
            Identity::self_signed("other.example", authority),
            None,
            "its certificate is for other names (other.example), not for localhost; \
             upstream.0.server_name says",
        ),
        (
            Identity::self_signed("localhost", |params| {
                authority(params);
                expired(params);
            }),
            None,
            "its certificate expired on 20",
        ),
        (
            Identity::self_signed("localhost", |params| {
                authority(params);
                early(params);
            }),
            None,
            "its certificate is not valid before 20",
        ),
        // Another one of the same name, and of another.
        (
            Identity::self_signed("localhost", authority),
            Some(&other),
            "name this very certificate in upstream.3.ca",
        ),
        (
            Identity::self_signed("localhost", |_| {}),
            Some(&other),
            "name its CA in upstream.4.ca",
        ),
        (
            Identity::self_signed("127.0.0.1", |_| {}),
            Some(&other),
            "its certificate has an unknown issuer: none that is in upstream.5.ca",
        ),
        (
            impostor,
            Some(&own),
            "its certificate is not its own: it has not the key",
        ),
    ];
    for (number, (shown, named, _)) in cases.iter().enumerate() {
        let backend = TlsBackend::start(shown, &Demands::default()).await;
        let file = format!("{number}.pem");
        stage.write(&file, named.unwrap_or(shown).pem());
        let ca = format!("ca = \"{file}\"");
        stage.upstream(&number.to_string(), backend.address(), &[&ca]);
        backends.push(backend);
    }
    let lubdub = stage.lubdub().await;
    for (number, (_, _, words)) in cases.iter().enumerate() {
        let reason = refuse(&lubdub, &format!("/{number}"), number + 1).await;
        assert!(reason.contains("no TLS with 127.0.0.1:"), "{reason}");
        assert!(reason.contains(words), "{words}: {reason}");
        assert!(backends[number].is_alone(), "{words}");
    }
    let failed = [("outcome", "connect_failed")];
    let scrape = lubdub.scrape().await;
    let sum = scrape.sum("lubdub_handshakes_total", &failed);
    assert!((sum - cases.len() as f64).abs() < 0.5, "{sum}");
}

#[tokio::test]
async fn the_name_that_is_asked_for_and_verified_can_be_another_than_the_hosts() {
    let internal = Identity::self_signed("chat.internal", |_| {});
    let literal = Identity::self_signed("127.0.0.1", |_| {});
    let mut chat = TlsBackend::start(&internal, &Demands::default()).await;
    let mut address = TlsBackend::start(&literal, &Demands::default()).await;
    let mut stage = Stage::new("server_name");
    stage.write("chat.pem", internal.pem());
    stage.write("address.pem", literal.pem());
    let chat_settings = ["ca = \"chat.pem\"", "server_name = \"Chat.internal\""];
    stage.upstream("chat", chat.address(), &chat_settings);
    let address_settings = ["ca = \"address.pem\"", "server_name = \"127.0.0.1\""];
    stage.upstream("address", address.address(), &address_settings);
    let wrong = ["ca = \"chat.pem\"", "server_name = \"talk.internal\""];
    stage.upstream("wrong", chat.address(), &wrong);
    let lubdub = stage.lubdub().await;

    pass(&lubdub, "/chat").await;
    assert_eq!(chat.meet().await.name.as_deref(), Some("chat.internal"));
    pass(&lubdub, "/address").await;
    // RFC 6066 3: "Literal IPv4 and IPv6 addresses are not permitted".
    assert_eq!(address.meet().await.name, None);
    let reason = refuse(&lubdub, "/wrong", 1).await;
    let words = "is for other names (chat.internal), not for talk.internal";
    assert!(reason.contains(words), "{reason}");
}

#[tokio::test]
async fn lubdub_shows_a_certificate_to_who_asks_for_one() {
    let server = Identity::self_signed("localhost", |_| {});
    let client = Identity::self_signed("lubdub.example", |_| {});
    let stranger = Identity::self_signed("stranger.example", |_| {});
    let mut stage = Stage::new("client_certificate");
    stage.write("ca.pem", server.pem());
    stage.write_identity("client", &client);
    stage.write_identity("stranger", &stranger);
    let shows = |name| {
        let certificate = format!("certificate = \"{name}.pem\"");
        [certificate, format!("key = \"{name}.key\"")]
    };
    let mut backends = Vec::new();
    for (version, versions) in [("12", TLS12), ("13", TLS13)] {
        let demands = Demands {
            versions,
            client: Some(&client),
            ..Demands::default()
        };
        let backend = TlsBackend::start(&server, &demands).await;
        for (name, shown) in [
            ("right", Some("client")),
            ("wrong", Some("stranger")),
            ("none", None),
        ] {
            let shown = shown.map(shows).into_iter().flatten();
            let settings: Vec<_> = ["ca = \"ca.pem\"".to_owned()]
                .into_iter()
                .chain(shown)
                .collect();
            let settings: Vec<_> = settings.iter().map(String::as_str).collect();
            stage.upstream(&format!("{name}{version}"), backend.address(), &settings);
        }
        backends.push(backend);
    }
    // One that asks for none is shown none.
    let mut open = TlsBackend::start(&server, &Demands::default()).await;
    let [certificate, key] = shows("client");
    stage.upstream(
        "open",
        open.address(),
        &["ca = \"ca.pem\"", &certificate, &key],
    );

    let lubdub = stage.lubdub().await;
    for (version, backend) in ["12", "13"].into_iter().zip(&mut backends) {
        pass(&lubdub, &format!("/right{version}")).await;
        let met = backend.meet().await;
        assert_eq!(met.certificate.as_ref(), Some(client.certificate()));
    }
    pass(&lubdub, "/open").await;
    assert_eq!(open.meet().await.certificate, None);
    let mut times = 0;
    for version in ["12", "13"] {
        let mut reason = async |name| {
            times += 1;
            refuse(&lubdub, &format!("/{name}{version}"), times).await
        };
        let told = reason("none").await;
        let words = format!("upstream.none{version}.certificate and upstream.none{version}.key");
        assert!(told.contains("asks for a certificate"), "{told}");
        assert!(told.contains(&words), "{told}");
        let told = reason("wrong").await;
        let words = format!("it refuses the certificate in upstream.wrong{version}.certificate");
        assert!(told.contains(&words), "{told}");
    }
}

/// asyncio and Node do not say by an alert what they have against a certificate.
#[tokio::test]
async fn who_asks_for_a_certificate_and_then_hangs_up_may_have_refused_it() {
    let server = Identity::self_signed("localhost", |_| {});
    let client = Identity::self_signed("lubdub.example", |_| {});
    let mut stage = Stage::new("hangs_up");
    stage.write("ca.pem", server.pem());
    stage.write_identity("client", &client);
    let mut backends = Vec::new();
    for (name, asked) in [("asks", Some(&client)), ("asks-not", None)] {
        let demands = Demands {
            client: asked,
            hangs_up: true,
            ..Demands::default()
        };
        let backend = TlsBackend::start(&server, &demands).await;
        let settings = [
            "ca = \"ca.pem\"",
            "certificate = \"client.pem\"",
            "key = \"client.key\"",
        ];
        stage.upstream(name, backend.address(), &settings);
        backends.push(backend);
    }
    let lubdub = stage.lubdub().await;
    let reason = refuse(&lubdub, "/asks", 1).await;
    let words = "may refuse the certificate in upstream.asks.certificate";
    assert!(reason.contains(words), "{reason}");
    // Plain requests are told the same.
    let mut client = lubdub.dial().connect().await;
    client.ask(&Request::get("/asks")).await;
    client.expect_answer(502).await;
    let line = lubdub.expect_logged_times("not served", 2).await;
    assert_eq!(line["outcome"], "connect_failed", "{line}");
    // Who hangs up without having asked has another reason.
    let mut client = lubdub.dial().connect().await;
    client.ask(&Request::upgrade("/asks-not")).await;
    client.expect_answer(502).await;
    let line = lubdub.expect_logged_times("not served", 3).await;
    assert_eq!(line["outcome"], "bad_answer", "{line}");
}

#[tokio::test]
async fn without_verification_anybody_is_believed_and_that_is_said_again_and_again() {
    let anybody = Identity::self_signed("other.example", expired);
    let backend = TlsBackend::start(&anybody, &Demands::default()).await;
    let mut stage = Stage::new("blind");
    let blind = "insecure_skip_verify = true";
    stage.upstream("main", backend.address(), &[blind]);
    let lubdub = stage.lubdub().await;
    pass(&lubdub, "/main").await;

    let warned = "the configuration has a warning";
    for times in 1..4 {
        let line: Value = lubdub.expect_logged_times(warned, times).await;
        assert_eq!(line["level"], "warn", "{line}");
        assert_eq!(line["warning"], "upstream-unverified", "{line}");
        assert!(
            line["setting"].as_str().is_some_and(
                |setting| setting.starts_with("upstream.main.insecure_skip_verify = true")
            ),
            "{line}"
        );
        reload(&lubdub, times).await;
    }
    // And taken back it is verified again.
    stage.clear();
    stage.write("ca.pem", anybody.pem());
    stage.upstream("main", backend.address(), &["ca = \"ca.pem\""]);
    stage.configure();
    reload(&lubdub, 4).await;
    let reason = refuse(&lubdub, "/main", 1).await;
    assert!(reason.contains("its certificate expired on 20"), "{reason}");
}

/// Who answers the first bytes with these, and then hangs up.
fn answering(bytes: &'static [u8]) -> SocketAddr {
    use std::io::{Read as _, Write as _};
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("lubdub comes");
        // The whole of it, or the end would be a reset.
        let mut hello = [0; 5];
        client.read_exact(&mut hello).expect("lubdub says hello");
        let mut rest = vec![0; usize::from(u16::from_be_bytes([hello[3], hello[4]]))];
        client.read_exact(&mut rest).expect("all of it");
        client.write_all(bytes).expect("lubdub listens");
    });
    address
}

#[tokio::test]
async fn who_speaks_no_tls_or_another_is_told_from_who_is_not_believed() {
    let ca = Identity::self_signed("localhost", |_| {});
    let mut stage = Stage::new("no_tls");
    stage.write("ca.pem", ca.pem());
    let alert = |number: u8| &*Box::leak(Box::new([0x15, 3, 3, 0, 2, 2, number]));
    let cases: [(&[u8], &str); 6] = [
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            "it speaks no TLS there; is it ws://",
        ),
        (b"", "it hung up during the TLS handshake"),
        (alert(70), "it speaks neither TLS 1.3 nor TLS 1.2"),
        (
            alert(40),
            "it broke off the TLS handshake: it has no cipher suite in common",
        ),
        (
            alert(112),
            "it does not know localhost (SNI); upstream.4.server_name",
        ),
        (alert(80), "it broke off the TLS handshake (InternalError)"),
    ];
    for (number, (bytes, _)) in cases.iter().enumerate() {
        let backend = answering(bytes);
        stage.upstream(&number.to_string(), backend, &["ca = \"ca.pem\""]);
    }
    let lubdub = stage.lubdub().await;
    for (number, (_, words)) in cases.iter().enumerate() {
        let reason = refuse(&lubdub, &format!("/{number}"), number + 1).await;
        assert!(reason.contains(words), "{words}: {reason}");
    }
}

#[tokio::test]
async fn a_reload_reads_what_upstreams_are_believed_by_and_shown() {
    let (old, new) = (
        Identity::self_signed("localhost", |_| {}),
        Identity::self_signed("localhost", |_| {}),
    );
    let (first, second) = (
        Identity::self_signed("lubdub.example", |_| {}),
        Identity::self_signed("lubdub.example", |_| {}),
    );
    let shown = |identity| Demands {
        client: Some(identity),
        ..Demands::default()
    };
    let mut before = TlsBackend::start(&old, &shown(&first)).await;
    let mut after = TlsBackend::start(&new, &shown(&second)).await;
    let mut stage = Stage::new("reload");
    stage.write("ca.pem", old.pem());
    stage.write_identity("client", &first);
    let settings = [
        "ca = \"ca.pem\"",
        "certificate = \"client.pem\"",
        "key = \"client.key\"",
    ];
    stage.upstream("before", before.address(), &settings);
    stage.upstream("after", after.address(), &settings);
    let lubdub = stage.lubdub().await;
    let certificate = |met: Met| met.certificate.expect("lubdub shows one");
    pass(&lubdub, "/before").await;
    assert_eq!(certificate(before.meet().await), *first.certificate());
    refuse(&lubdub, "/after", 1).await;

    stage.write("ca.pem", new.pem());
    stage.write_identity("client", &second);
    reload(&lubdub, 1).await;
    pass(&lubdub, "/after").await;
    assert_eq!(certificate(after.meet().await), *second.certificate());
    refuse(&lubdub, "/before", 2).await;

    // What is wrong in one of them changes nothing.
    let refused = "the reload is refused: all is as it was";
    let spoil: [(&dyn Fn(), &str); 4] = [
        (
            &|| stage.write("ca.pem", "nothing"),
            "upstream.after.ca = \"ca.pem\"",
        ),
        (
            &|| stage.write("client.key", first.key_pem()),
            "does not belong to upstream.after.certificate",
        ),
        (
            &|| stage.write("client.pem", "nothing"),
            "upstream.after.certificate = \"client.pem\"",
        ),
        (
            &|| stage.write_identity("client", &Identity::self_signed("lubdub.example", expired)),
            "upstream.after.certificate: is valid from ",
        ),
    ];
    // One for each upstream.
    for (number, (spoil, words)) in spoil.into_iter().enumerate() {
        spoil();
        lubdub.signal(Signal::HUP);
        lubdub.expect_logged_times(refused, 2 * (number + 1)).await;
        let lines = lubdub.logged();
        let told = lines.iter().rev().filter(|line| line["msg"] == refused);
        let told: Vec<_> = told
            .take(2)
            .map(|line| line["reason"].to_string())
            .collect();
        let has_words = |reason: &String| reason.replace("\\\"", "\"").contains(words);
        assert!(told.iter().any(has_words), "{words}: {told:?}");
        stage.write("ca.pem", new.pem());
        stage.write_identity("client", &second);
        pass(&lubdub, "/after").await;
        assert_eq!(certificate(after.meet().await), *second.certificate());
    }
}
