//! The body of a request: bounded in length and time, and JSON of which every field is known.

use std::fmt::Display;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper::body::Body;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The longest body, in bytes.
const MOST: usize = 64 * 1024;
/// What is read beyond that, so that who sends it reads the answer.
const BEYOND: usize = 1024 * 1024;
/// A client that does not send its body is let go of.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is wrong with a body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadBody {
    #[error("the body is longer than {MOST} bytes")]
    TooLong,
    #[error("the body did not come within {} s", PATIENCE.as_secs())]
    TooSlow,
    #[error("the body broke off")]
    Broken,
    #[error("{0}")]
    Wrong(String),
}

impl BadBody {
    /// A field that will not do.
    pub(super) fn field(name: &str, reason: impl Display) -> Self {
        Self::Wrong(format!("{name}: {reason}"))
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken | Self::Wrong(_) => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads all of a body.
pub(super) async fn read<B: Body<Data = Bytes> + Unpin>(body: B) -> Result<Vec<u8>, BadBody> {
    tokio::time::timeout(PATIENCE, collect(body))
        .await
        .unwrap_or(Err(BadBody::TooSlow))
}

async fn collect<B: Body<Data = Bytes> + Unpin>(mut body: B) -> Result<Vec<u8>, BadBody> {
    let mut bytes = Vec::new();
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| BadBody::Broken)?.into_data() else {
            continue;
        };
        len += data.len();
        if len <= MOST {
            bytes.extend_from_slice(&data);
        } else if len > BEYOND {
            break;
        }
    }
    if len > MOST {
        return Err(BadBody::TooLong);
    }
    Ok(bytes)
}

/// Reads JSON. Which fields there are, and no others, `T` says; what is in them comes later, for an
/// error that names the field.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BadBody> {
    if bytes.trim_ascii().is_empty() {
        return Err(BadBody::Wrong(
            "there is no body; an empty object is {}".to_owned(),
        ));
    }
    // What reads an object also takes a list of its values.
    if !bytes.trim_ascii_start().starts_with(b"{") {
        return Err(BadBody::Wrong("the body must be a JSON object".to_owned()));
    }
    serde_json::from_slice(bytes).map_err(|error| BadBody::Wrong(format!("the body: {error}")))
}

/// A field that holds text.
pub(super) fn text(name: &str, value: Option<Value>) -> Result<Option<String>, BadBody> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(BadBody::field(
            name,
            format_args!("must be text, not {other}"),
        )),
    }
}

/// A field that is true or false; not there is false.
pub(super) fn flag(name: &str, value: Option<Value>) -> Result<bool, BadBody> {
    match value {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(flag),
        Some(other) => {
            let reason = format_args!("must be true or false, not {other}");
            Err(BadBody::field(name, reason))
        }
    }
}
