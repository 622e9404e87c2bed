//! Files that the configuration names, and what is in them, under a lubdub that is told to read them again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::certs::Certs;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use rustix::process::Signal;
use serde_json::Value;

/// Files of a test, beside its configuration.
struct Place {
    folder: PathBuf,
    upstreams: Upstream,
}

impl Place {
    fn new(test: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("files-{test}"));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder of the test's own");
        Self {
            folder,
            upstreams: Upstream::listen(),
        }
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.folder.join(name), content).expect("a file of the test's own");
    }

    fn certificate(&self, name: &str, certs: &Certs) {
        self.write(&format!("{name}.pem"), certs.chain_pem());
        self.write(&format!("{name}.key"), certs.key_pem());
    }

    /// Replaces a file by a pipe that nobody writes to.
    fn pipe(&self, name: &str) {
        let path = self.folder.join(name);
        let _ = fs::remove_file(&path);
        let made = Command::new("mkfifo").arg(path).status();
        assert!(made.expect("mkfifo runs").success());
    }

    fn configure(&self, more: &str) -> PathBuf {
        let text = format!(
            "listen.main.address = \"127.0.0.1:0\"\n\
             upstream.main.url = \"ws://{}\"\n\
             admin.address = \"127.0.0.1:0\"\n{more}",
            self.upstreams.address()
        );
        self.write("lubdub.toml", &text);
        self.folder.join("lubdub.toml")
    }
}

async fn reload(lubdub: &Binary) -> (u16, Value) {
    let (status, said) = lubdub.change("/api/v1/reload", "{}").await;
    (status, serde_json::from_str(&said).expect("JSON"))
}

fn of_certificates(names: &[&str]) -> String {
    let table = |name: &&str| {
        format!(
            "[listen.main.tls.certificate.{name}]\ncert = \"{name}.pem\"\nkey = \"{name}.key\"\n"
        )
    };
    names.iter().map(table).collect()
}

/// The first is for who asks for no name: that another one became the first was told nowhere.
#[tokio::test]
async fn certificates_in_another_order_are_told() {
    let place = Place::new("order");
    let (a, b) = (Certs::generate(), Certs::generate());
    place.certificate("a", &a);
    place.certificate("b", &b);
    let lubdub = Binary::start_from(&place.configure(&of_certificates(&["a", "b"]))).await;
    place.configure(&of_certificates(&["b", "a"]));
    let (status, said) = reload(&lubdub).await;
    assert_eq!(status, 200, "{said}");
    let changes = said["changes"].as_array().expect("changes");
    assert_eq!(changes.len(), 1, "{said}");
    let told = &changes[0];
    assert_eq!(told["key"], "listen.main.tls.certificate");
    assert_eq!(
        (&told["before"], &told["after"]),
        (&"a, b".into(), &"b, a".into())
    );
    assert_eq!(told["applies"], "for new connections");
    let (client, _upstream) = lubdub
        .dial()
        .tls(b.connecting())
        .pair(&place.upstreams)
        .await;
    drop(client);
    let (_, said) = reload(&lubdub).await;
    assert_eq!(said["changes"], Value::Array(Vec::new()));
}

/// What the watch has taken is in use, and no change of the reload's.
#[tokio::test]
async fn a_certificate_that_was_found_by_itself_is_not_told_again() {
    let place = Place::new("watched");
    place.certificate("a", &Certs::generate());
    let watched = format!(
        "listen.main.tls.watch = \"10ms\"\n{}",
        of_certificates(&["a"])
    );
    let lubdub = Binary::start_from(&place.configure(&watched)).await;
    place.certificate("a", &Certs::generate());
    lubdub.expect_logged("a new certificate is in use").await;
    let (status, said) = reload(&lubdub).await;
    assert_eq!((status, &said["changes"]), (200, &Value::Array(Vec::new())));
}

/// The reload waited for ever, and all that came after it as well.
#[tokio::test]
async fn a_pipe_that_nobody_writes_to_holds_up_no_reload_for_long() {
    let place = Place::new("pipe");
    place.write("token", "s3cret");
    let plain = place.configure("");
    let lubdub = Binary::start_from(&plain).await;
    place.pipe("token");
    place.configure("admin.token_file = \"token\"\n");
    let refused = "the reload is refused: all is as it was";
    lubdub.signal(Signal::HUP);
    let line = lubdub.expect_logged(refused).await;
    let reason = line["reason"].as_str().expect("a reason");
    for part in [
        "admin.token_file = \"token\"",
        "no regular file",
        "nothing has come",
    ] {
        assert!(reason.contains(part), "{part:?} is not in {reason:?}");
    }
    // The configuration itself.
    place.pipe("lubdub.toml");
    let (status, said) = reload(&lubdub).await;
    assert_eq!(status, 422, "{said}");
    let mistake = said["mistakes"][0].as_str().expect("a mistake");
    assert!(
        mistake.contains("lubdub.toml") && mistake.contains("nothing has come"),
        "{mistake}"
    );
    fs::remove_file(&plain).expect("it is there");
    place.configure("");
    let (status, said) = reload(&lubdub).await;
    assert_eq!((status, &said["outcome"]), (200, &"applied".into()));
    let mut client = lubdub.dial().connect().await;
    client.ask(&Request::upgrade("/")).await;
    place.upstreams.accept().await.accept_upgrade().await;
    client.expect_switch().await;
}
