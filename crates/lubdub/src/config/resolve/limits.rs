//! Bounds of the whole process, within what the file limit carries.

use std::num::NonZeroUsize;

use lubdub_proxy::settings::Limits;

use super::super::error::{Mistakes, Wrong};
use super::super::keys::LEAST_HEAD;
use super::super::leaf::Scalar;
use super::super::machine::{Household, Machine};
use super::super::{raw, read};
use super::take;

/// Reads the bounds.
pub(super) fn resolve(
    raw: &raw::Limits,
    machine: &Machine,
    household: &Household,
    mistakes: &mut Mistakes,
) -> Option<Limits> {
    let carried = NonZeroUsize::new(machine.pairs(household));
    let most = |value: &_| within(value, carried, machine, household);
    let pairs = take(&raw.pairs, most, mistakes);
    // A file limit that carries nothing is told of once.
    let connections = match carried {
        Some(_) => take(&raw.connections, most, mistakes),
        None => None,
    };
    let pairs_per_source = take(&raw.pairs_per_source, read::count_or_off, mistakes);
    let handshake_rate = take(&raw.handshake_rate, read::rate_or_off, mistakes);
    let handshakes = take(&raw.handshakes, read::count, mistakes);
    let head_bytes = take(&raw.head_bytes, head_bytes, mistakes);
    // A pair is one connection on either side.
    let connections = connections?.or(carried)?;
    Some(Limits {
        pairs: pairs?.unwrap_or(connections).get(),
        pairs_per_source: pairs_per_source?,
        handshake_rate: handshake_rate?,
        handshakes: handshakes?,
        connections,
        head_bytes: head_bytes?,
    })
}

/// A number of pairs or connections that the file limit carries; `None` for "auto".
fn within(
    value: &Scalar,
    carried: Option<NonZeroUsize>,
    machine: &Machine,
    household: &Household,
) -> Result<Option<NonZeroUsize>, Wrong> {
    let files = machine.files;
    let Some(carried) = carried else {
        return Err(Wrong(format!(
            "the file limit of {files} carries no pair beside {household}; raise it, or set a smaller runtime.workers"
        )));
    };
    match read::count_or_auto(value)? {
        Some(count) if count > carried => Err(Wrong(format!(
            "is more than the {carried} that the file limit of {files} carries beside {household}"
        ))),
        count => Ok(count),
    }
}

fn head_bytes(value: &Scalar) -> Result<usize, Wrong> {
    let bytes = read::size(value)?;
    if bytes < LEAST_HEAD {
        return Err(Wrong::new("must be at least \"8KiB\""));
    }
    usize::try_from(bytes).map_err(|_| Wrong::new("is more than this machine can address"))
}
