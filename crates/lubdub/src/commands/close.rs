//! `lubdub close`: ends one pair of a running lubdub.

use anyhow::Context as _;
use clap::Args;
use lubdub_proxy::registry::Farewell;
use lubdub_wire::CloseCode;
use serde_json::{Map, Value};

use super::ask::{self, Admin, Asking};
use super::wanted::pair_id;
use crate::config::Sources;
use crate::output;

/// Which pair, and what it is told.
#[derive(Debug, Clone, Args)]
pub(crate) struct Close {
    /// The number of the pair: `pair` in the log and in `lubdub pairs`
    #[arg(value_name = "ID", value_parser = pair_id)]
    id: u64,

    /// The code of the Close to both sides: 1000-1003, 1007-1014 or 3000-4999; 1001 (going away) if not said
    #[arg(long, value_name = "CODE", value_parser = code)]
    code: Option<CloseCode>,

    /// Its reason, at most 123 bytes
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,

    /// The lubdub that is asked.
    #[command(flatten)]
    asking: Asking,
}

/// Asks for it.
pub(crate) fn close(close: &Close, sources: &Sources) -> anyhow::Result<()> {
    let admin = Admin::find(&close.asking, sources)?;
    let mut order = Map::new();
    if let Some(code) = close.code {
        order.insert("code".to_owned(), code.get().into());
    }
    if let Some(reason) = &close.reason {
        order.insert("reason".to_owned(), reason.as_str().into());
    }
    let path = format!("/api/v1/pairs/{}/close", close.id);
    let asked = async { admin.post::<Value>(&path, &Value::Object(order)).await };
    let answer =
        ask::block_on(asked).with_context(|| format!("pair {} is not closed", close.id))?;
    let told = if answer["outcome"] == "closing" {
        "is coming to its end already"
    } else {
        "is told to close"
    };
    Ok(output::print(&format!("pair {} {told}\n", close.id))?)
}

fn code(text: &str) -> Result<CloseCode, String> {
    let number: u16 = text
        .parse()
        .map_err(|_| "must be a number such as 1001".to_owned())?;
    CloseCode::try_new(number).map_err(|error| error.to_string())
}

/// One that fits into a Close.
fn reason(text: &str) -> Result<String, String> {
    match Farewell::try_new(None, Some(text)) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
