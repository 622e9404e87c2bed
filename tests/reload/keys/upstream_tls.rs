//! `upstream.NAME`: who is believed to be it, and what it is shown of lubdub.

use std::fs;

use lubdub_testkit::backend::{Demands, Identity, TlsBackend};
use lubdub_testkit::http::Request;

use super::stage::{Place, Stage};
use super::{Trials, trials};

pub(super) const TRIALS: Trials = trials! {
    "upstream.NAME.certificate" => certificate,
    "upstream.NAME.key" => certificate,
    "upstream.NAME.server_name" => server_name,
    "upstream.NAME.insecure_skip_verify" => insecure_skip_verify,
};

const CERTIFICATE: &str = "upstream.main.certificate";
const KEY: &str = "upstream.main.key";

/// A file of the test's own.
fn file(place: Place, name: &str, text: &str) -> String {
    let path = place.file(name);
    fs::write(&path, text).expect("a file");
    path.display().to_string()
}

/// A lubdub before this backend, to which it connects for each request, and which is `trusted` or is not.
async fn before(
    place: Place,
    backend: &TlsBackend,
    trusted: &Identity,
    more: &[(&str, &str)],
) -> Stage {
    let url = format!("wss://localhost:{}", backend.address().port());
    let ca = file(place, "ca.pem", trusted.pem());
    let settings = [
        ("upstream.main.url", &*url),
        ("upstream.main.ca", &*ca),
        ("upstream.main.pool", "false"),
    ];
    place.stage(&[&settings, more].concat()).await
}

/// A request that is answered so: 204 by the backend, 502 by lubdub.
async fn expect(stage: &Stage, status: u16) {
    let mut client = stage.ask(&Request::get("/")).await;
    client.expect_answer(status).await;
}

async fn certificate(place: Place) {
    let server = Identity::self_signed("localhost", |_| {});
    let [first, second] = ["a.example", "b.example"].map(|name| {
        let identity = Identity::self_signed(name, |_| {});
        let certificate = file(place, &format!("{name}.pem"), identity.pem());
        let key = file(place, &format!("{name}.key"), identity.key_pem());
        (identity, certificate, key)
    });
    let demands = Demands {
        client: Some(&second.0),
        ..Demands::default()
    };
    let mut backend = TlsBackend::start(&server, &demands).await;
    let shown = [(CERTIFICATE, &*first.1), (KEY, &*first.2)];
    let mut stage = before(place, &backend, &server, &shown).await;
    expect(&stage, 502).await;
    // One of the two alone does not fit to the other.
    let (alone, other) = match place.key().as_str() {
        CERTIFICATE => ((CERTIFICATE, &*second.1), (KEY, &*second.2)),
        _ => ((KEY, &*second.2), (CERTIFICATE, &*second.1)),
    };
    let (status, said) = stage.try_set(&[alone]).await;
    assert_eq!(status, 422, "{said}");
    stage.set_all(&[alone, other]).await;
    expect(&stage, 204).await;
    let met = backend.meet().await;
    assert_eq!(met.certificate.as_ref(), Some(second.0.certificate()));
}

async fn server_name(place: Place) {
    let server = Identity::self_signed("chat.internal", |_| {});
    let mut backend = TlsBackend::start(&server, &Demands::default()).await;
    let named = [("upstream.main.server_name", "other.internal")];
    let mut stage = before(place, &backend, &server, &named).await;
    expect(&stage, 502).await;
    stage.set(place, "chat.internal").await;
    expect(&stage, 204).await;
    assert_eq!(backend.meet().await.name.as_deref(), Some("chat.internal"));
}

async fn insecure_skip_verify(place: Place) {
    let server = Identity::self_signed("localhost", |_| {});
    let stranger = Identity::self_signed("localhost", |_| {});
    let backend = TlsBackend::start(&server, &Demands::default()).await;
    let mut stage = before(place, &backend, &stranger, &[]).await;
    expect(&stage, 502).await;
    stage.set(place, "true").await;
    expect(&stage, 204).await;
    stage.set(place, "false").await;
    expect(&stage, 502).await;
}
