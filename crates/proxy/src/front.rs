//! The front: where clients come in.

pub(crate) mod clock;
pub(crate) mod connection;
pub(crate) mod listener;
