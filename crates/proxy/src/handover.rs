//! The hand-over: a process gives its listeners and its pairs to the one that takes its place.
//!
//! The *predecessor* is the process that gives, the *successor* the one that takes. They speak over a
//! unix socket, in `message`s; descriptors go along with them (`link`). Pairs go in batches, and
//! `giver` and `taker` see to it that none of them is ever alive twice or in neither process,
//! whoever dies and when (docs/adr/0016). These three know nothing of what a pair is.

mod arrival;
mod changing;
mod counters;
mod departure;
mod ends;
mod error;
mod giver;
mod lingerers;
mod link;
mod message;
mod pairs;
mod predecessor;
mod successor;
mod taker;
#[cfg(test)]
mod tests;

pub use arrival::{Arrival, Arrived, Sockets, refuse, refuse_successor};
pub(crate) use changing::{Change, Changing};
pub use departure::{Departed, Offer, OfferedAdmin, Who};
pub use error::{HandoverError, Stage};
pub(crate) use lingerers::Lingerers;
pub(crate) use message::Ask;
