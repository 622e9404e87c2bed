//! The admin listener and the log.

use lubdub_proxy::Address;
use lubdub_proxy::settings::Logging;

use super::super::error::{Mistakes, Wrong};
use super::super::token::Token;
use super::super::{AdminSettings, HandoverSettings, LogSettings, file, raw, read};
use super::address::Addresses;
use super::{load, take, unix};

/// The inner `None` says that there is no admin listener.
pub(super) fn admin(
    raw: &raw::Admin,
    addresses: &Addresses<'_>,
    mistakes: &mut Mistakes,
) -> Option<Option<AdminSettings>> {
    let address = admin_address(raw, mistakes);
    let token = admin_token(raw, mistakes);
    let hosts = take(&raw.hosts, read::hosts, mistakes);
    let permissions = unix::permissions(
        &raw.mode,
        &raw.group,
        "admin.address",
        address.as_ref().and_then(Option::as_ref),
        mistakes,
    );
    let (address, token, hosts, permissions) = (address?, token?, hosts?, permissions?);
    Some(address.map(|address| AdminSettings {
        v6_only: addresses.v6_only(&address),
        address,
        permissions,
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
    let place = socket.clone().flatten();
    let place = place.and_then(|path| Address::unix(&std::path::absolute(path).ok()?).ok());
    let permissions = unix::permissions(
        &raw.mode,
        &raw.group,
        "handover.socket",
        place.as_ref(),
        mistakes,
    );
    Some(HandoverSettings {
        permissions: permissions?,
        socket: socket?.map(Into::into),
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
