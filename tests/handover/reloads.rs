//! Reloads under the same crowd: routes, upstreams, the heartbeat and certificates change, and no pair
//! notices.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use lubdub_testkit::binary;
use lubdub_testkit::certs::Certs;
use lubdub_testkit::peer::{Dial, Peer};
use rustix::process::Signal;
use tokio::time::{sleep, timeout};

use crate::backend::Backend;
use crate::crowd::{Crowd, Kind};
use crate::lineage::{Lineage, PATIENCE};
use crate::{VISITORS, Visitors, kinds, pairs};

const RELOADS: usize = 20;
/// After so many of them comes one that is refused, and after so many a new certificate.
const REFUSED_AFTER: [usize; 3] = [3, 9, 15];
const RENEWED_AFTER: [usize; 3] = [5, 11, 17];
/// The lines of what came of it.
const APPLIED: &str = "configuration reloaded";
const REFUSED: &str = "the reload is refused: all is as it was";

/// The configuration and the certificate, as files.
struct Files {
    place: PathBuf,
    backends: [std::net::SocketAddr; 2],
}

impl Files {
    fn new(backends: [&Backend; 2]) -> Self {
        let place = std::env::temp_dir().join(format!("lubdub-reloads-{}", std::process::id()));
        fs::create_dir_all(&place).expect("a directory of the test's own");
        let backends = backends.map(|backend| backend.address);
        Self { place, backends }
    }

    fn show(&self, certs: &Certs) {
        fs::write(self.place.join("cert.pem"), certs.chain_pem()).expect("a file");
        fs::write(self.place.join("key.pem"), certs.key_pem()).expect("a file");
    }

    /// The `n`th configuration: each differs from the one before in a route, an upstream or the heartbeat.
    fn say(&self, n: usize) {
        let [first, second] = self.backends;
        let interval = [5, 4, 6][n % 3];
        let (main, side) = if n.is_multiple_of(2) {
            (first, second)
        } else {
            (second, first)
        };
        let route = format!("side-{}", n / 2);
        let text = format!(
            "[listen]\nopen.address = \"127.0.0.1:0\"\nsecret.address = \"127.0.0.1:0\"\n\
             [listen.secret.tls]\nwatch = \"off\"\n\
             certificate.main = {{ cert = \"cert.pem\", key = \"key.pem\" }}\n\
             [admin]\naddress = \"127.0.0.1:0\"\n[log]\nformat = \"json\"\n\
             [upstream]\nmain.url = \"ws://{main}\"\nside.url = \"ws://{side}\"\n\
             [route]\nmain.upstream = \"main\"\n\
             {route} = {{ upstream = \"side\", path_prefix = \"/{route}\" }}\n\
             [keepalive]\nclient = {{ interval = \"{interval}s\", timeout = \"10s\" }}\n\
             upstream = {{ interval = \"{interval}s\", timeout = \"10s\" }}\n\
             [timeouts]\nwrite_stall = \"10m\"\n"
        );
        self.write(&text);
    }

    fn write(&self, text: &str) {
        fs::write(self.path(), text).expect("a file");
    }

    fn path(&self) -> PathBuf {
        self.place.join("lubdub.toml")
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.place);
    }
}

/// Own pings that this side has answered.
async fn answered(lubdub: &Lineage, side: &str) -> f64 {
    let scrape = lubdub.scrape().await;
    scrape.sum("lubdub_pongs_received_total", &[("side", side)])
}

/// Sends a message over TLS and gets the answer to it.
async fn talk(client: &mut Peer, number: u64) {
    let message = number.to_be_bytes();
    client
        .send(crate::wire::frame(0x82, &message, Some([1, 2, 3, 4])))
        .await;
    client
        .expect_raw(&crate::wire::frame(0x82, &message, None))
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_pair_notices_a_reload() {
    let (first, second) = (Backend::start(), Backend::start());
    let files = Files::new([&first, &second]);
    let mut certs = Certs::generate();
    files.show(&certs);
    files.say(0);
    let arguments = ["--config".to_owned(), files.path().display().to_string()];
    let lubdub = Lineage::launch_as_is(&binary::path(), &arguments).await;
    let (open, secret) = (
        lubdub.listener("open").await,
        lubdub.listener("secret").await,
    );
    let kinds = kinds(pairs());
    let crowd = Crowd::connect(open, &kinds).await;
    let count = crowd.len();
    let mut with_tls = Vec::new();
    let visitors = Visitors::to(open, VISITORS);
    for n in 1..=RELOADS {
        let mut client = Dial::to(secret).tls(certs.connecting()).websocket().await;
        client.answer_pings();
        with_tls.push(client);
        files.say(n);
        if RENEWED_AFTER.contains(&n) {
            // Half of it first: it does not match the key, and nothing is changed by it.
            let next = Certs::generate();
            fs::write(files.place.join("cert.pem"), next.chain_pem()).expect("a file");
            let refused = lubdub.count(REFUSED);
            lubdub.signal(Signal::HUP);
            lubdub.nth(REFUSED, refused).await;
            certs = next;
            files.show(&certs);
        }
        let applied = lubdub.count(APPLIED);
        lubdub.signal(Signal::HUP);
        lubdub.nth(APPLIED, applied).await;
        if REFUSED_AFTER.contains(&n) {
            let refused = lubdub.count(REFUSED);
            files.write("[upstream]\nmain.url = \"nowhere\"\n");
            lubdub.signal(Signal::HUP);
            lubdub.nth(REFUSED, refused).await;
        }
    }
    for client in &mut with_tls {
        talk(client, 0).await;
    }
    // Each heartbeat goes on. Who is in the middle of a frame, or reads nothing, cannot be pinged at both ends.
    let beats = |(kind, _): &&(Kind, usize)| !matches!(kind, Kind::Halfway | Kind::Deaf);
    let beating: usize = kinds.iter().filter(beats).map(|(_, count)| count).sum();
    let beaten = async {
        for side in ["client", "upstream"] {
            let before = answered(&lubdub, side).await;
            while answered(&lubdub, side).await < before + beating as f64 {
                sleep(Duration::from_millis(100)).await;
            }
        }
    };
    let in_time = timeout(PATIENCE, beaten).await.is_ok();
    assert!(in_time, "not all answer pings");
    let (came, wrong) = visitors.stop();
    assert!(wrong.is_empty(), "of {came} visitors: {wrong:?}");
    let scrape = lubdub.scrape().await;
    for cause in ["client_lapsed", "upstream_lapsed", "internal", "drain"] {
        let ended = scrape.sum("lubdub_pairs_closed_total", &[("cause", cause)]);
        assert_eq!(ended, 0.0, "{cause}");
    }
    let generation = scrape.sum("lubdub_config_reloads_total", &[("outcome", "applied")]);
    let refused = scrape.sum("lubdub_config_reloads_total", &[("outcome", "refused")]);
    let outcomes = crowd.finish().await;
    assert!(
        outcomes.is_empty(),
        "{} of {count}: {:?}",
        outcomes.len(),
        outcomes.first()
    );
    for backend in [first, second] {
        let wrong = backend.wrong.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(wrong, 0, "the backend has seen what must not be");
    }
    println!(
        "{count} pairs and {} with TLS went through {generation} reloads, {refused} that were refused and {} new certificates, and {came} visitors",
        with_tls.len(),
        RENEWED_AFTER.len(),
    );
}
