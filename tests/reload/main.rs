//! A reload: the next generation takes effect whole, and no live pair ends by it.

mod access;
mod files;
mod heartbeat;
mod keys;
mod limits;
mod listeners;
mod routes;
