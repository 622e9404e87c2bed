//! End-to-end tests of lubdub.
