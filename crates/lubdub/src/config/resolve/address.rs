//! Addresses that cannot all be bound.

use std::net::SocketAddr;

use super::super::error::Mistakes;
use super::super::leaf::Leaf;
use super::super::raw::Raw;
use super::super::read;

/// Notes addresses that are used twice. Port 0 is another port every time.
pub(super) fn refuse_shared(raw: &Raw, mistakes: &mut Mistakes) {
    let leaves = raw
        .listen
        .values()
        .map(|listen| &listen.address)
        .chain([&raw.admin.address]);
    let mut seen: Vec<(SocketAddr, &Leaf)> = Vec::new();
    for leaf in leaves.flatten() {
        let Ok(address) = read::address(&leaf.value) else {
            continue;
        };
        match seen
            .iter()
            .find(|(other, _)| *other == address && address.port() != 0)
        {
            Some((_, first)) => {
                let (key, origin) = (&first.key, &first.origin);
                mistakes.wrong(leaf, format!("is also {key} ({origin})"));
            }
            None => seen.push((address, leaf)),
        }
    }
}
