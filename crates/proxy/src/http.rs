//! One request in, one answer out: an upgrade, a plain exchange, or a refusal.

pub(crate) mod body;
mod forwarded;
mod handshake;
mod headers;
pub(crate) mod plain;
mod refusal;
pub(crate) mod service;
pub(crate) mod trailers;
mod upgrade;
mod upload;
