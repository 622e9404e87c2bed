//! The commands of the program, one file each.

pub(crate) mod check;
pub(crate) mod close;
pub(crate) mod coherent;
pub(crate) mod completions;
pub(crate) mod drain;
pub(crate) mod ends;
pub(crate) mod healthcheck;
pub(crate) mod manual;
pub(crate) mod pairs;
pub(crate) mod probe;
pub(crate) mod reload;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod target;
pub(crate) mod top;
pub(crate) mod upgrade;

mod answer;
mod ask;
mod human;
mod table;
mod trace;
mod wanted;

pub(crate) use ask::patience;
