//! `lubdub demo`: two connections that freeze, one that does not, and what lubdub does about them.
//!
//! Everything in it is real: the proxy of `lubdub run` with short intervals, a backend and clients
//! that know nothing of it, sockets on loopback. The cast has a script ([`Manner`]); what the page
//! says does not: it is what the cast met and what the proxy's own events say.

mod backend;
mod guest;
mod narrator;
mod page;
mod peer;
mod stage;

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;

use self::backend::Backend;
use self::guest::Guest;
use self::narrator::{Ear, Narrator};
use self::page::Page;
use self::stage::{Manner, Person, Speaker, Stage};
use crate::commands::run::Running;
use crate::config::{self, Config, FlagValue, Machine, Sources};
use crate::logging;
use lubdub_proxy::handover::Sockets;

/// How often a side is pinged, and how long it has for a sign of life after that.
const INTERVAL: &str = "800ms";
const TIMEOUT: &str = "1s";
/// From one line about those who are well to the next: during the story, and after it.
const BEAT: Duration = Duration::from_secs(2);
const CALM_BEAT: Duration = Duration::from_secs(10);
/// A breath between the end of the story and what is said about it.
const BREATH: Duration = Duration::from_millis(300);
/// How long the cast has to tell of the ends that the drain brought them.
const CURTAIN: Duration = Duration::from_secs(1);
/// What the summary shows, in this order.
const SUMMARY: [&str; 5] = [
    "lubdub_pairs_opened_total",
    "lubdub_pairs_closed_total",
    "lubdub_lapses_total",
    "lubdub_pings_sent_total",
    "lubdub_pongs_received_total",
];

/// Why the demo ends.
enum Curtain {
    /// Its time is over.
    Time,
    /// A signal said so.
    Signal(&'static str),
    /// Nobody can read on.
    Unheard(io::Error),
}

/// Signals that end the demo.
struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

/// Runs the demo for `lasting`, or until a signal.
pub(crate) fn demo(lasting: Option<Duration>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let narrator = Arc::new(Narrator::new(Page::stdout()?));
    listen(&narrator)?;
    let played = runtime.block_on(play(&narrator, lasting));
    narrator.flush();
    played
}

async fn play(narrator: &Arc<Narrator>, lasting: Option<Duration>) -> anyhow::Result<()> {
    // Before anything is said: a signal that comes early must not be lost.
    let mut ending = Ending::listen()?;
    let stage = Arc::new(Stage::new(Arc::clone(narrator)));

    let backend = Backend::bind(Arc::clone(&stage)).await?;
    let echo = backend.local_addr()?;
    tokio::spawn(backend.serve());
    let running = Running::start(configuration(echo)?, None, Sockets::default())?;
    let addresses = running.proxy.addresses();
    let proxy = addresses.first().and_then(|(_, address)| address.ip());
    let proxy = proxy.context("the proxy does not listen")?;
    let admin = running
        .admin_address()
        .and_then(|address| address.ip())
        .context("the admin listener is off")?;
    narrator.write(&programme(proxy, echo, admin, lasting));

    for person in Person::ALL {
        let guest = Guest::connect(person, proxy, Arc::clone(&stage)).await?;
        tokio::spawn(guest.visit());
    }
    let curtain = tokio::select! {
        never = tell(&stage) => match never {},
        () = time(lasting) => Curtain::Time,
        name = ending.wait() => Curtain::Signal(name),
        error = narrator.unheard() => Curtain::Unheard(error),
    };
    let why = match curtain {
        Curtain::Time => "the time is over".to_owned(),
        Curtain::Signal(name) => format!("told to stop by {name}"),
        // `lubdub demo | head` has got what it wanted.
        Curtain::Unheard(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
        Curtain::Unheard(error) => return Err(error.into()),
    };
    narrator.say(
        Speaker::Lubdub,
        &format!("{why}: drains, with a Close to everybody who is left"),
    );
    running.drain().await;
    // Whoever has nothing to tell by now keeps nobody waiting.
    let _ = timeout(CURTAIN, stage.all_parted()).await;
    narrator.write(&summary(&running.metrics.render()));
    Ok(())
}

/// Lets the narrator hear what the proxy does. Of the ordinary log, only warnings are left.
fn listen(narrator: &Arc<Narrator>) -> anyhow::Result<()> {
    let ear = Ear::new(Arc::clone(narrator))
        .with_filter(Targets::new().with_target("lubdub_proxy", LevelFilter::DEBUG));
    let heard = registry().with(ear).with(logging::warnings()?);
    tracing::subscriber::set_global_default(heard)?;
    Ok(())
}

/// The demo's own configuration; what is set elsewhere is not looked at.
fn configuration(backend: SocketAddr) -> Result<Config, config::Mistakes> {
    let url = format!("ws://{backend}");
    let flags = [
        ("listen.demo.address", "127.0.0.1:0"),
        ("upstream.echo.url", &url),
        ("admin.address", "127.0.0.1:0"),
        ("keepalive.client.interval", INTERVAL),
        ("keepalive.client.timeout", TIMEOUT),
        ("keepalive.upstream.interval", INTERVAL),
        ("keepalive.upstream.timeout", TIMEOUT),
        ("timeouts.close", "1s"),
        ("drain.timeout", "2s"),
        ("runtime.workers", "1"),
    ];
    let sources = Sources {
        flags: flags
            .into_iter()
            .map(|(key, value)| FlagValue {
                flag: "demo",
                key: key.to_owned(),
                value: value.to_owned(),
            })
            .collect(),
        ..Sources::default()
    };
    config::load(&sources, &Machine::probe())
}

/// Tells the story to its end, and goes on with those who are left.
async fn tell(stage: &Stage) -> Infallible {
    let story = async {
        stage.parted(Person::Bob).await;
        stage.parted(Person::Cyd).await;
        sleep(BREATH).await;
    };
    tokio::select! {
        () = story => {}
        never = beats(&stage.narrator, BEAT) => match never {},
    }
    stage.narrator.say(
        Speaker::Lubdub,
        "nobody is left talking to a ghost; ann noticed nothing, and chats on",
    );
    beats(&stage.narrator, CALM_BEAT).await
}

async fn beats(narrator: &Narrator, period: Duration) -> Infallible {
    loop {
        sleep(period).await;
        narrator.beat();
    }
}

async fn time(lasting: Option<Duration>) {
    match lasting {
        Some(lasting) => sleep(lasting).await,
        None => std::future::pending().await,
    }
}

/// What there is to see, and where.
fn programme(
    proxy: SocketAddr,
    backend: SocketAddr,
    admin: SocketAddr,
    lasting: Option<Duration>,
) -> String {
    let end = match lasting {
        Some(lasting) => format!("It ends by itself after {lasting:?}, or with Ctrl-C."),
        None => "It goes on until Ctrl-C.".to_owned(),
    };
    format!(
        "\
lubdub demo: what becomes of WebSocket connections whose other end freezes

  proxy    ws://{proxy}
  backend  ws://{backend}, an echo server that knows nothing of lubdub
  metrics  http://{admin}/metrics

  try      curl -s http://{admin}/metrics | grep lubdub_lapses
           curl -s http://{admin}/api/v1/pairs

Three clients come in through the proxy: ann, who stays well; bob, who will freeze; and cyd, on
whose connection the backend will freeze. That closes no socket: without a heartbeat, nobody would
notice. lubdub pings both ends of every connection, and ends it when one gives no sign of life in
time: here a ping every {INTERVAL} and {TIMEOUT} to answer, instead of the usual 30s and 30s.
{end}

"
    )
}

/// What the metrics say in the end: as a scrape would see them, without what never happened.
fn summary(metrics: &str) -> String {
    let mut text = "\nWhat the metrics say in the end:\n\n".to_owned();
    for name in SUMMARY {
        let mut series: Vec<_> = metrics
            .lines()
            .filter(|line| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with('{') && !rest.ends_with(" 0"))
            })
            .collect();
        series.sort_unstable();
        for line in series {
            text += &format!("  {line}\n");
        }
    }
    text += "
Your own backend, with the usual intervals:

