//! Pairs that are asked to stand still while they run, and what this process keeps of them.

use lubdub_metrics::Cause;
use rcgen::{CertificateParams, KeyPair};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::{PrivateKeyDer, ServerName};
use tokio::sync::mpsc;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::task::TaskTracker;

use super::*;
use crate::frozen::{Frozen, FrozenPair};
use crate::registry::Order;
use crate::worker::Workers;

/// A pair that runs, and its entry.
struct Running {
    registry: Arc<Registry>,
    metrics: Metrics,
    far: PerSide<StdStream>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn begin(terms: Terms) -> Self {
        let Pair {
            splice,
            metrics,
            far,
        } = Pair::open(terms).await;
        for side in Side::BOTH {
            far[side].set_read_timeout(Some(10 * SECOND)).unwrap();
        }
        Self {
            registry: splice.registration.shared_registry(),
            task: tokio::spawn(splice.run()),
            metrics,
            far,
        }
    }

    async fn freeze(&self) -> Result<Box<FrozenPair>, Kept> {
        let (freezer, mut answers) = mpsc::unbounded_channel();
        self.registry.freeze(&self.registry.pairs(), freezer);
        let Frozen { pair, outcome } = answers.recv().await.expect("an answer");
        assert_eq!(pair, 1);
        outcome
    }

    /// Lets a side say something, and the other hear it.
    async fn relays(&mut self, from: Side, frame: &[u8]) {
        self.far[from].write_all(frame).unwrap();
        let mut far = self.far[from.other()].try_clone().unwrap();
        let len = frame.len();
        let heard = tokio::task::spawn_blocking(move || {
            let mut heard = vec![0; len];
            far.read_exact(&mut heard).map(|()| heard)
        });
        assert_eq!(heard.await.unwrap().expect("it is relayed"), frame);
    }

    fn count(&self, series: &str) -> u64 {
        let page = self.metrics.render();
        let values = page.lines().filter(|line| line.starts_with(series));
        values
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }
}

#[tokio::test]
async fn a_pair_that_is_asked_to_stands_still_and_goes_on_here() {
    let mut running = Running::begin(Terms::default()).await;
    running.relays(Side::Client, &masked(0x81, b"before")).await;
    let frozen = running.freeze().await.expect("it can");
    assert!(running.task.is_finished() || (&mut running.task).await.is_ok());
    let text = masked(0x81, b"meanwhile");
    running.far.client.write_all(&text).unwrap();
    assert_eq!(running.registry.len(), 1, "it is still this process's");

    let workers = Workers::start(NonZeroUsize::MIN, true, || (), &TaskTracker::new()).unwrap();
    frozen.thaw(workers.crew().on_duty(0)).unwrap();
    let mut heard = vec![0; text.len()];
    let mut far = running.far.upstream.try_clone().unwrap();
    let heard = tokio::task::spawn_blocking(move || far.read_exact(&mut heard).map(|()| heard));
    assert_eq!(heard.await.unwrap().unwrap(), text);
    running.relays(Side::Upstream, b"\x82\x03abc").await;
    // Its orders reach it.
    assert!(running.freeze().await.is_ok(), "and once more");
}

/// Its first turn had nothing to do but to relay, and left the sleep as it had come: nobody woke it for
/// its pings.
#[tokio::test]
async fn a_pair_that_goes_on_is_woken_for_its_next_ping() {
    const INTERVAL: Duration = Duration::from_millis(500);
    let mut running =
        Running::begin(pinged(Side::Client, INTERVAL, 60 * SECOND, Evidence::Any)).await;
    // It has had a turn, and arranged to be woken.
    running.relays(Side::Client, &masked(0x81, b"a")).await;
    let frozen = running.freeze().await.expect("it can");
    let workers = Workers::start(NonZeroUsize::MIN, true, || (), &TaskTracker::new()).unwrap();
    frozen.thaw(workers.crew().on_duty(0)).unwrap();
    let mut far = running.far.client.try_clone().unwrap();
    let mut ping = [0; 18];
    let heard = tokio::task::spawn_blocking(move || far.read_exact(&mut ping).map(|()| ping));
    let ping = heard.await.unwrap().expect("a ping within 10 s");
    assert_eq!(ping[..2], [0x89, 16]);
    assert_eq!(ping[2..], own_payload(0));
}

