//! A question to the admin listener of a lubdub that runs: what the commands that talk to one share.

use std::convert::identity;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use clap::Args;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lubdub_proxy::Address;
use lubdub_proxy::settings::Site;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::answer;
use super::target::Target;
use crate::config::{self, Security, Sources, Token, Wrong, but_zero, parse_duration};

/// Which lubdub is asked, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "The lubdub that is asked")]
pub(crate) struct Asking {
    /// Its admin listener, such as 10.0.0.7:9901 or unix:/run/x.sock, instead of the configured one
    #[arg(long, value_name = "ADDR", value_parser = listener)]
    admin: Option<Target>,

    /// Read the token from this file instead of the configured admin.token_file
    #[arg(long, value_name = "PATH")]
    token_file: Option<PathBuf>,

    /// For each answer
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = patience)]
    timeout: Duration,
}

/// How long somebody waits: for a moment at least.
pub(crate) fn patience(text: &str) -> Result<Duration, Wrong> {
    parse_duration(text).and_then(but_zero)
}

impl Asking {
    /// Waits at least so long for each answer.
    pub(super) fn at_least(self, timeout: Duration) -> Self {
        let timeout = self.timeout.max(timeout);
        Self { timeout, ..self }
    }
}

/// The admin listener of a lubdub that runs.
#[derive(Debug)]
pub(super) struct Admin {
    target: Target,
    token: Option<Token>,
    timeout: Duration,
}

/// Why nothing at all is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("no answer within {}", config::written(*.0))]
    InTime(Duration),
    #[error("is lubdub running there? (admin.address, --admin)")]
    There,
}

/// Reads where an admin listener is: a URL, or only what stands behind `http://`.
///
/// # Errors
/// If it is no URL that an admin listener can have.
pub(super) fn listener(text: &str) -> Result<Target, Wrong> {
    let target = match text.contains("://") || config::is_unix(text) {
        true => Target::parse(text)?,
        false => Target::parse(&format!("http://{text}"))?,
    };
    if target.server.security == Security::Tls {
        return Err(Wrong::new(
            "must begin with http://: the admin listener speaks plain HTTP",
        ));
    }
    Ok(target)
}

/// The admin listener of the configuration; `flag` names another one.
pub(super) fn configured(sources: &Sources, flag: &str) -> anyhow::Result<Target> {
    let address = config::admin_address(sources)?.with_context(|| {
        format!("the admin listener is off (admin.address); name another one with {flag}")
    })?;
    ensure!(
        !address.is_kernels_choice(),
        "the port of the admin listener is the kernel's choice (admin.address); name it with {flag}"
    );
    let address = match address {
        Address::Ip(address) => Address::Ip(reachable(address)),
        path @ Address::Unix(_) => path,
    };
    Ok(listener(&address.to_string())?)
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

/// Runs a command that asks.
pub(super) fn block_on<T>(asking: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answered = runtime.block_on(asking);
    // A name may still be looked up, and nobody waits for it.
    runtime.shutdown_background();
    answered
}

/// Sends a request to where `target` says.
pub(super) async fn send(
    target: &Target,
    mut request: Request<Full<Bytes>>,
) -> anyhow::Result<Response<Incoming>> {
    let stream = target.connect().await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Whatever ends the connection is told by the request.
    tokio::spawn(connection);
    *request.uri_mut() = target.path.as_str().parse()?;
    request
        .headers_mut()
        .insert(HOST, target.authority().parse()?);
    Ok(sender.send_request(request).await?)
}

// === impl Admin ===

impl Admin {
    /// The longest answer that is read.
    const MOST: usize = 64 * 1024 * 1024;

    /// The one that `asking` names, or else the one that `sources` configure.
    pub(super) fn find(asking: &Asking, sources: &Sources) -> anyhow::Result<Self> {
        let target = match &asking.admin {
            Some(target) => target.clone(),
            None => configured(sources, "--admin")?,
        };
        let token = match &asking.token_file {
            Some(path) => {
                let token = Token::from_file(path).map_err(|Wrong(wrong)| {
                    anyhow::anyhow!("--token-file {}: {wrong}", path.display())
                })?;
                Some(token)
            }
            // Whatever is asked may not be what is configured here.
            None if asking.admin.is_some() => config::admin_token(sources).unwrap_or_default(),
            None => config::admin_token(sources)
                .context("the token cannot be had (name another file with --token-file)")?,
        };
        let timeout = asking.timeout;
        Ok(Self {
            target,
            token,
            timeout,
        })
    }

    /// Where it is, as a person is told.
    pub(super) fn address(&self) -> String {
        match &self.target.server.site {
            Site::Named { .. } => self.target.authority(),
            Site::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// What is to be known at `path`, which may have a query.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// What comes of it if `path` is asked for a change.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &Value,
    ) -> anyhow::Result<T> {
        self.ask(Method::POST, path, body.to_string().into()).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> anyhow::Result<T> {
        let mut request = Request::builder().method(method.clone());
        if method == Method::POST {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.bearer());
        }
        let request = request.body(Full::new(body))?;
        let mut target = self.target.clone();
        target.path = PathAndQuery::try_from(path)?;
        let answered = tokio::time::timeout(self.timeout, self.answered(&target, request)).await;
        answered
            .map_err(|_| NoAnswer::InTime(self.timeout).into())
            .and_then(identity)
            .with_context(|| target.shown("http"))
    }

    async fn answered<T: DeserializeOwned>(
        &self,
        target: &Target,
        request: Request<Full<Bytes>>,
    ) -> anyhow::Result<T> {
        let answer = send(target, request).await.context(NoAnswer::There)?;
        match answer.status() {
            // What was refused says why in the same form.
            StatusCode::OK | StatusCode::UNPROCESSABLE_ENTITY => {
                let body = http_body_util::Limited::new(answer.into_body(), Self::MOST);
                let body = body.collect().await.map_err(anyhow::Error::from_boxed)?;
                serde_json::from_slice(&body.to_bytes())
                    .context("the answer is not what lubdub says; is it one of another version?")
            }
            StatusCode::UNAUTHORIZED => {
                let said = answer::in_a_line(answer).await;
                match &self.token {
                    Some(_) => bail!(
                        "{said}; the token that was presented is not this lubdub's (if its file has just been changed: \
                         SIGHUP has lubdub read it)"
                    ),
                    None => {
                        bail!("{said}; name its file with --token-file, or in the configuration")
                    }
                }
            }
            // A lubdub says what it has not, as problem details.
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED
                if !answer::is_problem(&answer) =>
            {
                let said = answer::in_a_line(answer).await;
                bail!("{said}; this is no lubdub, or one of another version")
            }
            _ => bail!("{}", answer::in_a_line(answer).await),
        }
    }
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

    #[test]
    fn a_listener_is_a_url_or_the_rest_of_one() {
        for text in [
            "127.0.0.1:9901",
            "http://127.0.0.1:9901",
            "http://127.0.0.1:9901/",
        ] {
            assert_eq!(listener(text).unwrap().authority(), "127.0.0.1:9901");
        }
        let Wrong(wrong) = listener("https://127.0.0.1:9901").unwrap_err();
        assert!(wrong.contains("http://"), "{wrong}");
    }
}
