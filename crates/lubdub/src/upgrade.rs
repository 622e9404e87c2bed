//! Upgrades: another process takes the place of this one, and no pair ends.
//!
//! The next process is started by this one (SIGUSR2, SIGUSR1, or somebody asks for it), or from outside
//! (`lubdub run --take-over`). How it goes on from there is [`lubdub_proxy::handover`].

mod predecessor;
mod program;
mod socket;
mod starter;

use std::os::unix::net::UnixStream;
use std::time::Duration;

use lubdub_proxy::handover::{Departed, HandoverError, Offer, Who};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::{info, warn};

pub(crate) use predecessor::{Predecessor, Start};
pub(crate) use program::Program;
use program::Started;
pub(crate) use socket::Socket;
pub(crate) use starter::be_starter;

use crate::commands::run::Running;
use crate::version;

/// Whoever may have an upgrade made, and is told how it went.
#[derive(Debug, Clone)]
pub(crate) struct Upgrader(mpsc::Sender<Asked>);

/// Waits for somebody to want an upgrade.
#[derive(Debug)]
pub(crate) struct Upgrades {
    signal: Signal,
    /// Either a reload or an upgrade.
    either: Signal,
    asked: mpsc::Receiver<Asked>,
    upgrader: Upgrader,
    socket: Option<Socket>,
}

/// Somebody wants an upgrade.
#[derive(Debug)]
pub(crate) enum Wanted {
    /// By SIGUSR2; or by SIGUSR1, if the program is another one.
    Signal(Order),
    /// By an operator, who waits for the answer.
    Asked(Asked),
    /// By a process that is there already.
    Outside(socket::Caller),
}

/// What an operator asks for.
#[derive(Debug)]
pub(crate) struct Asked {
    order: Order,
    answer: oneshot::Sender<Result<Upgraded, String>>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Upgrade,
    /// Nothing, if the program on disk is the one that runs.
    UpgradeIfNew,
    /// The new program only has to check its configuration, and nothing is handed over.
    Check,
}

/// How an upgrade went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upgraded {
    /// Another process goes on.
    Done {
        successor: u32,
        /// So many pairs have moved.
        moved: u64,
        /// So many stay with this process.
        kept: u64,
    },
    /// The new program takes the configuration.
    Possible,
    /// The program on disk is the one that runs.
    NotNeeded,
}

/// What has come of it for this process.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Another one goes on; this is left to do.
    Departed(Box<Departed>),
    /// It goes on, and was asked for nothing else.
    Checked,
    /// It goes on, for the program on disk is the one that runs.
    NotNeeded,
}

/// Why there is no upgrade.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(
        "lubdub is process 1 of its container, whose end would end the new process too; \
         start a new container beside this one instead and drain this one (docs/topics/changes.md)"
    )]
    Init,
    #[error(
        "systemd has started lubdub and cannot be told which process follows it (there is no NOTIFY_SOCKET): it would \
         end the service with this process; set Type=notify in the unit and restart once (docs/topics/changes.md)"
    )]
    Unheard,
    #[error("an upgrade is under way already")]
    UnderWay,
    #[error("lubdub is draining")]
    Draining,
    #[error(
        "another process has taken over from this one, which only ends what could not be moved; ask that one"
    )]
    Lingering,
}

/// How long it may take until it is known how a process ended that said nothing more.
const END: Duration = Duration::from_secs(2);

// === impl Upgrader ===

impl Upgrader {
    /// Has it done.
    ///
    /// # Errors
    /// Why all is as it was.
    pub(crate) async fn upgrade(&self, order: Order) -> Result<Upgraded, String> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked { order, answer };
        let ending = || Refused::Draining.to_string();
        self.0.send(asked).await.map_err(|_| ending())?;
        answered.await.map_err(|_| ending())?
    }
}

// === impl Upgrades ===

impl Upgrades {
    /// Listens for SIGUSR2 and SIGUSR1 from now on.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let (asks, asked) = mpsc::channel(4);
        Ok(Self {
            signal: signal(SignalKind::user_defined2())?,
            either: signal(SignalKind::user_defined1())?,
            asked,
            upgrader: Upgrader(asks),
            socket: None,
        })
    }

    /// Listens for processes from outside as well.
    pub(crate) fn listen_at(&mut self, socket: Socket) {
        self.socket = Some(socket);
    }

    /// For those who may have an upgrade made.
    pub(crate) fn upgrader(&self) -> Upgrader {
        self.upgrader.clone()
    }

    /// Waits until somebody wants one. It can be dropped and called again.
    pub(crate) async fn wanted(&mut self) -> Wanted {
        let outside = async {
            match &self.socket {
                Some(socket) => socket.caller().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.signal.recv() => {
                info!("told to upgrade by SIGUSR2");
                Wanted::Signal(Order::Upgrade)
            }
            _ = self.either.recv() => {
                info!("told by SIGUSR1 to upgrade if the program on disk is another one, and else to reload");
                Wanted::Signal(Order::UpgradeIfNew)
            }
            Some(asked) = self.asked.recv() => {
                info!("told to upgrade by an operator");
                Wanted::Asked(asked)
            }
            caller = outside => {
                info!(successor = caller.pid, "a new process asks to take over");
                Wanted::Outside(caller)
            }
        }
    }
}

// === impl Wanted ===

impl Wanted {
    fn order(&self) -> Order {
        match self {
            Self::Signal(order) | Self::Asked(Asked { order, .. }) => *order,
            Self::Outside(_) => Order::Upgrade,
        }
    }

