//! The front: where clients come in.

pub(crate) mod gates;
mod listener;
pub(crate) mod listeners;
mod newcomer;
mod proxy_header;
