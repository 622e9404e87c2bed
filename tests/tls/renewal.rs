//! Certificates in files, while lubdub runs: new ones are taken, what is no good changes nothing, and no
//! pair notices either.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lubdub_testkit::binary::Binary;
use lubdub_testkit::certs::Certs;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::{Peer, Upstream, expect_alive};
use rustix::process::Signal;
use serde_json::Value;

use crate::files::Files;

const TAKEN: &str = "a new certificate is in use";
const REFUSED: &str = "the files of a certificate cannot be used; the one before stays in use";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A pair whose client trusts the authority of `certs` and nobody else.
async fn pair(lubdub: &Binary, upstreams: &Upstream, certs: &Certs) -> (Peer, Peer) {
    let client = lubdub.dial().tls(certs.connecting());
    client.pair(upstreams).await
}

async fn expiry(lubdub: &Binary, certificate: &str) -> f64 {
    let labels = [("listener", "main"), ("certificate", certificate)];
    let name = "lubdub_tls_certificate_expiry_timestamp_seconds";
    lubdub.scrape().await.sum(name, &labels)
}

/// A moment that certificates can say, so long from now.
fn after(duration: Duration) -> (SystemTime, f64) {
    let time = SystemTime::now() + duration;
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .expect("it is later than 1970");
    let seconds = seconds.as_secs();
    (UNIX_EPOCH + Duration::from_secs(seconds), seconds as f64)
}

