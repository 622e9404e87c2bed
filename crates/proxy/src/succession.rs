//! How one generation follows another: built whole, or not at all.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};

use arc_swap::Guard;
use lubdub_metrics::Names;

use crate::drain::Removal;
use crate::entrance::Entrance;
use crate::front::listeners::{Listeners, Ready};
use crate::generation::{General, Generation, Upstreams};
use crate::proxy::StartError;
use crate::route::{RouteState, RouteTable};
use crate::settings::{self, Limits, Logging, Settings};
use crate::shared::{Door, Shared};
use crate::upstream::{Common, Upstream};
use crate::worker::Crew;

/// A generation that can take effect: nothing can go wrong any more.
#[derive(Debug)]
pub(crate) struct Successor {
    generation: Generation,
    previous: Arc<Generation>,
    listeners: Ready,
    names: OwnedNames,
    limits: Limits,
    logging: Logging,
}

/// The names in settings.
#[derive(Debug)]
pub(crate) struct OwnedNames {
    listeners: Vec<Arc<str>>,
    routes: Vec<Arc<str>>,
    upstreams: BTreeSet<Arc<str>>,
}

// === impl Successor ===

impl Successor {
    /// Builds what follows the generation that is in effect.
    ///
    /// # Errors
    /// If an address cannot be bound, or there would be too many names. Then all is as it was.
    pub(crate) fn build(
        settings: Settings,
        shared: &Arc<Shared>,
        common: &Common,
        listeners: &Listeners,
        crew: &Arc<Crew>,
    ) -> Result<Self, StartError> {
        let planned = listeners.plan(&settings.listeners)?;
        let names = OwnedNames::of(&settings);
        names.with(|names| shared.metrics.admit(names))?;
        let previous = Guard::into_inner(shared.generation.load());
        let number = previous.number + 1;
        let general = Arc::new(General::of(&settings, number));
        let doors = doors(&settings.listeners, shared)?;
        let upstreams = upstreams(&settings.routes, &previous, common, shared)?;
        let routes = routes(&settings.routes, &general, &upstreams, shared)?;
        follow_sessions(&settings.listeners, listeners);
        let entrances = settings.listeners.into_iter().zip(doors);
        let entrances = entrances.map(|(listener, door)| {
            Arc::new(Entrance {
                listener,
                metrics: door.metrics,
                open: door.open,
                connections: Arc::clone(&shared.admission.connections),
            })
        });
        let listeners = Listeners::ready(planned, entrances.collect(), shared, crew)?;
        Ok(Self {
            generation: Generation {
                number,
                listeners: names.listeners.clone(),
                routes,
                upstreams,
                general,
            },
            previous,
            listeners,
            names,
            limits: settings.limits,
            logging: settings.logging,
        })
    }

    /// Puts it in effect. Returns its number.
    pub(crate) fn take_effect(
        self,
        shared: &Shared,
        listeners: &Listeners,
        crew: &Arc<Crew>,
    ) -> u64 {
        let number = self.generation.number;
        let generation = Arc::new(self.generation);
        shared.admission.resize(&self.limits);
        shared.refusals.set_rate(self.logging.refusals);
        for upstream in generation.upstreams.values() {
            upstream.resize_budgets();
        }
        shared.generation.store(Arc::clone(&generation));
        listeners.take_effect(self.listeners, shared);
        self.names.with(|names| shared.metrics.set_present(names));
        // Last, so that pairs find the newest when they look. One that is not registered yet looks behind this.
        let routes = generation.routes.iter();
        let renewed: BTreeSet<_> = routes
            .filter(|route| route.take_effect())
            .map(|route| &*route.name)
            .collect();
        if !renewed.is_empty() {
            let registry = &shared.registry;
            registry.renew_terms(|pair| renewed.contains(&*pair.names.route));
        }
        end_pairs_of_removed(&self.previous, &generation, shared, crew);
        number
    }
}

/// Says farewell to the pairs of what is removed, where it was to be so. A pair that is not registered yet looks
/// behind this.
fn end_pairs_of_removed(previous: &Generation, now: &Generation, shared: &Shared, crew: &Crew) {
    let mut removal = Removal::default();
    for upstream in previous.upstreams.values() {
        if now.ends_pairs_to(upstream) {
            upstream.last_removal.mark(now.number);
            removal
                .upstreams
                .insert(Arc::clone(&upstream.settings.name));
        }
    }
    for route in previous.routes.iter() {
        if now.ends_pairs_of(route) {
            route.last_removal.mark(now.number);
            removal.routes.insert(Arc::clone(&route.name));
        }
    }
    if removal.is_empty() {
        return;
    }
    let drains = Arc::clone(&shared.drains);
    if let Some(farewells) = drains.send_away(removal, now.general.drain.spread) {
        let said = async move { drains.say_farewells(farewells).await };
        crew.on_duty(0).runtime().spawn(said);
    }
}

