//! The opening handshake of a client (RFC 6455 4.1), told in plain words where it fails.
//!
//! fastwebsockets has one, too. It throws away the body of a refusal, takes any
//! Sec-WebSocket-Accept, and refuses `Connection: keep-alive, Upgrade`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fastwebsockets::handshake::generate_key;
use http::header::{
    CONNECTION, HOST, HeaderMap, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use lubdub_proxy::tls;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::super::answer;
use super::super::target::Target;
use super::{Place, Probe};
use crate::config;

/// A connection that speaks WebSocket now.
pub(super) struct Connected {
    pub(super) stream: TokioIo<Upgraded>,
    /// The subprotocol that the server chose.
    pub(super) subprotocol: Option<String>,
}

/// Connects and shakes hands. What goes wrong is told with the step that it went wrong in.
pub(super) async fn connect(probe: &Probe, place: &Place) -> anyhow::Result<Connected> {
    let stream = within(probe.timeout, async { Ok(place.target.connect().await?) })
        .await
        .context("cannot connect")?;
    let Some(tls) = &place.tls else {
        return upgrade(stream, probe, place).await;
    };
    let connector = TlsConnector::from(Arc::clone(tls.config()));
    let stream = within(probe.timeout, async {
        let stream = connector.connect(tls.name().clone(), stream).await;
        let words = |error| tls::explain(&error, tls, |key| place.key(key));
        stream.map_err(|error| anyhow::Error::msg(words(error)))
    })
    .await
    .context("no TLS")?;
    upgrade(stream, probe, place).await
}

async fn upgrade<S>(stream: S, probe: &Probe, place: &Place) -> anyhow::Result<Connected>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let key = generate_key();
    let request = request(probe, &place.target, &key)?;
    // The sender is kept: without one hyper ends the connection.
    let (_sender, mut answer) = within(probe.timeout, async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Whatever ends the connection is told by the request, or by the upgraded stream.
        tokio::spawn(connection.with_upgrades());
        let answer = sender.send_request(request).await;
        let judged = |error: &hyper::Error| {
            let tls = place.tls.as_ref()?;
            tls::explain_late(error, tls, |key| place.key(key)).map(anyhow::Error::msg)
        };
        let answer = answer.map_err(|error| judged(&error).unwrap_or_else(|| error.into()))?;
        Ok((sender, answer))
    })
    .await
    .context("no answer to the handshake")?;
    if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        bail!(
            "the handshake was refused: {}",
            answer::in_a_line(answer).await
        );
    }
    check(answer.headers(), &key)?;
    let subprotocol = answer.headers().get(SEC_WEBSOCKET_PROTOCOL);
    let subprotocol = subprotocol.map(|name| String::from_utf8_lossy(name.as_bytes()).into_owned());
    let upgraded = hyper::upgrade::on(&mut answer).await?;
    Ok(Connected {
        stream: TokioIo::new(upgraded),
        subprotocol,
    })
}

fn request(
    probe: &Probe,
    target: &Target,
    key: &str,
) -> Result<Request<Empty<Bytes>>, http::Error> {
    let mut request = Request::get(target.path.as_str())
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "Upgrade")
        .header(SEC_WEBSOCKET_KEY, key)
        .header(SEC_WEBSOCKET_VERSION, "13");
    if !probe.subprotocol.is_empty() {
        request = request.header(SEC_WEBSOCKET_PROTOCOL, probe.subprotocol.join(", "));
    }
    if !probe.headers.iter().any(|(name, _)| name == HOST) {
        request = request.header(HOST, target.authority());
    }
    for (name, value) in &probe.headers {
        request = request.header(name, value);
    }
    request.body(Empty::new())
}

/// Whether a 101 is the answer to the upgrade that was asked for. lubdub holds backends to the
/// first two, as clients do.
fn check(headers: &HeaderMap, key: &str) -> anyhow::Result<()> {
    let upgrade = headers.get(UPGRADE).map(http::HeaderValue::as_bytes);
    let accept = headers
        .get(SEC_WEBSOCKET_ACCEPT)
        .map(http::HeaderValue::as_bytes);
    ensure!(
        upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case(b"websocket")),
        "the server's 101 does not upgrade to websocket; lubdub answers 502 then"
    );
    ensure!(
        accept == Some(accept_for(key).as_bytes()),
        "the server's 101 has no right Sec-WebSocket-Accept; lubdub answers 502 then"
    );
    ensure!(
        !headers.contains_key(SEC_WEBSOCKET_EXTENSIONS),
        "the server chose an extension that it was not offered"
    );
    Ok(())
}

fn accept_for(key: &str) -> String {
    let mut sha1 = Sha1::new();
    sha1.update(key);
    sha1.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(sha1.finalize())
}

async fn within<T>(
    limit: Duration,
    step: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::time::timeout(limit, step)
        .await
        .ok()
        .with_context(|| format!("nothing within {}", config::written(limit)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_6455_1_3() {
        assert_eq!(
            accept_for("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