fn refusals(lubdub: &Binary) -> Vec<Value> {
    let mut lines = lubdub.logged();
    lines.retain(|line| line["msg"] == REFUSED);
    lines
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_new_clients_and_live_pairs_go_on() {
    let ((soon, soon_seconds), (later, later_seconds)) = (after(20 * DAY), after(90 * DAY));
    let (old, new) = (Certs::until(soon), Certs::until(later));
    let files = Files::new("renewed");
    files.put("main", &old);
    let upstreams = Upstream::listen();
    let lubdub = files.lubdub(&upstreams, &["main"]).await;
    assert_eq!(expiry(&lubdub, "main").await, soon_seconds);
    let mut live = pair(&lubdub, &upstreams, &old).await;
    let half_way = lubdub.dial().tls(old.connecting()).half_way().await;

    // One after the other: between the two they do not fit.
    files.replace("main/cert.pem", new.chain_pem());
    files.replace("main/key.pem", new.key_pem());
    let line = lubdub.expect_logged(TAKEN).await;
    assert_eq!(
        (&line["listener"], &line["certificate"], &line["names"]),
        (&"main".into(), &"main".into(), &"localhost".into())
    );
    assert!(
        line["not_after"]
            .as_str()
            .is_some_and(|at| at.ends_with('Z')),
        "{line}"
    );
    assert_eq!(expiry(&lubdub, "main").await, later_seconds);
    expect_alive(&mut live).await;
    let mut next = pair(&lubdub, &upstreams, &new).await;
    expect_alive(&mut next).await;
    expect_alive(&mut live).await;

    let mut client = half_way.finish().await;
    client.ask(&Request::upgrade("/")).await;
    let mut upstream = upstreams.accept_websocket().await;
    client.expect_switch().await;
    upstream.send_text("hello").await;
    client.expect_text("hello").await;
}

/// Certificates in Kubernetes are links to `..data/`, which is a link to a directory; certbot's are links
/// to files.
#[tokio::test]
async fn a_symbolic_link_that_leads_elsewhere_is_a_renewal() {
    let (old, new) = (Certs::generate(), Certs::generate());
    let files = Files::new("links");
    files.fill("monday", &old);
    files.fill("tuesday", &new);
    files.link("..data", "monday");
    fs::create_dir(files.path("main")).expect("a new directory");
    files.link("main/cert.pem", "../..data/cert.pem");
    files.link("main/key.pem", "../..data/key.pem");
    let upstreams = Upstream::listen();
    let lubdub = files.lubdub(&upstreams, &["main"]).await;
    let mut live = pair(&lubdub, &upstreams, &old).await;

    files.link("..data", "tuesday");
    lubdub.expect_logged(TAKEN).await;
    expect_alive(&mut pair(&lubdub, &upstreams, &new).await).await;
    expect_alive(&mut live).await;
    assert!(refusals(&lubdub).is_empty(), "{:#?}", refusals(&lubdub));
}

#[tokio::test]
async fn files_that_cannot_be_used_change_nothing_and_are_told_of_once() {
    let (old, new) = (Certs::generate(), Certs::generate());
    let (expired, early) = (
        Certs::until(SystemTime::now() - DAY),
        Certs::from(SystemTime::now() + DAY),
    );
    let files = Files::new("refused");
    files.put("main", &old);
    files.put("other", &Certs::generate());
    let upstreams = Upstream::listen();
    let lubdub = files.lubdub(&upstreams, &["main", "other"]).await;
    let mut live = pair(&lubdub, &upstreams, &old).await;
    let mut taken = 0;
    let chain = new.chain_pem();
    let half = &chain[..chain.len() / 2];
    type Change<'a> = Box<dyn Fn() + 'a>;
    let states: [(&str, Change<'_>); 6] = [
        (
            ".cert = \"",
            Box::new(|| files.replace("main/cert.pem", half)),
        ),
        (
            "does not belong to listen.main.tls.certificate.main.cert",
            Box::new(|| files.replace("main/cert.pem", chain)),
        ),
        (
            "cannot be read: No such file or directory",
            Box::new(|| fs::remove_file(files.path("main/key.pem")).expect("it was there")),
        ),
        (
            "names a file without a private key",
            Box::new(|| files.replace("main/key.pem", "")),
        ),
        ("it expired on 20", Box::new(|| files.put("main", &expired))),
        (
            "it is not valid before 20",
            Box::new(|| files.put("main", &early)),
        ),
    ];
    for (n, (reason, change)) in (1..).zip(&states) {
        change();
        let line = lubdub.expect_logged_times(REFUSED, n).await;
        let told = line["reason"].as_str().unwrap_or_default();
        assert!(told.contains(reason), "{reason}: {line}");
        // The other certificate is looked at in the same round: so the first is, at least so often.
        for _ in 0..3 {
            files.put("other", &Certs::generate());
            taken += 1;
            lubdub.expect_logged_times(TAKEN, taken).await;
        }
        assert_eq!(refusals(&lubdub).len(), n, "{:#?}", refusals(&lubdub));
        expect_alive(&mut pair(&lubdub, &upstreams, &old).await).await;
        expect_alive(&mut live).await;
    }

    files.put("main", &new);
    let line = lubdub.expect_logged_times(TAKEN, taken + 1).await;
    assert_eq!(line["certificate"], "main");
    expect_alive(&mut pair(&lubdub, &upstreams, &new).await).await;
    expect_alive(&mut live).await;
}

#[tokio::test]
async fn each_name_has_its_certificate() {
    let certs = [
        ("a", Certs::of(&["a.example", "localhost"])),
        ("b", Certs::of(&["b.example"])),
        ("c", Certs::of(&["*.c.example"])),
    ];
    let files = Files::new("names");
    for (name, certs) in &certs {
        files.put(name, certs);
    }
    let upstreams = Upstream::listen();
    let lubdub = files.lubdub(&upstreams, &["a", "b", "c"]).await;
    for (asked, shown) in [
        ("a.example", 0),
        ("b.example", 1),
        ("x.c.example", 2),
        ("localhost", 0),
    ] {
        let client = lubdub
            .dial()
            .tls(certs[shown].1.connecting())
            .asking_for(asked);
        let mut pair = client.pair(&upstreams).await;
        expect_alive(&mut pair).await;
    }
    // The first, which is not for this name: the client says no.
    let stranger = lubdub
        .dial()
        .tls(certs[0].1.connecting())
        .asking_for("d.example");
    let refused = stranger
        .open()
        .await
        .expect_err("no certificate is for this name");
    assert!(
        refused.to_string().contains("not valid for name"),
        "{refused}"
    );

    // A renewal may bring another name.
    let more = Certs::of(&["b.example", "d.example"]);
    files.put("b", &more);
    lubdub.expect_logged(TAKEN).await;
    let client = lubdub.dial().tls(more.connecting()).asking_for("d.example");
    let mut pair = client.pair(&upstreams).await;
    expect_alive(&mut pair).await;
}

#[tokio::test]
async fn a_reload_reads_certificates_at_once_and_is_refused_if_they_are_no_good() {
    let (old, new) = (Certs::generate(), Certs::generate());
    let files = Files::new("reload");
    files.put("main", &old);
    let upstreams = Upstream::listen();
    let lubdub = files.lubdub_that_looks("off", &upstreams, &["main"]).await;
    let mut live = pair(&lubdub, &upstreams, &old).await;

    files.replace("main/cert.pem", new.chain_pem());
    lubdub.signal(Signal::HUP);
    let refused = "the reload is refused: all is as it was";
    let line = lubdub.expect_logged(refused).await;
    let reason = line["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("does not belong to"), "{line}");
    expect_alive(&mut pair(&lubdub, &upstreams, &old).await).await;

    // Nobody asks for one that nobody would accept.
    files.put("main", &Certs::until(SystemTime::now() - DAY));
    lubdub.signal(Signal::HUP);
    let line = lubdub.expect_logged_times(refused, 2).await;
    let reason = line["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("the one in use stays"), "{line}");
    expect_alive(&mut pair(&lubdub, &upstreams, &old).await).await;

    files.put("main", &new);
    lubdub.signal(Signal::HUP);
    let line = lubdub.expect_logged(TAKEN).await;
    assert_eq!(line["certificate"], "main");
    expect_alive(&mut pair(&lubdub, &upstreams, &new).await).await;
    expect_alive(&mut live).await;
    assert!(expiry(&lubdub, "main").await > 0.0);
}

/// The thread that looks goes on with what a reload has read.
#[tokio::test]
async fn a_renewal_after_a_reload_is_taken() {
    let (old, new) = (Certs::generate(), Certs::generate());
    let files = Files::new("reload_then_renewal");
    files.put("main", &old);
    let upstreams = Upstream::listen();
    let lubdub = files.lubdub(&upstreams, &["main"]).await;
    lubdub.signal(Signal::HUP);
    lubdub.expect_logged("configuration reloaded").await;
    expect_alive(&mut pair(&lubdub, &upstreams, &old).await).await;
    files.put("main", &new);
    lubdub.expect_logged(TAKEN).await;
    expect_alive(&mut pair(&lubdub, &upstreams, &new).await).await;
}