#[tokio::test]
async fn a_pair_that_is_another_process_s_is_not_counted_as_ended() {
    let mut running = Running::begin(Terms::default()).await;
    let text = masked(0x81, b"before");
    running.relays(Side::Client, &text).await;
    let frozen = running.freeze().await.expect("it can");
    assert_eq!(
        running.count("lubdub_bytes_total"),
        text.len() as u64,
        "told at once"
    );
    let others = PerSide::from_fn(|side| frozen.sockets[side].try_clone().unwrap());
    frozen.forget();
    assert_eq!(running.registry.len(), 0);
    assert_eq!(running.count("lubdub_pairs_opened_total"), 1);
    assert_eq!(running.count("lubdub_pairs_closed_total"), 0);
    assert_eq!(running.count("lubdub_pairs{"), 0);
    // The connections live on: neither ended nor reset.
    let mut near = StdStream::from(others.upstream);
    near.set_nonblocking(false).unwrap();
    near.write_all(b"alive").unwrap();
    let mut heard = [0; 5];
    running.far.upstream.read_exact(&mut heard).unwrap();
    running.far.client.set_nonblocking(true).unwrap();
    let ended = running.far.client.read(&mut heard).unwrap_err();
    assert_eq!(ended.kind(), std::io::ErrorKind::WouldBlock);
}

/// Whoever loses a pair by mistake must not lose it without a word.
#[tokio::test]
async fn a_pair_that_is_neither_thawed_nor_forgotten_is_counted() {
    let running = Running::begin(Terms::default()).await;
    drop(running.freeze().await.expect("it can"));
    assert_eq!(
        running.count("lubdub_pairs_closed_total{route=\"main\",cause=\"internal\""),
        1
    );
}

#[tokio::test]
async fn a_pair_that_is_coming_to_its_end_says_so_and_goes_on() {
    let mut running = Running::begin(Terms::default()).await;
    running
        .relays(Side::Client, &masked_control(0x88, &1000_u16.to_be_bytes()))
        .await;
    assert_eq!(running.freeze().await.unwrap_err(), Kept::Ending);
    running.relays(Side::Upstream, &[0x88, 2, 3, 0xE8]).await;
    drop(running.far);
    running.task.await.unwrap();
    assert_eq!(running.registry.len(), 0);
}

#[tokio::test]
async fn a_pair_that_was_ordered_to_go_does() {
    for order in [Order::Drain, Order::Cut] {
        let running = Running::begin(Terms::default()).await;
        running.registry.order_all(order);
        let kept = running.freeze().await.unwrap_err();
        assert!(
            matches!(kept, Kept::Ending | Kept::Ended),
            "{order:?}: {kept}"
        );
    }
}

#[tokio::test]
async fn a_pair_that_is_gone_before_it_is_asked_has_ended() {
    let running = Running::begin(Terms::default()).await;
    running.task.abort();
    assert_eq!(running.freeze().await.unwrap_err(), Kept::Ended);
}

#[tokio::test]
async fn a_side_that_speaks_tls_stays_where_its_keys_are() {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();

    let mut pair = Pair::open(Terms::default()).await;
    let (near, far) = connection().await;
    let Leg::Plain(near) = near else {
        unreachable!("a connection is plain");
    };
    far.set_nonblocking(true).unwrap();
    let far = TcpStream::from_std(far).unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(client));
    let (near, _far) = tokio::join!(
        TlsAcceptor::from(Arc::new(server)).accept(near),
        connector.connect(name, far)
    );
    let leg = Leg::Tls(Box::new(near.unwrap().into()));
    pair.splice.ends.client.leg = Some(leg);
    let kept = pair.splice.give_up(&Anchor::now()).err();
    assert_eq!(kept, Some(Kept::Tls));
    assert!(
        pair.splice.ends.upstream.leg.is_some(),
        "it has its sockets"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_ending_cannot_be_given_up() {
    let mut pair = Pair::open(Terms::default()).await;
    pair.wake(1024);
    pair.splice.end(Cause::Lifetime, None, clock());
    let kept = pair.splice.give_up(&Anchor::now()).err();
    assert_eq!(kept, Some(Kept::Ending));
    assert!(pair.splice.ends.client.leg.is_some(), "it has its sockets");
}
