//! `listen.NAME.tls`: whose certificate clients see, and which of theirs lubdub wants to see.

use std::fs;
use std::sync::Arc;

use lubdub_testkit::certs::Certs;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::expect_alive;

use super::stage::{Place, Stage};
use super::{Trials, trials};

pub(super) const TRIALS: Trials = trials! {
    "listen.NAME.tls.client_auth" => client_auth,
    "listen.NAME.tls.client_ca" => client_ca,
    "listen.NAME.tls.client_crl" => client_crl,
    "listen.NAME.tls.subject_header" => subject_header,
    "listen.NAME.tls.watch" => watch,
    "listen.NAME.tls.certificate.NAME.cert" => certificate,
    "listen.NAME.tls.certificate.NAME.key" => certificate,
};

/// The files of a certificate.
struct Files {
    cert: String,
    key: String,
}

impl Files {
    fn new(place: Place, name: &str, certs: &Certs) -> Self {
        let path = |part: &str| {
            place
                .file(&format!("{name}-{part}.pem"))
                .display()
                .to_string()
        };
        let files = Self {
            cert: path("cert"),
            key: path("key"),
        };
        files.show(certs);
        files
    }

    fn show(&self, certs: &Certs) {
        fs::write(&self.cert, certs.chain_pem()).expect("a file");
        fs::write(&self.key, certs.key_pem()).expect("a file");
    }
}

const CERT: &str = "listen.main.tls.certificate.main.cert";
const KEY: &str = "listen.main.tls.certificate.main.key";

/// Files that are written anew are found when they are watched.
async fn watch(place: Place) {
    let (old, new) = (Certs::generate(), Certs::generate());
    let files = Files::new(place, "main", &old);
    let settings = [(CERT, &*files.cert), (KEY, &*files.key)];
    let mut stage = place.stage_at("off", &settings).await;
    stage.set(place, "10ms").await;
    files.show(&new);
    stage
        .lubdub
        .expect_logged("a new certificate is in use")
        .await;
    shows(&stage, &new).await;
}

async fn shows(stage: &Stage, certs: &Certs) {
    let mut client = stage.dial().tls(certs.connecting()).connect().await;
    client.ask(&Request::get("/")).await;
    stage.answers().await;
    client.expect_answer(200).await;
}

/// Either key is of no use without the other: the files change together, or one holds something else.
async fn certificate(place: Place) {
    let (old, new, newest) = (Certs::generate(), Certs::generate(), Certs::generate());
    let first = Files::new(place, "first", &old);
    let second = Files::new(place, "second", &new);
    let settings = [
        (CERT, &*first.cert),
        (KEY, &*first.key),
        ("listen.main.tls.watch", "off"),
    ];
    let mut stage = place.stage(&settings).await;
    let (client, upstream) = stage
        .dial()
        .tls(old.connecting())
        .pair(&stage.upstreams)
        .await;
    let mut early = (client, upstream);
    stage
        .set_all(&[(CERT, &second.cert), (KEY, &second.key)])
        .await;
    shows(&stage, &new).await;
    // The same files hold another pair.
    second.show(&newest);
    stage
        .set_all(&[(CERT, &second.cert), (KEY, &second.key)])
        .await;
    shows(&stage, &newest).await;
    // And nothing is told of what is known.
    stage.set_all(&[]).await;
    expect_alive(&mut early).await;
}

/// A file with this text.
fn written(place: Place, name: &str, text: &str) -> String {
    let path = place.file(name);
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

const AUTH: &str = "listen.main.tls.client_auth";
const CLIENT_CA: &str = "listen.main.tls.client_ca";

/// A client without a certificate comes in, and then does not.
async fn client_auth(place: Place) {
    let certs = Certs::generate();
    let files = Files::new(place, "main", &certs);
    let clients = written(place, "clients.pem", certs.ca_pem());
    let settings = [
        (CERT, &*files.cert),
        (KEY, &*files.key),
        (CLIENT_CA, &clients),
    ];
    let mut stage = place.stage_at("off", &settings).await;
    shows(&stage, &certs).await;
    stage.set(place, "required").await;
    let told = stage.dial().tls(certs.connecting()).expect_no_tls().await;
    assert!(told.contains("CertificateRequired"), "{told}");
}

/// The clients of one authority come in, and then those of another.
async fn client_ca(place: Place) {
    let (certs, others) = (Certs::generate(), Certs::generate());
    let files = Files::new(place, "main", &certs);
    let (first, second) = (
        written(place, "first.pem", certs.ca_pem()),
        written(place, "second.pem", others.ca_pem()),
    );
    let settings = [(CERT, &*files.cert), (KEY, &*files.key), (AUTH, "required")];
    let mut stage = place.stage_at(&first, &settings).await;
    let client = certs.connecting_as(&certs.client("client"));
    comes_in(&stage, &client).await;
    stage.set(place, &second).await;
    let told = stage.dial().tls(client).expect_no_tls().await;
    assert!(told.contains("UnknownCA"), "{told}");
}

/// A client comes in until it is on the list.
async fn client_crl(place: Place) {
    let certs = Certs::generate();
    let client = certs.client("client");
    let files = Files::new(place, "main", &certs);
    let clients = written(place, "clients.pem", certs.ca_pem());
    let (none, one) = (
        written(place, "none.pem", &certs.revoking(&[])),
        written(place, "one.pem", &certs.revoking(&[&client])),
    );
    let settings = [
        (CERT, &*files.cert),
        (KEY, &*files.key),
        (AUTH, "required"),
        (CLIENT_CA, &clients),
    ];
    let mut stage = place.stage_at(&none, &settings).await;
    let client = certs.connecting_as(&client);
    comes_in(&stage, &client).await;
    stage.set(place, &one).await;
    let told = stage.dial().tls(client).expect_no_tls().await;
    assert!(told.contains("CertificateRevoked"), "{told}");
}

async fn comes_in(stage: &Stage, config: &Arc<rustls::ClientConfig>) {
    let mut client = stage.dial().tls(Arc::clone(config)).connect().await;
    client.ask(&Request::get("/")).await;
    stage.answers().await;
    client.expect_answer(200).await;
}

/// What the client says itself is taken out, under one name and then under the other.
async fn subject_header(place: Place) {
    let certs = Certs::generate();
    let files = Files::new(place, "main", &certs);
    let settings = [(CERT, &*files.cert), (KEY, &*files.key)];
    let mut stage = place.stage_at("X-First", &settings).await;
    for (passes, goes) in [("x-second", "x-first"), ("x-first", "x-second")] {
        if goes == "x-second" {
            stage.set(place, "X-Second").await;
        }
        let request = Request::upgrade("/")
            .field("X-First", "1")
            .field("X-Second", "2");
        let mut client = stage.dial().tls(certs.connecting()).connect().await;
        client.ask(&request).await;
        let head = stage.upstreams.accept().await.expect_head().await;
        assert!(head.field(passes).is_some(), "{head:#?}");
        assert_eq!(head.field(goes), None, "{head:#?}");
    }
}
