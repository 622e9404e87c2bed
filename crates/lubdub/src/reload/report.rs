//! What a reload has changed, or would change.

use tracing::info;

use crate::config::{Change, Config, Rearranged, Rewritten, Warnings};

/// What a reload has changed, or would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// The number of the generation that is in effect afterwards.
    pub generation: u64,
    pub changes: Vec<Told>,
    /// What will not do in practice.
    pub warnings: Warnings,
}

/// A key whose value is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub key: String,
    pub before: String,
    pub after: String,
    /// Where the new value was set, if it was.
    pub origin: Option<String>,
    /// From when on it holds.
    pub applies: &'static str,
    /// The file that holds something else, if the value is the same.
    pub content_of: Option<String>,
}

// === impl Report ===

impl Report {
    /// What `next` in place of `used` would change: these values, and what is not seen in a value.
    pub(super) fn new(
        generation: u64,
        changes: &[Change<'_>],
        used: &Config,
        next: &Config,
    ) -> Self {
        let values = changes.iter().map(Told::of_value);
        let (orders, files) = (used.rearranged_in(next), used.rewritten_in(next));
        let orders = orders.into_iter().map(Told::of_order);
        let files = files.iter().map(Told::of_file);
        Self {
            generation,
            changes: values.chain(orders).chain(files).collect(),
            warnings: next.warnings.clone(),
        }
    }

    /// Logs what has changed.
    pub(super) fn log(&self) {
        for change in &self.changes {
            if let Some(file) = &change.content_of {
                info!(
                    setting = change.key,
                    file,
                    applies = change.applies,
                    "the content of a file has changed"
                );
                continue;
            }
            info!(
                setting = change.key,
                before = change.before,
                after = change.after,
                origin = change.origin,
                applies = change.applies,
                "a setting has changed"
            );
        }
        info!(
            generation = self.generation,
            changes = self.changes.len(),
            "configuration reloaded"
        );
    }
}

// === impl Told ===

impl Told {
    fn of_value(change: &Change<'_>) -> Self {
        Self {
            key: change.key().to_owned(),
            before: change.written_before(),
            after: change.written_after(),
            origin: change.after.map(|leaf| leaf.origin.to_string()),
            applies: change.applies.as_str(),
            content_of: None,
        }
    }

    fn of_order(order: Rearranged) -> Self {
        Self {
            key: order.key,
            before: order.before,
            after: order.after,
            origin: None,
            applies: order.applies.as_str(),
            content_of: None,
        }
    }

    /// What is in it is not told: it may be a secret.
    fn of_file(file: &Rewritten<'_>) -> Self {
        let value = match file.leaf {
            Some(leaf) => leaf.value.to_string(),
            None => "not set".to_owned(),
        };
        Self {
            key: file.key.to_owned(),
            before: value.clone(),
            after: value,
            origin: file.leaf.map(|leaf| leaf.origin.to_string()),
            applies: file.applies.as_str(),
            content_of: Some(file.file.clone()),
        }
    }
}
