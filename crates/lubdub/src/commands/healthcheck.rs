//! `lubdub healthcheck`: asks a running lubdub whether it is ready. For containers without a shell
//! and curl; the answer is the exit code.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::header::HOST;
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::answer;
use super::target::Target;
use crate::config::{self, Security, Sources, Wrong};
use crate::output;

/// Where readiness is told.
const PATH: &str = "/readyz";

/// Reads what `--url` says.
///
/// # Errors
/// If it is no URL that an admin listener can have.
pub(crate) fn url(text: &str) -> Result<Target, Wrong> {
    let target = Target::parse(text)?;
    if target.server.security == Security::Tls {
        return Err(Wrong::new(
            "must begin with http://: the admin listener speaks plain HTTP",
        ));
    }
    Ok(target.or_path(PATH))
}

/// Asks `url`, or the admin listener that `sources` configure. Anything but "ready" is an error.
pub(crate) fn healthcheck(
    url: Option<Target>,
    timeout: Duration,
    sources: &Sources,
) -> anyhow::Result<()> {
    let target = match url {
        Some(target) => target,
        None => configured(sources)?,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let said = runtime.block_on(async {
        tokio::time::timeout(timeout, ask(&target))
            .await
            .ok()
            .with_context(|| format!("no answer within {}", config::written(timeout)))?
    });
    // The name may still be looked up, and nobody waits for it.
    runtime.shutdown_background();
    let said =
        said.with_context(|| format!("http://{}{}", target.authority(), target.path.path()))?;
    Ok(output::print(&format!("{said}\n"))?)
}

/// The admin listener of the configuration.
fn configured(sources: &Sources) -> anyhow::Result<Target> {
    let address = config::admin_address(sources)?
        .context("the admin listener is off (admin.address); name another URL with --url")?;
    ensure!(
        address.port() != 0,
        "the port of the admin listener is the kernel's choice (admin.address); name a URL with --url"
    );
    Ok(Target::parse(&format!(
        "http://{}{PATH}",
        reachable(address)
    ))?)
}

/// Where a listener can be reached from this machine: one on every address is on loopback as well.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

async fn ask(target: &Target) -> anyhow::Result<String> {
    let server = &target.server;
    let stream = TcpStream::connect((server.host.as_str(), server.port)).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Whatever ends the connection is told by the request.
    tokio::spawn(connection);
    let request = Request::get(target.path.as_str())
        .header(HOST, target.authority())
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let said = answer::in_a_line(answer).await;
    ensure!(status == StatusCode::OK, "{said}");
    Ok(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_asked_on_loopback() {
        for (configured, asked) in [
            ("0.0.0.0:1", "127.0.0.1:1"),
            ("[::]:1", "[::1]:1"),
            ("10.0.0.1:1", "10.0.0.1:1"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(reachable(configured.parse().unwrap()).to_string(), asked);
        }
    }
}
