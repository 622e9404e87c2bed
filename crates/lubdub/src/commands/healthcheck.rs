//! `lubdub healthcheck`: asks a running lubdub whether it is ready. For containers without a shell
//! and curl; the answer is the exit code.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;

use super::target::Target;
use super::{answer, ask};
use crate::config::{self, Sources, Wrong};
use crate::output;

/// Where readiness is told.
const PATH: &str = "/readyz";

/// Reads what `--url` says.
///
/// # Errors
/// If it is no URL that an admin listener can have.
pub(crate) fn url(text: &str) -> Result<Target, Wrong> {
    Ok(ask::listener(text)?.or_path(PATH))
}

/// Asks `url`, or the admin listener that `sources` configure. Anything but "ready" is an error.
pub(crate) fn healthcheck(
    url: Option<Target>,
    timeout: Duration,
    sources: &Sources,
) -> anyhow::Result<()> {
    let target = match url {
        Some(target) => target,
        None => ask::configured(sources, "--url")?.or_path(PATH),
    };
    let said = ask::block_on(async {
        tokio::time::timeout(timeout, ask(&target))
            .await
            .ok()
            .with_context(|| format!("no answer within {}", config::written(timeout)))?
    });
    let said = said.with_context(|| target.shown("http"))?;
    Ok(output::print(&format!("{said}\n"))?)
}

async fn ask(target: &Target) -> anyhow::Result<String> {
    let answer = ask::send(target, Request::new(Full::new(Bytes::new()))).await?;
    let status = answer.status();
    let said = answer::in_a_line(answer).await;
    ensure!(status == StatusCode::OK, "{said}");
    Ok(said)
}
