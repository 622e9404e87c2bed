//! `lubdub probe URL|UPSTREAM`: connects to a backend as a client would, pings it as lubdub would, and says
//! whether it answers, and what to configure if it does not.

mod connect;
mod ledger;
mod place;
mod rounds;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use http::header::{self, HeaderName, HeaderValue};
use tokio::time::Instant;

use self::place::{Asked, Place};
use super::coherent::Cohere;
use crate::config::{Sources, parse_duration};
use crate::output;

/// What to probe, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct Probe {
    /// The backend, such as ws://127.0.0.1:9000/chat or wss://chat.example.com; or the name of a configured
    /// upstream and perhaps a path, such as chat/room
    #[arg(value_name = "URL|UPSTREAM", value_parser = Asked::parse)]
    target: Asked,

    /// How many pings
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=MOST))]
    count: u32,

    /// From one ping to the next, whether or not it is answered
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration)]
    interval: Duration,

    /// For a pong, and before that for each step: connection, TLS, handshake
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = patience)]
    timeout: Duration,

    /// Offer this subprotocol; repeatable
    #[arg(long, value_name = "NAME", value_parser = subprotocol)]
    subprotocol: Vec<String>,

    /// Send this header field as well, such as 'Authorization: Bearer TOKEN'; repeatable
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = field)]
    headers: Vec<(HeaderName, HeaderValue)>,

    /// Trust the certificates in this PEM file instead of the platform's
    #[arg(long, value_name = "PATH")]
    ca: Option<PathBuf>,
}

/// More pings than this are no probe.
const MOST: i64 = 1_000_000;

/// Fields of the handshake itself.
const RESERVED: [HeaderName; 9] = [
    header::CONNECTION,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::SEC_WEBSOCKET_ACCEPT,
    header::SEC_WEBSOCKET_EXTENSIONS,
    header::SEC_WEBSOCKET_KEY,
    header::SEC_WEBSOCKET_PROTOCOL,
    header::SEC_WEBSOCKET_VERSION,
];

impl Cohere for Probe {
    fn objection(&self) -> Option<String> {
        self.ca.as_ref()?;
        self.target.objection_to_ca().map(str::to_owned)
    }
}

/// Probes, and tells what happens as it happens. It fails unless every pong comes, and right.
/// `sources` say where an upstream is.
pub(crate) fn probe(probe: &Probe, sources: &Sources) -> anyhow::Result<ExitCode> {
    let place = probe.target.place(probe.ca.as_deref(), sources)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let result = runtime.block_on(run(probe, &place));
    // A name may still be looked up, and nobody waits for it.
    runtime.shutdown_background();
    result
}

async fn run(probe: &Probe, place: &Place) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let connected = connect::connect(probe, place)
        .await
        .with_context(|| place.target.to_string())?;
    let mut line = format!(
        "connected to {} in {}",
        place.target.authority(),
        verdict::millis(began.elapsed())
    );
    if let Some(subprotocol) = connected.subprotocol {
        line += &format!(", subprotocol {subprotocol}");
    }
    output::print(&format!("{line}\n"))?;
    let outcome = rounds::run(connected.stream, probe).await?;
    output::print(&verdict::describe(&outcome, probe))?;
    Ok(if outcome.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn patience(text: &str) -> Result<Duration, String> {
    match parse_duration(text) {
        Ok(Duration::ZERO) => Err("must be longer than zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(wrong) => Err(wrong.to_string()),
    }
}

/// A token, as Sec-WebSocket-Protocol lists them (RFC 6455 4.1).
fn subprotocol(text: &str) -> Result<String, String> {
    let is_separator = |b: u8| b"()<>@,;:\\\"/[]?={}".contains(&b);
    let is_token = |b: u8| b.is_ascii_graphic() && !is_separator(b);
    if !text.is_empty() && text.bytes().all(is_token) {
        Ok(text.to_owned())
    } else {
        Err("must be a word without separators".to_owned())
    }
}

fn field(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("must be 'NAME: VALUE'")?;
    let name: HeaderName = name.parse().map_err(|_| "has a name that is none")?;
    if RESERVED.contains(&name) {
        return Err(format!("{name} belongs to the handshake itself"));
    }
    let value = value
        .trim()
        .parse()
        .map_err(|_| "has a value that cannot be sent")?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_a_name_and_a_value_of_ones_own() {
        assert_eq!(
            field("Origin:  https://a.example "),
            Ok((
                header::ORIGIN,
                HeaderValue::from_static("https://a.example")
            ))
        );
        assert_eq!(
            field("Host: b"),
            Ok((header::HOST, HeaderValue::from_static("b")))
        );
        for text in [
            "Origin",
            "a b: c",
            ": c",
            "upgrade: x",
            "Sec-WebSocket-Key: x",
            "a: b\nc",
        ] {
            assert!(field(text).is_err(), "{text}");
        }
    }

    #[test]
    fn subprotocols_are_tokens() {
        assert_eq!(subprotocol("graphql-ws"), Ok("graphql-ws".to_owned()));
        for text in ["", "a,b", "a b", "a/b"] {
            assert!(subprotocol(text).is_err(), "{text}");
        }
    }
}
