//! The commands of the program, one file each.

pub(crate) mod check;
pub(crate) mod run;
