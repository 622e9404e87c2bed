//! `lubdub run`: the proxy itself, from its start to its end or to the process that takes its place.

mod ending;
mod running;

use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;

use lubdub_proxy::handover::Departed;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;
use tracing::{error, info, warn};

use self::ending::Ending;
use self::running::Left;
pub(crate) use self::running::Running;
use crate::activation::{Activation, Unusable};
use crate::config::{self, Config, Machine, Sources};
use crate::logging::Log;
use crate::reload::{Again, Purpose, Reloader};
use crate::service_manager::{Remark, ServiceManager};
use crate::upgrade::{Outcome, Predecessor, Program, Socket, Start, Upgrades, Wanted};

/// What the program begins with.
struct Beginning {
    sources: Sources,
    config: Config,
    program: Program,
    /// Whose place it takes, if it does.
    predecessor: Option<Predecessor>,
    /// What was passed to it.
    activation: Result<Activation, Unusable>,
}

/// Why it serves no longer.
enum Over {
    /// It was told to stop.
    Told,
    /// Another process serves, and what could not go there stays.
    HandedOver(Box<Departed>, AndThen),
}

/// What the process that serves is to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AndThen {
    Serve,
    /// It was told so while it was replaced.
    Stop,
}

/// Runs the proxy until it is told to stop.
pub(crate) fn run(sources: Sources, start: Start) -> anyhow::Result<ExitCode> {
    let program = Program::of_this_process();
    let parent = Predecessor::that_started()?;
    let config = match config::load(&sources, &Machine::probe()) {
        Ok(config) => config,
        Err(mistakes) => {
            // It goes on, and can say why.
            if let Some(parent) = parent {
                parent.refuse(&mistakes.to_string());
            }
            return Err(mistakes.into());
        }
    };
    let predecessor = match (parent, start) {
        (Some(parent), _) => Some(parent),
        (None, Start::TakeOver) => Some(Predecessor::that_listens(&config.handover)?),
        (None, Start::Alone) => None,
    };
    // Before there is another thread.
    let activation = Activation::from_environment();
    // To the end, which waits a little for who reads it.
    let log = Log::start(config.log)?;
    // What `lubdub check` would have said.
    config.warnings.log();
    for (flag, replaced) in config.replacements() {
        info!(flag, replaced, "a flag replaces what is set elsewhere");
    }
    raise_file_limit();
    let beginning = Beginning {
        sources,
        config,
        program,
        predecessor,
        activation,
    };
    match run_logged(beginning, &log) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            error!(error = format!("{error:#}"), "lubdub cannot go on");
            Ok(ExitCode::FAILURE)
        }
    }
}

fn run_logged(beginning: Beginning, log: &Log) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(beginning, log))
}

async fn serve(beginning: Beginning, log: &Log) -> anyhow::Result<()> {
    let Beginning {
        sources,
        config,
        program,
        predecessor,
        activation,
    } = beginning;
    let sockets = activation?.sockets(&config)?;
    // Before anything listens: a signal that comes early must not be lost.
    let mut ending = Ending::listen()?;
    let hangup = signal(SignalKind::hangup())?;
    let mut upgrades = Upgrades::listen()?;
    let handover = config.handover.clone();
    let manager = Arc::new(ServiceManager::from_environment());
    let again = Again {
        sources,
        log: log.dial(),
        manager: Arc::clone(&manager),
        upgrader: upgrades.upgrader(),
    };
    let is_successor = predecessor.is_some();
    let (running, left) = match predecessor {
        Some(it) => Running::take_over(config, again, it, &mut ending).await?,
        None => {
            // Before anybody is told that lubdub is ready.
            if let Some(path) = &handover.socket {
                upgrades.listen_at(Socket::bind(path, handover.permissions)?);
            }
            (
                Running::start(config, Some(again), sockets)?,
                Left::Everything,
            )
        }
    };
    log.count_losses(&running.metrics);
    match left {
        Left::Everything => {}
        Left::OwnPairs => return running.stand_down(&mut ending, &mut upgrades).await,
        Left::Nothing => return running.end(&mut ending, &mut upgrades).await,
    }
    if let Some(path) = &handover.socket
        && is_successor
    {
        match Socket::replace(path, handover.permissions) {
            Ok(socket) => upgrades.listen_at(socket),
            // There are pairs already, which are worth more.
            Err(error) => {
                let reason = format!("{error:#}");
                warn!(reason, "no process can take over from outside");
            }
        }
    }
    if let Some(reloader) = running.reloader.clone() {
        tokio::spawn(reload_on(hangup, reloader));
    }
    let control = running.proxy.control();
    let telling = async {
        manager.tell_of_the_beginning(&control).await;
        tokio::select! {
            never = manager.tell_of_pairs(&control) => match never {},
            never = manager.tell_of_life(async || control.hear_workers().await) => match never {},
        }
    };
    let mut telling = pin!(telling);
    let over = tokio::select! {
        over = until_over(&running, &program, &manager, &mut ending, &mut upgrades) => over?,
        never = telling.as_mut() => match never {},
    };
    match over {
        Over::HandedOver(departed, and_then) => {
            manager.main_pid(departed.successor).await;
            if and_then == AndThen::Stop {
                departed.stop_successor();
            }
            let limit = handover.linger;
            running
                .linger(*departed, limit, &mut ending, &mut upgrades)
                .await
        }
        Over::Told => tokio::select! {
            ended = running.end(&mut ending, &mut upgrades) => ended,
            never = manager.tell_of_the_end() => match never {},
            never = telling.as_mut() => match never {},
        },
    }
}

