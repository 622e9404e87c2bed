//! Unix sockets: what stands in the way of one, who may connect, and whose its file is. That pairs live over them as
//! they do over TCP, the other rooms say, with `LUBDUB_TEST_WAY=unix`.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    reason = "what is missing on this machine ends the test"
)]

mod files;
mod program;
mod upstreams;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lubdub_proxy::settings::{Settings, Site};
use lubdub_proxy::{Address, Proxy, StartError};
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::{ProxyBox, metrics};

/// A directory of the test's own, with a short name.
pub(crate) struct Room(PathBuf);

impl Room {
    pub(crate) fn new(test: &str) -> Self {
        let name = format!("lubdub-{}-{test}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    /// A place in it.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// lubdub at a path, in front of an upstream at another one.
pub(crate) fn settings(path: &Path, upstream: &Upstream) -> Settings {
    let mut settings = ProxyBox::new().settings(upstream.address());
    settings.listeners[0].address = Address::unix(path).unwrap();
    if let Some(path) = upstream.path() {
        let route = Arc::make_mut(&mut settings.routes[0]);
        Arc::make_mut(&mut route.upstream).site = Site::Unix(path.into());
    }
    settings
}

pub(crate) fn start(settings: Settings) -> Result<Proxy, StartError> {
    Proxy::start(settings, &metrics(&["main"]))
}
