//! A reload: the configuration is read again while lubdub runs, and put in effect whole or not at all.

mod dates;
mod report;

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Release};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use lubdub_metrics::{Metrics, Reload};
use lubdub_proxy::{Proxy, StartError};
use tracing::error;

pub(crate) use self::report::{Report, Told};
use crate::admin::SharedAccess;
use crate::certificates::Watch;
use crate::config::{
    self, Applies, CertificateSettings, Config, InEffect, Machine, Mistakes, Sources,
};
use crate::logging::LogDial;
use crate::service_manager::{Remark, ServiceManager};
use crate::upgrade::Upgrader;

/// Reads the configuration again, from what it was read from at the start.
#[derive(Debug)]
pub(crate) struct Reloader {
    sources: Sources,
    proxy: Arc<Proxy>,
    metrics: Arc<Metrics>,
    certificates: Arc<Watch>,
    /// Who may ask the admin listener, if there is one.
    access: Option<Arc<SharedAccess>>,
    log: LogDial,
    manager: Arc<ServiceManager>,
    /// What is in effect.
    config: Mutex<Config>,
    standing: ArcSwap<Standing>,
    latest: ArcSwapOption<Latest>,
    /// Whether somebody reads it anew.
    is_busy: AtomicBool,
}

/// What is in effect, for who wants to know it: it is to be had while a reload reads files.
#[derive(Debug)]
pub(crate) struct Standing {
    /// The certificates that clients are shown, as they are now.
    pub certificates: Vec<CertificateSettings>,
    /// Every key that is in effect.
    pub in_effect: InEffect,
}

/// What the latest reload did.
#[derive(Debug, Clone)]
pub(crate) struct Latest {
    pub at: SystemTime,
    /// The generation that was in effect afterwards.
    pub generation: u64,
    /// How many keys it changed, or everything that is wrong, each in a line.
    pub outcome: Result<usize, Vec<String>>,
}

/// Nobody else asks for a reload while this lives.
#[derive(Debug)]
pub(crate) struct Turn(Arc<Reloader>);

/// What it takes to read the configuration again.
#[derive(Debug)]
pub(crate) struct Again {
    /// What it was read from.
    pub(crate) sources: Sources,
    pub(crate) log: LogDial,
    pub(crate) manager: Arc<ServiceManager>,
    /// Has it upgraded, for what a reload cannot change.
    pub(crate) upgrader: Upgrader,
}

/// Whether what was read is put in effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Apply,
    /// Only to say what a reload would do.
    Try,
}

