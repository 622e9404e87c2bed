//! Every byte that one endpoint says reaches the other one, in order, whatever it is; what lubdub
//! adds stands between frames, and what it takes back are the pongs to its own pings.

mod crowd;
mod duplex;
mod edges;
mod traffic;
