//! How fast a route's pairs relay.

use lubdub_proxy::settings::{Rate, Rates};

use super::super::error::Mistakes;
use super::super::{raw, read};
use super::take;

/// Reads the rates of a route.
pub(super) fn resolve(raw: &raw::Rates, mistakes: &mut Mistakes) -> Option<Rates> {
    let to_client = rate(&raw.to_client, mistakes);
    let to_upstream = rate(&raw.to_upstream, mistakes);
    Some(Rates {
        to_client: to_client?,
        to_upstream: to_upstream?,
    })
}

fn rate(raw: &raw::Rate, mistakes: &mut Mistakes) -> Option<Rate> {
    let bytes = take(&raw.bytes, read::byte_rate_or_off, mistakes);
    let messages = take(&raw.messages, read::rate_or_off, mistakes);
    Some(Rate {
        bytes: bytes?,
        messages: messages?,
    })
}
