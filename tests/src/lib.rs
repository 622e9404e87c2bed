//! Guards the boundary of the product: what is tested here, is tested from outside, over real
//! sockets. There is nothing in this library; the tests are its targets, and what they are written
//! with is `lubdub_testkit`.

#![forbid(unsafe_code)]
