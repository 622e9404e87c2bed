//! What an operator is told of a running proxy, and what they may do to one pair of it.

mod close;
mod inventory;