  lubdub --listen 0.0.0.0:8080 --upstream ws://127.0.0.1:9000
";
    text
}

// === impl Ending ===

impl Ending {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for a signal, and says how people call it.
    async fn wait(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "Ctrl-C",
        }
    }
}

impl Person {
    /// What the script says about this client's own end.
    fn manner(self) -> Manner {
        match self {
            Self::Ann | Self::Cyd => Manner::Steady,
            Self::Bob => Manner::FreezesAfterPings(2),
        }
    }

    /// What the script says about the backend's end of this client's connection.
    fn manner_of_backend(self) -> Manner {
        match self {
            Self::Ann | Self::Bob => Manner::Steady,
            // One story after the other.
            Self::Cyd => Manner::FreezesWithout(Self::Bob),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_right() {
        let config = configuration(SocketAddr::from(([127, 0, 0, 1], 9000))).unwrap();
        assert!(config.admin.is_some());
        assert_eq!(config.settings.listeners.len(), 1);
    }

    #[test]
    fn the_summary_leaves_out_what_never_happened() {
        let summary = summary(
            "# HELP lubdub_lapses_total Lapses.\n\
             lubdub_lapses_total{side=\"upstream\"} 10\n\
             lubdub_lapses_total{side=\"client\"} 1\n\
             lubdub_pairs_closed_total{cause=\"drain\"} 0\n\
             lubdub_pairs{route=\"echo\"} 3\n",
        );
        let series: Vec<_> = summary
            .lines()
            .filter(|line| line.contains('{'))
            .map(str::trim)
            .collect();
        assert_eq!(
            series,
            [
                "lubdub_lapses_total{side=\"client\"} 1",
                "lubdub_lapses_total{side=\"upstream\"} 10",
            ]
        );
    }
}
