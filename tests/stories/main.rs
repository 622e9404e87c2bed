//! Faults that lubdub had: each test is named after the story of one, and fails without its mend.

mod answers;
mod budgets;
mod departures;
mod descriptors;
mod drains;
mod ends;
mod heads;
mod loops;
mod memory;
mod places;
mod pools;
mod refusals;
mod stalls;
mod trailers;
mod uploads;
mod waits;

use std::net::{Ipv4Addr, TcpListener};

/// A port that nobody has at the moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("it has an address");
    address.port()
}
