//! A reload: the configuration is read again while lubdub runs, and put in effect whole or not at all.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Release};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use arc_swap::{ArcSwap, ArcSwapOption};
use lubdub_metrics::{Metrics, Reload};
use lubdub_proxy::settings::Settings;
use lubdub_proxy::tls::{Certificate, Moment};
use lubdub_proxy::{Proxy, StartError};
use tracing::{error, info};

use crate::admin::SharedAccess;
use crate::certificates::Watch;
use crate::config::{
    self, Applies, CertificateSettings, Change, ClientSettings, Config, InEffect, Machine,
    Mistakes, Part, Rearranged, Rewritten, Sources, Warnings,
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

/// What a reload has changed, or would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// The number of the generation that is in effect afterwards.
    pub generation: u64,
    pub changes: Vec<Told>,
    /// What will not do in practice.
    pub warnings: Warnings,
}

/// A key whose value is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub key: String,
    pub before: String,
    pub after: String,
    /// Where the new value was set, if it was.
    pub origin: Option<String>,
    /// From when on it holds.
    pub applies: &'static str,
    /// The file that holds something else, if the value is the same.
    pub content_of: Option<String>,
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
                tell(report);
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
        refuse_out_of_date(&config.certificates, &next.certificates, &mut mistakes);
        refuse_out_of_date_upstream(&config.settings, &next.settings, &mut mistakes);
        refuse_old_lists(&config.clients, &next.clients, &mut mistakes);
        if !mistakes.is_empty() {
            return Err(mistakes.into());
        }
        let has_room = self.certificates.try_follow(&next.certificates);
        has_room.map_err(StartError::Names)?;
        let values = changes.iter().map(Told::of_value);
        let (orders, files) = (config.rearranged_in(&next), config.rewritten_in(&next));
        let orders = orders.into_iter().map(Told::of_order);
        let files = files.iter().map(Told::of_file);
        let mut report = Report {
            generation: self.proxy.generation(),
            changes: values.chain(orders).chain(files).collect(),
            warnings: next.warnings.clone(),
        };
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

// === impl Told ===

impl Told {
    fn of_value(change: &Change<'_>) -> Self {
        Self {
            key: change.key().to_owned(),
            before: change.written_before(),
            after: change.written_after(),
            origin: change.after.map(|leaf| leaf.origin.to_string()),
            applies: change.applies.as_str(),
            content_of: None,
        }
    }

    fn of_order(order: Rearranged) -> Self {
        Self {
            key: order.key,
            before: order.before,
            after: order.after,
            origin: None,
            applies: order.applies.as_str(),
            content_of: None,
        }
    }

    /// What is in it is not told: it may be a secret.
    fn of_file(file: &Rewritten<'_>) -> Self {
        let value = match file.leaf {
            Some(leaf) => leaf.value.to_string(),
            None => "not set".to_owned(),
        };
        Self {
            key: file.key.to_owned(),
            before: value.clone(),
            after: value,
            origin: file.leaf.map(|leaf| leaf.origin.to_string()),
            applies: file.applies.as_str(),
            content_of: Some(file.file.clone()),
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

/// Notes certificates that are out of their time in place of ones that are not: nobody means that.
fn refuse_out_of_date(
    used: &[CertificateSettings],
    next: &[CertificateSettings],
    mistakes: &mut Mistakes,
) {
    let now = Moment::from(SystemTime::now());
    let shown = |it: &CertificateSettings| it.certificates.get(it.place);
    for next in next {
        let is_same =
            |it: &&CertificateSettings| it.listener == next.listener && it.name == next.name;
        let used = used.iter().find(is_same).map(shown);
        if let Some(wrong) = out_of_date(used.as_ref(), &shown(next), now) {
            let key = next.files.setting(Part::Cert);
            let key = format!("{key} = {:?}", next.files.cert);
            mistakes.about(key, wrong);
        }
    }
}

/// The same for those that upstreams are shown.
fn refuse_out_of_date_upstream(used: &Settings, next: &Settings, mistakes: &mut Mistakes) {
    let now = Moment::from(SystemTime::now());
    let used = shown_to_upstreams(used);
    for (upstream, certificate) in shown_to_upstreams(next) {
        let used = used.get(upstream).copied();
        if let Some(wrong) = out_of_date(used, certificate, now) {
            mistakes.about(format!("upstream.{upstream}.certificate"), wrong);
        }
    }
}

/// The same for lists of revoked certificates.
fn refuse_old_lists(used: &[ClientSettings], next: &[ClientSettings], mistakes: &mut Mistakes) {
    let now = Moment::from(SystemTime::now());
    for next in next {
        let used = used.iter().find(|used| used.listener == next.listener);
        let authorities = next.tls.authorities();
        if let (Some(used), Some(authorities), Some(crl)) = (used, authorities, &next.files.crl)
            && let Some((number, since)) = used.older_list(&authorities, now)
        {
            let wrong =
                format!("list {number} of it is out of date since {since}; those in use stay");
            let key = format!("{}.client_crl = {crl:?}", next.files.table);
            mistakes.about(key, wrong);
        }
    }
}

/// What each upstream is shown that is shown anything.
fn shown_to_upstreams(settings: &Settings) -> BTreeMap<&str, &Certificate> {
    let upstreams = settings.routes.iter().map(|route| &route.upstream);
    upstreams
        .filter_map(|upstream| {
            let certificate = upstream.tls.as_ref()?.certificate()?;
            Some((&*upstream.name, certificate))
        })
        .collect()
}

/// What is wrong with `next` in place of `used`, if its dates are.
fn out_of_date(used: Option<&Certificate>, next: &Certificate, now: Moment) -> Option<String> {
    let is_good = |it: &Certificate| it.not_before() <= now && now <= it.not_after();
    let (from, to) = (next.not_before(), next.not_after());
    let is_worse = used.is_some_and(is_good) && !is_good(next);
    is_worse.then(|| format!("is valid from {from} to {to} only; the one in use stays"))
}

/// Logs what a reload has done.
fn tell(report: &Report) {
    for change in &report.changes {
        if let Some(file) = &change.content_of {
            info!(
                setting = change.key,
                file,
                applies = change.applies,
                "the content of a file has changed"
            );
            continue;
        }
        info!(
            setting = change.key,
            before = change.before,
            after = change.after,
            origin = change.origin,
            applies = change.applies,
            "a setting has changed"
        );
    }
    info!(
        generation = report.generation,
        changes = report.changes.len(),
        "configuration reloaded"
    );
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
