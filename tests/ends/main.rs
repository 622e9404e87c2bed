//! How pairs end: by their endpoints, whose farewells are theirs alone, and by lubdub, which says a
//! farewell of its own at a frame boundary.

mod drain;
mod farewells;
mod limits;
mod survivors;
