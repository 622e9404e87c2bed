//! The log: lines of text or JSON on standard error.

use std::io::{self, IsTerminal};

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;

use crate::config::{LogFormat, LogSettings};

/// What the targets of lubdub's own crates begin with.
const OURS: &str = "lubdub";

/// Begins to log as `settings` say.
///
/// # Errors
/// If something else in the process already logs.
pub(crate) fn init(settings: LogSettings) -> anyhow::Result<()> {
    let ansi =
        io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    tracing::subscriber::set_global_default(subscriber(settings, ansi, io::stderr))?;
    Ok(())
}

fn subscriber<W>(settings: LogSettings, ansi: bool, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Libraries are heard when something is wrong, and never more than lubdub itself.
    let ours = LevelFilter::from_level(settings.level);
    let filter = Targets::new()
        .with_target(OURS, ours)
        .with_default(ours.min(LevelFilter::WARN));
    let layer = match settings.format {
        LogFormat::Text => fmt::layer().with_ansi(ansi).with_writer(writer).boxed(),
        LogFormat::Json => fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(writer)
            .boxed(),
    };
    registry().with(layer.with_filter(filter))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::Level;

    use super::*;

    /// What is logged, for looking at.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(format: LogFormat, level: Level, events: impl FnOnce()) -> Vec<String> {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = subscriber(LogSettings { format, level }, false, move || writer.clone());
        tracing::subscriber::with_default(subscriber, events);
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    #[test]
    fn the_level_is_lubdubs_and_others_are_heard_from_warn() {
        let lines = lines(LogFormat::Text, Level::DEBUG, || {
            tracing::debug!(target: "lubdub_proxy::pair", "ours");
            tracing::trace!(target: "lubdub", "too little");
            tracing::info!(target: "hyper", "theirs");
            tracing::warn!(target: "hyper", "theirs, grave");
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].contains("DEBUG") && lines[0].contains("ours"),
            "{lines:?}"
        );
        assert!(lines[1].contains("theirs, grave"), "{lines:?}");
    }

    #[test]
    fn others_are_never_louder_than_lubdub() {
        let lines = lines(LogFormat::Text, Level::ERROR, || {
            tracing::warn!(target: "hyper", "theirs");
            tracing::error!(target: "hyper", "theirs, worse");
        });
        assert_eq!(lines.len(), 1, "{lines:?}");
    }

    #[test]
    fn json_is_a_flat_object_a_line() {
        let lines = lines(LogFormat::Json, Level::INFO, || {
            tracing::info!(target: "lubdub", cause = "drain", frames = 3, "pair ended");
        });
        let [line] = &lines[..] else {
            panic!("{lines:?}")
        };
        let object: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(line).unwrap();
        assert_eq!(object["cause"], "drain");
        assert_eq!(object["frames"], 3);
        assert_eq!(object["message"], "pair ended");
        assert!(object.values().all(|value| !value.is_object()), "{line}");
    }
}
