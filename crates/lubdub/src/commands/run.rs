//! `lubdub run`: the proxy itself.

use crate::config::Config;
use crate::{logging, version};

/// Runs the proxy until it is told to stop.
pub(crate) fn run(config: Config) -> anyhow::Result<()> {
    logging::init(config.log)?;
    tracing::info!(
        version = version::VERSION,
        revision = version::REVISION,
        "lubdub starts"
    );
    anyhow::bail!("the proxy is not part of this build")
}
