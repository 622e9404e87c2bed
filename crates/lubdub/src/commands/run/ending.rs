//! Signals that end the program.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

/// Signals that end the program.
pub(super) struct Ending {
    terminate: Signal,
    interrupt: Signal,
}

// === impl Ending ===

impl Ending {
    pub(super) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => info!("told to stop by SIGTERM"),
            _ = self.interrupt.recv() => info!("told to stop by SIGINT"),
        }
    }
}