    /// Whether another process is to take the place of this one.
    pub(crate) fn replaces(&self, program: &Program) -> bool {
        match self.order() {
            Order::Upgrade => true,
            // Where that is not known, somebody waits to be told so.
            Order::UpgradeIfNew => program.is_another().unwrap_or(true),
            Order::Check => false,
        }
    }

    /// Does it. Nothing comes of it if it fails.
    pub(crate) async fn carry_out(self, running: &Running, program: &Program) -> Option<Outcome> {
        let result = match &self {
            _ if running.is_draining() => Err(Refused::Draining.into()),
            Self::Outside(caller) => hand_over_to(running, caller).await,
            Self::Signal(order) | Self::Asked(Asked { order, .. }) => {
                do_as_ordered(*order, running, program).await
            }
        };
        let result = result.map_err(|error| format!("{error:#}"));
        if let Err(reason) = &result {
            failed(reason);
        }
        self.answer(result)
    }

    /// Says that it cannot be now: another upgrade is under way.
    pub(crate) fn refuse_while_under_way(self) {
        self.refuse(&Refused::UnderWay);
    }

    /// Says that another process has to be asked.
    pub(crate) fn refuse_while_lingering(self) {
        self.refuse(&Refused::Lingering);
    }

    /// Says that it cannot be any more.
    pub(crate) fn refuse_while_draining(self) {
        self.refuse(&Refused::Draining);
    }

    fn refuse(self, refused: &Refused) {
        let reason = refused.to_string();
        failed(&reason);
        let _ = self.answer(Err(reason));
    }

    fn answer(self, result: Result<Outcome, String>) -> Option<Outcome> {
        match (self, &result) {
            (Self::Asked(asked), _) => {
                let told = result.as_ref().map(Upgraded::from).map_err(Clone::clone);
                // Who asked may have gone.
                let _ = asked.answer.send(told);
            }
            (Self::Outside(caller), Err(reason)) => caller.refuse(reason),
            (Self::Signal(_) | Self::Outside(_), _) => {}
        }
        result.ok()
    }
}

fn failed(reason: &str) {
    warn!(reason, "the upgrade has failed: lubdub goes on");
}

async fn do_as_ordered(
    order: Order,
    running: &Running,
    program: &Program,
) -> anyhow::Result<Outcome> {
    match order {
        Order::Check => program.check().await.map(|()| Outcome::Checked),
        Order::UpgradeIfNew if !program.is_another()? => {
            info!("the program on disk is the one that runs: there is nothing to upgrade to");
            Ok(Outcome::NotNeeded)
        }
        Order::Upgrade | Order::UpgradeIfNew => start(running, program).await,
    }
}

/// Starts the new program, and hands over to it.
async fn start(running: &Running, program: &Program) -> anyhow::Result<Outcome> {
    if std::process::id() == 1 {
        return Err(Refused::Init.into());
    }
    if starter::is_service_unheard() {
        return Err(Refused::Unheard.into());
    }
    let (ours, theirs) = UnixStream::pair()?;
    let mut child = program.start(theirs.into())?;
    let error = match hand_over(running, ours, Who::Own).await {
        Ok(departed) => {
            child.let_go().await;
            return Ok(Outcome::Departed(Box::new(departed)));
        }
        Err(error) => error,
    };
    let ended = match timeout(END, child.wait()).await {
        Ok(status) => Some(program::written(status?)),
        Err(_) => None,
    };
    match (error, ended) {
        (error, Some(ended)) if error.is_end() && !error.is_in_the_middle() => anyhow::bail!(
            "the new program has ended with {ended} before it took over; its standard error says why"
        ),
        (error, Some(ended)) => anyhow::bail!("{error} (the new program has ended with {ended})"),
        (error, None) => {
            leave(child, &error);
            Err(error.into())
        }
    }
}

/// A new process that has not ended by itself. If it has pairs already, it knows that it has to end with
/// the last of them; else it is of no use.
fn leave(mut child: Started, error: &HandoverError) {
    if !error.is_in_the_middle() {
        child.kill();
    }
    // So that nothing of it stays behind.
    tokio::spawn(async move { child.wait().await });
}

async fn hand_over_to(running: &Running, caller: &socket::Caller) -> anyhow::Result<Outcome> {
    // A process that is not seen from here is in another container, and is not ended by this one's end.
    if std::process::id() == 1 && caller.pid != 0 {
        return Err(Refused::Init.into());
    }
    let stream = caller.stream.try_clone()?;
    let who = Who::Other(Some(caller.pid).filter(|pid| *pid > 0));
    let departed = hand_over(running, stream, who).await?;
    Ok(Outcome::Departed(Box::new(departed)))
}

async fn hand_over(
    running: &Running,
    stream: UnixStream,
    successor: Who,
) -> Result<Departed, HandoverError> {
    let offer = Offer {
        stream,
        successor,
        program: version::VERSION.to_owned(),
        admin: running.admin_socket()?,
    };
    running.proxy.hand_over(offer).await
}

// === impl Upgraded ===

impl From<&Outcome> for Upgraded {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Departed(departed) => Self::Done {
                successor: departed.successor,
                moved: departed.moved,
                kept: departed.kept,
            },
            Outcome::Checked => Self::Possible,
            Outcome::NotNeeded => Self::NotNeeded,
        }
    }
}