/// What is counted of each listener, as before if there was one of its name.
fn doors(listeners: &[settings::Listener], shared: &Shared) -> Result<Vec<Door>, StartError> {
    let mut doors = shared.doors.lock().unwrap_or_else(PoisonError::into_inner);
    let mut door = |listener: &settings::Listener| {
        if let Some(door) = doors.get(&listener.name) {
            return Ok(door.clone());
        }
        let metrics = shared.metrics.listener(&listener.name);
        let metrics = metrics.ok_or_else(|| unregistered(&listener.name))?;
        let door = Door {
            metrics,
            open: Arc::default(),
        };
        doors.insert(Arc::clone(&listener.name), door.clone());
        Ok(door)
    };
    listeners.iter().map(&mut door).collect()
}

/// Has clients resume the sessions that they began at the same listener before.
fn follow_sessions(next: &[settings::Listener], open: &Listeners) {
    for listener in next {
        if let Some(tls) = &listener.tls
            && let Some(previous) = open.entrance(&listener.name)
            && let Some(previous) = &previous.listener.tls
        {
            tls.follow(previous);
        }
    }
}

fn upstreams(
    routes: &[Arc<settings::Route>],
    previous: &Generation,
    common: &Common,
    shared: &Shared,
) -> Result<Upstreams, StartError> {
    let mut upstreams = Upstreams::new();
    for settings in routes.iter().map(|route| &route.upstream) {
        let name = &settings.name;
        if upstreams.contains_key(name) {
            continue;
        }
        let upstream = match previous.upstreams.get(name) {
            Some(previous) => previous.next(Arc::clone(settings), common),
            None => {
                let metrics = || shared.metrics.upstream(name);
                let of_name = shared.namesakes.upstream(settings, metrics);
                let of_name = of_name.ok_or_else(|| unregistered(name))?;
                Upstream::new(Arc::clone(settings), of_name, common)
            }
        };
        upstreams.insert(Arc::clone(name), Arc::new(upstream));
    }
    Ok(upstreams)
}

fn routes(
    routes: &[Arc<settings::Route>],
    general: &Arc<General>,
    upstreams: &Upstreams,
    shared: &Shared,
) -> Result<RouteTable, StartError> {
    // Also of listeners that are gone: connections that came in there go on.
    let doors = shared.doors.lock().unwrap_or_else(PoisonError::into_inner);
    let state = |route: &Arc<settings::Route>| {
        let counted_on = |(name, door): (&Arc<str>, &Door)| {
            let metrics = door.metrics.route(&route.name);
            let metrics = metrics.ok_or_else(|| unregistered(&route.name))?;
            Ok((Arc::clone(name), metrics))
        };
        let metrics = doors.iter().map(counted_on);
        let metrics = metrics.collect::<Result<_, StartError>>()?;
        let upstream = Arc::clone(&upstreams[&route.upstream.name]);
        let of_name = shared.namesakes.route(route);
        Ok(Arc::new(RouteState::new(
            route, of_name, general, upstream, metrics,
        )))
    };
    let states: Result<_, _> = routes.iter().map(state).collect();
    states.map(RouteTable::new)
}

fn unregistered(name: &Arc<str>) -> StartError {
    StartError::Unregistered(Arc::clone(name))
}

// === impl OwnedNames ===

impl OwnedNames {
    pub(crate) fn of(settings: &Settings) -> Self {
        let upstreams = settings.routes.iter().map(|route| &route.upstream.name);
        Self {
            listeners: (settings.listeners.iter())
                .map(|listener| Arc::clone(&listener.name))
                .collect(),
            routes: (settings.routes.iter())
                .map(|route| Arc::clone(&route.name))
                .collect(),
            upstreams: upstreams.cloned().collect(),
        }
    }

    /// Lends them as the metrics want them.
    pub(crate) fn with<T>(&self, lend: impl FnOnce(Names<'_>) -> T) -> T {
        let listeners: Vec<&str> = self.listeners.iter().map(|name| &**name).collect();
        let routes: Vec<&str> = self.routes.iter().map(|name| &**name).collect();
        let upstreams: Vec<&str> = self.upstreams.iter().map(|name| &**name).collect();
        lend(Names {
            listeners: &listeners,
            routes: &routes,
            upstreams: &upstreams,
        })
    }
}
