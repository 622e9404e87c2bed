//! The heartbeat machine in virtual time: the real [`lubdub_keepalive::Heartbeat`] in the middle,
//! driven by the documented call order, between two scripted peers on links that delay, stall,
//! lose and die. Nothing waits: time jumps to the next event, and a run that does not come to an
//! end is a failure, not a hang.
//!
//! `LUBDUB_SIM_CASES` says how many random worlds each property is tried on.

mod journal;
mod link;
mod oracle;
mod peer;
mod properties;
mod proxy;
mod random;
mod scenarios;
mod script;
mod world;
