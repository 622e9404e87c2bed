//! The heartbeat machine in virtual time: the real [`lubdub_keepalive::Heartbeat`] in the middle,
//! driven by the documented call order, between two scripted peers on links that delay, stall,
//! lose and die. Nothing waits: time jumps to the next event, and a run that does not come to an
//! end is a failure, not a hang.
//!
//! `scenarios` has one world for each thing that is promised, `marathon` random ones that last for
//! hours, at the scale of operators.

mod dice;
mod journal;
mod link;
mod marathon;
mod oracle;
mod payload;
mod peer;
mod proxy;
mod scenarios;
mod script;
mod window;
mod world;
