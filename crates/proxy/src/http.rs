//! One request in, one answer out: an upgrade, a plain exchange, or a refusal.

mod account;
mod answer;
mod asker;
mod forwarded;
mod handshake;
mod headers;
mod login;
mod plain;
mod refusal;
pub(crate) mod service;
mod spelling;
mod subject;
pub(crate) mod trailers;
mod upgrade;
mod upload;

pub(crate) use subject::Subjects;
