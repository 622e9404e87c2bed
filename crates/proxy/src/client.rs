//! A client's connection, as its requests and their answers know it. What accepts connections is
//! above this (`front`), and so is what decides about requests (`http`).

pub(crate) mod clock;
mod connection;
mod proxied;
mod watched;

pub(crate) use self::connection::Connection;
pub(crate) use self::proxied::Proxied;
pub(crate) use self::watched::{LINGER, Watched};
