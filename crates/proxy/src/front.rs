//! The front: where clients come in.

pub(crate) mod listener;
mod newcomer;
