//! The load generator: one thread, level-triggered readiness, no allocation per message.

mod churn;
mod client;
mod fleet;
mod hold;
mod meter;
mod relay;
mod slice;
mod target;

pub(crate) use churn::{Churn, ChurnReport};
pub(crate) use hold::{Hold, HoldReport, Kind, counters};
pub(crate) use meter::Observed;
pub(crate) use relay::{Relay, RelayReport};
pub(crate) use slice::{Slice, Sliced};
pub(crate) use target::Target;
