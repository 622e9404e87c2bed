//! Those who vouch for the clients of a listener, and what they have revoked, as what is in files that are watched.

use std::time::{Duration, SystemTime};

use lubdub_proxy::tls::{Authorities, Moment};
use tracing::{info, warn};

use super::watched::Subject;
use crate::config::{ClientSettings, Digest};

/// Those who vouch for the clients of a listener.
#[derive(Debug)]
pub(super) struct ClientAuthorities {
    settings: ClientSettings,
    /// That a list in use is out of date was told.
    told_of_age: bool,
}

// === impl ClientAuthorities ===

impl ClientAuthorities {
    pub(super) fn new(settings: ClientSettings) -> Self {
        Self {
            settings,
            told_of_age: false,
        }
    }

    /// `next`, unless it has a list that is out of date in place of ones that are not.
    fn no_older(&self, next: Authorities) -> Result<Authorities, String> {
        match self.settings.older_list(&next, SystemTime::now().into()) {
            None => Ok(next),
            Some((number, since)) => {
                let table = &self.settings.files.table;
                Err(format!(
                    "list {number} of {table}.client_crl is out of date since {since}"
                ))
            }
        }
    }
}

impl Subject for ClientAuthorities {
    type News = Authorities;

    fn watch(&self) -> Option<Duration> {
        self.settings.watch
    }

    fn is_in_place_of(&self, other: &Self) -> bool {
        self.settings.listener == other.settings.listener
    }

    fn seen(&self) -> Digest {
        self.settings.seen
    }

    fn read(
        &self,
        is_to_be_used: impl FnOnce(Digest) -> bool,
    ) -> (Digest, Option<Result<Authorities, String>>) {
        let contents = self.settings.files.read();
        let seen = contents.digest();
        let news = is_to_be_used(seen).then(|| {
            contents
                .authorities()
                .map_err(|faults| self.settings.files.describe(&faults))
                .and_then(|next| self.no_older(next))
        });
        (seen, news)
    }

    fn take(&mut self, news: Authorities, seen: Digest) -> Result<(), String> {
        let set = self.settings.tls.set_authorities(news);
        set.map_err(|error| error.to_string())?;
        self.settings.seen = seen;
        self.told_of_age = false;
        Ok(())
    }

    fn tell(&self) {
        let authorities = self.settings.tls.authorities();
        let count = |count: fn(&Authorities) -> usize| authorities.as_ref().map(count);
        info!(
            listener = %self.settings.listener,
            authorities = count(Authorities::count),
            lists = count(Authorities::lists),
            "new authorities of clients are in use"
        );
    }

    fn refuse(&self, reason: &str) {
        warn!(
            listener = %self.settings.listener,
            reason,
            "the files of clients' authorities cannot be used; those before stay in use"
        );
    }

    fn relent(&self) {
        info!(
            listener = %self.settings.listener,
            "the files of clients' authorities hold those in use again"
        );
    }

    /// Once for each list of revoked certificates that is out of date: nobody makes new ones any more.
    fn tell_of_age(&mut self, now: Moment) {
        let authorities = self.settings.tls.authorities();
        if let Some((_, since)) = authorities.and_then(|it| it.out_of_date(now))
            && !std::mem::replace(&mut self.told_of_age, true)
        {
            warn!(
                listener = %self.settings.listener,
                %since,
                "a list of revoked certificates is out of date; it goes on counting"
            );
        }
    }
}
