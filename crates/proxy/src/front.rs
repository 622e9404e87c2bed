//! The front: where clients come in.

mod listener;
pub(crate) mod listeners;
mod newcomer;
