//! Clients that take places and time, and those that come after them.
