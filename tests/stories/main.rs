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
mod workers;
