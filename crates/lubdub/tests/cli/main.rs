//! The program as its operators meet it: real runs with an environment of their own.

mod addresses;
mod asked;
mod certificates;
mod clients;
mod file;
mod healthcheck;
mod mistakes;
mod pages;
mod printed;
mod probe;
mod program;
mod unix;
mod unread;
mod upstream_tls;
mod usage;
mod warnings;