/// Serves, and makes the upgrades that are wanted.
async fn until_over(
    running: &Running,
    program: &Program,
    manager: &ServiceManager,
    ending: &mut Ending,
    upgrades: &mut Upgrades,
) -> anyhow::Result<Over> {
    loop {
        let wanted = tokio::select! {
            () = ending.wait() => return Ok(Over::Told),
            wanted = upgrades.wanted() => wanted,
        };
        let by_signal = matches!(wanted, Wanted::Signal(_));
        let replaces = wanted.replaces(program);
        if replaces {
            manager.reloading();
        }
        match carry_out(wanted, running, program, ending, upgrades).await? {
            (Some(Outcome::Departed(departed)), and_then) => {
                return Ok(Over::HandedOver(departed, and_then));
            }
            (_, AndThen::Stop) => return Ok(Over::Told),
            (None, AndThen::Serve) if replaces => {
                manager.remark(Remark::UpgradeFailed);
                manager.ready();
            }
            // Who asks by a request does the one after the other.
            (Some(Outcome::NotNeeded), AndThen::Serve) if by_signal => {
                if let Some(reloader) = running.reloader.clone() {
                    tokio::spawn(reload(reloader));
                }
            }
            // It was another program a moment before, and the manager was told of an upgrade.
            (Some(Outcome::NotNeeded), AndThen::Serve) if replaces => manager.ready(),
            (Some(Outcome::NotNeeded | Outcome::Checked) | None, AndThen::Serve) => {}
        }
    }
}

/// Has an upgrade made. Signals and others wait for its end. Says as well what it was told meanwhile.
async fn carry_out(
    wanted: Wanted,
    running: &Running,
    program: &Program,
    ending: &mut Ending,
    upgrades: &mut Upgrades,
) -> anyhow::Result<(Option<Outcome>, AndThen)> {
    let mut upgrade = pin!(wanted.carry_out(running, program));
    let mut and_then = AndThen::Serve;
    loop {
        tokio::select! {
            outcome = upgrade.as_mut() => return Ok((outcome, and_then)),
            () = ending.wait() => {
                if and_then == AndThen::Stop {
                    return Err(running.cut());
                }
                and_then = AndThen::Stop;
                running.is_to_end();
            }
            wanted = upgrades.wanted() => wanted.refuse_while_under_way(),
        }
    }
}

/// Reads the configuration again with each SIGHUP.
async fn reload_on(mut hangup: Signal, reloader: Arc<Reloader>) {
    while hangup.recv().await.is_some() {
        info!("told to reload by SIGHUP");
        reload(Arc::clone(&reloader)).await;
    }
}

async fn reload(reloader: Arc<Reloader>) {
    // It has said what happened.
    let _ = spawn_blocking(move || reloader.reload(Purpose::Apply)).await;
}

/// Every pair is two descriptors, so the soft limit is of no use below the hard one.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        warn!(%error, "cannot raise the soft limit of open files to the hard one");
    }
}
