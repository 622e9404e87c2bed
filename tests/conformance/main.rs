//! What an intermediary that injects pings has to get right: scripted endpoints on both sides of the
//! real program, and one rule a case.
//!
//! [`cases`] declares them all; `docs/topics/transparency.md` lists them, and [`page`] checks that it
//! does. [`control`] plays the same cases against other proxies, which shows what a case tests: one that
//! asks for a heartbeat has to fail where there is none.
//!
//! No replacement for the tests of each part of lubdub, which look inside (`tests/transparency`,
//! `tests/heartbeat`, `tests/ends`): here lubdub is a process with two sockets.

mod cases;
mod control;
mod conversation;
mod ends;
mod heartbeat;
mod page;
mod stage;
mod transparency;
