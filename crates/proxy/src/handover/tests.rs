//! The batches through every death, and the connection through every cut.

mod deaths;
mod drivers;
mod ends;
mod exclusion;
mod figures;
mod link;
