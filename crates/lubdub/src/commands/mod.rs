//! The commands of the program, one file each.

pub(crate) mod check;
pub(crate) mod coherent;
pub(crate) mod completions;
pub(crate) mod drain;
pub(crate) mod healthcheck;
pub(crate) mod manual;
pub(crate) mod probe;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod target;

mod answer;
mod ask;