/// Why all is as it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(transparent)]
    Mistakes(#[from] Mistakes),
    #[error(transparent)]
    Start(#[from] StartError),
}

// === impl Reloader ===

impl Reloader {
    /// `config` was read from the sources, and is in effect.
    pub(crate) fn new(
        again: Again,
        config: Config,
        proxy: Arc<Proxy>,
        metrics: Arc<Metrics>,
        certificates: Arc<Watch>,
        access: Option<Arc<SharedAccess>>,
    ) -> Self {
        metrics.configured(SystemTime::now());
        let Again {
            sources,
            log,
            manager,
            upgrader: _,
        } = again;
        Self {
            sources,
            proxy,
            metrics,
            certificates,
            access,
            log,
            manager,
            standing: ArcSwap::from_pointee(Standing::of(&config)),
            latest: ArcSwapOption::empty(),
            config: Mutex::new(config),
            is_busy: AtomicBool::new(false),
        }
    }

    /// A turn, unless somebody has it: a file may be slow to read, and those who ask must not pile up.
    pub(crate) fn try_turn(self: &Arc<Self>) -> Option<Turn> {
        let was_busy = self.is_busy.swap(true, AcqRel);
        (!was_busy).then(|| Turn(Arc::clone(self)))
    }

    /// Reads the configuration, and puts it in effect if nothing is wrong with it. Says what happened, also in
    /// the log and in the metrics. It reads files: nothing for a thread that others wait for.
    ///
    /// # Errors
    /// Everything that is wrong with it. Then all is as it was.
    pub(crate) fn reload(&self, purpose: Purpose) -> Result<Report, Refused> {
        // One at a time: the next one is compared with what this one has put in effect.
        let mut config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        if purpose == Purpose::Apply {
            self.manager.reloading();
        }
        let result = self.next(&mut config, purpose);
        if purpose == Purpose::Apply {
            self.manager.remark(match result {
                Ok(_) => Remark::Nothing,
                Err(_) => Remark::ReloadRefused,
            });
            self.manager.ready();
        }
        drop(config);
        if purpose == Purpose::Try {
            return result;
        }
        self.latest.store(Some(Arc::new(Latest {
            at: SystemTime::now(),
            generation: self.proxy.generation(),
            outcome: match &result {
                Ok(report) => Ok(report.changes.len()),
                Err(refused) => Err(refused.reasons()),
            },
        })));
        match &result {
            Ok(report) => {
                self.metrics.reloaded(Reload::Applied, SystemTime::now());
                report.log();
                report.warnings.log();
            }
            Err(refused) => {
                self.metrics.reloaded(Reload::Refused, SystemTime::now());
                for reason in refused.reasons() {
                    error!(reason, "the reload is refused: all is as it was");
                }
            }
        }
        result
    }

    /// What is in effect.
    pub(crate) fn standing(&self) -> Arc<Standing> {
        self.standing.load_full()
    }

    /// What the latest reload did, if there was one.
    pub(crate) fn latest(&self) -> Option<Arc<Latest>> {
        self.latest.load_full()
    }

    fn next(&self, config: &mut Config, purpose: Purpose) -> Result<Report, Refused> {
        let next = config::load(&self.sources, &Machine::probe())?;
        let changes = config.changes_to(&next);
        let mut mistakes = Mistakes::default();
        for change in changes.iter().filter(|it| it.applies == Applies::Upgrade) {
            let before = change.written_before();
            let wrong = format!(
                "a reload cannot change it (it was {before}); an upgrade can: lubdub upgrade"
            );
            match change.after {
                Some(leaf) => mistakes.wrong(leaf, wrong),
                None => mistakes.about(change.key(), wrong),
            }
        }
        dates::check(config, &next, &mut mistakes);
        if !mistakes.is_empty() {
            return Err(mistakes.into());
        }
        let has_room = self.certificates.try_follow(&next.certificates);
        has_room.map_err(StartError::Names)?;
        let mut report = Report::new(self.proxy.generation(), &changes, config, &next);
        match purpose {
            Purpose::Try => self.proxy.try_reload(&next.settings)?,
            Purpose::Apply => {
                report.generation = self.proxy.reload(next.settings.clone())?;
                self.certificates
                    .follow(next.certificates.clone(), next.clients.clone());
                self.log.turn(next.log);
                if let (Some(access), Some(settings)) = (&self.access, &next.admin) {
                    access.set(settings);
                }
                self.standing.store(Arc::new(Standing::of(&next)));
                *config = next;
            }
        }
        Ok(report)
    }
}

// === impl Standing ===

impl Standing {
    fn of(config: &Config) -> Self {
        Self {
            certificates: config.certificates.clone(),
            in_effect: config.in_effect(),
        }
    }
}

// === impl Turn ===

impl Turn {
    /// As [`Reloader::reload`].
    pub(crate) fn reload(&self, purpose: Purpose) -> Result<Report, Refused> {
        self.0.reload(purpose)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.is_busy.store(false, Release);
    }
}

// === impl Refused ===

impl Refused {
    /// Everything that is wrong, each in a line of its own.
    pub(crate) fn reasons(&self) -> Vec<String> {
        match self {
            Self::Mistakes(mistakes) => mistakes.iter().map(ToString::to_string).collect(),
            Self::Start(StartError::Bind {
                listener,
                address,
                error,
            }) => {
                let key = format!("listen.{listener}.address");
                vec![format!("{key} = \"{address}\": cannot be bound: {error}")]
            }
            Self::Start(StartError::Overlap {
                listener,
                address,
                open,
                at,
            }) => {
                let key = format!("listen.{listener}.address");
                let wrong = format!(
                    "cannot be bound while lubdub still has {at} (listen.{open}): a reload opens what is new \
                     before it closes what is old; use another port, or take listen.{open} away first"
                );
                vec![format!("{key} = \"{address}\": {wrong}")]
            }
            Self::Start(error) => vec![error.to_string()],
        }
    }
}
