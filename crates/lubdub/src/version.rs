//! Which lubdub this is.

/// The version, as in semver.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that the program was built from, or "unknown".
pub(crate) const REVISION: &str = env!("LUBDUB_REVISION");

/// Both, for `--version`.
pub(crate) const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("LUBDUB_REVISION"),
    ")"
);
