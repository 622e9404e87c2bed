//! The admin listener and the log.

use lubdub_proxy::Address;
use lubdub_proxy::settings::Logging;

use super::super::error::{Mistakes, Wrong};
use super::super::token::Token;
use super::super::{AdminSettings, HandoverSettings, LogSettings, file, raw, read};
use super::address::Addresses;
use super::{load, take};

/// The inner `None` says that there is no admin listener.
pub(super) fn admin(
    raw: &raw::Admin,
    addresses: &Addresses<'_>,
    mistakes: &mut Mistakes,
) -> Option<Option<AdminSettings>> {
    let address = admin_address(raw, mistakes);
    let token = admin_token(raw, mistakes);
    let hosts = take(&raw.hosts, read::hosts, mistakes);
    let (address, token, hosts) = (address?, token?, hosts?);
    Some(address.map(|address| AdminSettings {
        v6_only: addresses.v6_only(&address),
        address,
        token,
        hosts,
    }))
}

/// Only where it listens.
pub(super) fn admin_address(raw: &raw::Admin, mistakes: &mut Mistakes) -> Option<Option<Address>> {
    take(&raw.address, read::address_or_off, mistakes)
}

/// The hand-over to the next process.
pub(super) fn handover(raw: &raw::Handover, mistakes: &mut Mistakes) -> Option<HandoverSettings> {
    let socket = match &raw.socket {
        Some(leaf) => match read::text(&leaf.value) {
            Ok("off") => Some(None),
            _ => file::socket(leaf)
                .map_err(|Wrong(wrong)| mistakes.wrong(leaf, wrong))
                .ok()
                .map(Some),
        },
        None => Some(None),
    };
    let linger = take(&raw.linger, read::duration_or_off, mistakes);
    Some(HandoverSettings {
        socket: socket?,
        linger: linger?,
    })
}

/// Only what opens it.
pub(super) fn admin_token(raw: &raw::Admin, mistakes: &mut Mistakes) -> Option<Option<Token>> {
    match &raw.token_file {
        Some(leaf) => load(leaf, Token::from_file, mistakes).map(Some),
        None => Some(None),
    }
}

/// What is logged and how.
pub(super) fn log(raw: &raw::Log, mistakes: &mut Mistakes) -> Option<LogSettings> {
    let format = take(&raw.format, read::choice, mistakes);
    let level = take(&raw.level, read::choice, mistakes);
    Some(LogSettings {
        format: format?,
        level: level?,
    })
}

/// What the log tells of requests.
pub(super) fn logging(raw: &raw::Log, mistakes: &mut Mistakes) -> Option<Logging> {
    let request = take(&raw.request, read::choice, mistakes);
    let refusals = take(&raw.refusals, read::rate_or_off, mistakes);
    Some(Logging {
        request: request?,
        refusals: refusals?,
    })
}
