//! The front: where clients come in.

pub(crate) mod gates;
mod listener;
pub(crate) mod listeners;
pub(crate) mod listening;
mod newcomer;
mod proxy_header;
