//! Counters as plain numbers: what a process that takes another's place goes on counting from.
//!
//! Histograms do not go along: their samples are in buckets already, and begin anew.

use std::sync::Arc;

use metrics::{Key, Label, Recorder as _};

use crate::labels::Connect;
use crate::names::Known;
use crate::recorder::{METADATA, Metrics};
use crate::table::{self, Kind, TABLE};
use crate::upstream::UpstreamMetrics;

/// A counter of the table, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count {
    /// The metric's name.
    pub name: String,
    /// Labels and their values, in the order of the table.
    pub labels: Vec<(String, String)>,
    /// How far it is, or what is to be added.
    pub value: u64,
}

// === impl Metrics ===

impl Metrics {
    /// Every counter that is not at 0.
    #[must_use]
    pub fn counts(&self) -> Vec<Count> {
        let text = self.render_all();
        text.lines().filter_map(Count::parse).collect()
    }

    /// Adds to the counters. What is of no metric or of no name that this process has is left out: how
    /// many that were is returned.
    pub fn add_counts(&self, counts: &[Count]) -> usize {
        let mut left_out = 0;
        for count in counts {
            if let Some((upstream, outcome)) = self.connects_of(count) {
                upstream.add_connects(outcome, count.value);
            } else if self.has(count) {
                let counter = self.recorder().register_counter(&count.key(), &METADATA);
                counter.increment(count.value);
            } else {
                left_out += 1;
            }
        }
        left_out
    }

    /// The connects that are counted, if it is those: they are kept beside the recorder as well.
    fn connects_of(&self, count: &Count) -> Option<(Arc<UpstreamMetrics>, Connect)> {
        let [(_, upstream), (_, outcome)] = &count.labels[..] else {
            return None;
        };
        if count.name != table::UPSTREAM_CONNECTS.name || !self.has(count) {
            return None;
        }
        let outcome = Connect::ALL.into_iter().find(|it| it.as_str() == outcome)?;
        Some((self.upstream(upstream)?, outcome))
    }

    fn has(&self, count: &Count) -> bool {
        let metric = TABLE.iter().find(|metric| metric.name == count.name);
        let is_it = metric.is_some_and(|metric| {
            let labels = metric.labels.iter().map(|label| label.as_str());
            matches!(metric.kind, Kind::Counter)
                && labels.eq(count.labels.iter().map(|(label, _)| label.as_str()))
        });
        is_it
            && self.knows(|known| {
                count
                    .labels
                    .iter()
                    .all(|(label, value)| has_name(known, label, value))
            })
    }
}

fn has_name(known: &Known, label: &str, value: &str) -> bool {
    match label {
        "listener" => known.listener(value).is_some(),
        "route" => value == crate::NO_ROUTE || known.route(value).is_some(),
        "upstream" => known.upstream(value).is_some(),
        // The others are closed: what a release does not know, it does not show.
        _ => true,
    }
}

// === impl Count ===

impl Count {
    /// A line of the exposition, if it is a counter's. Names and closed labels need no escapes.
    fn parse(line: &str) -> Option<Self> {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = match series.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (series, ""),
        };
        let metric = TABLE.iter().find(|metric| metric.name == name)?;
        let value = value.parse().ok().filter(|value| *value > 0)?;
        matches!(metric.kind, Kind::Counter).then_some(())?;
        let labels = labels.split(',').filter(|label| !label.is_empty());
        let labels = labels.map(|label| {
            let (label, value) = label.split_once('=')?;
            let value = value.strip_prefix('"')?.strip_suffix('"')?;
            Some((label.to_owned(), value.to_owned()))
        });
        Some(Self {
            name: name.to_owned(),
            labels: labels.collect::<Option<_>>()?,
            value,
        })
    }

    fn key(&self) -> Key {
        let labels = self.labels.iter();
        let labels = labels.map(|(label, value)| Label::new(label.clone(), value.clone()));
        Key::from_parts(self.name.clone(), labels.collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BuildInfo, Cause, Names};

    fn metrics(routes: &[&str]) -> Metrics {
        let build = BuildInfo {
            version: "1",
            revision: "0",
        };
        let names = Names {
            listeners: &["main"],
            routes,
            upstreams: &["main"],
        };
        Metrics::new(build, names).unwrap()
    }

    #[test]
    fn counters_go_on_in_another_process_where_it_has_their_names() {
        let (old, new) = (metrics(&["chat", "gone"]), metrics(&["chat"]));
        old.route("chat").unwrap().closed(Cause::Drain).increment(3);
        old.route("gone").unwrap().closed(Cause::Drain).increment(5);
        old.log_lines_dropped().increment(2);
        new.route("chat").unwrap().closed(Cause::Drain).increment(1);

        let counts = old.counts();
        // Three of these, and the reload that a start counts as.
        let ours: Vec<_> = counts
            .iter()
            .filter(|count| !count.name.contains("config"))
            .collect();
        assert_eq!(ours.len(), 3, "{counts:?}");
        assert_eq!(new.add_counts(&counts), 1, "there is no such route");
        let text = new.render();
        assert!(text.contains("lubdub_pairs_closed_total{route=\"chat\",cause=\"drain\"} 4"));
        assert!(text.contains("lubdub_log_lines_dropped_total 2"));
        assert!(
            !text.contains("route=\"gone\""),
            "nothing that nobody knows comes to be"
        );
    }

    #[test]
    fn connects_go_on_where_they_are_read_as_well() {
        let (old, new) = (metrics(&[]), metrics(&[]));
        let upstream = old.upstream("main").unwrap();
        upstream.connect(Connect::Connected);
        upstream.connect(Connect::Timeout);
        let known = new.upstream("main").unwrap();
        known.connect(Connect::Timeout);

        assert_eq!(new.add_counts(&old.counts()), 0);
        assert_eq!(known.connects(Connect::Connected), 1);
        assert_eq!(known.connects(Connect::Timeout), 2);
        let text = new.render();
        let series = "lubdub_upstream_connects_total{upstream=\"main\",outcome=\"timeout\"} 2";
        assert!(text.contains(series), "{text}");
    }

    #[test]
    fn what_is_no_counter_of_ours_is_left_out() {
        let new = metrics(&["chat"]);
        let count = |name: &str, label: &str| Count {
            name: name.to_owned(),
            labels: vec![(label.to_owned(), "main".to_owned())],
            value: 1,
        };
        let wrong = [
            count("lubdub_pairs", "listener"),
            count("lubdub_nonsense_total", "listener"),
            count("lubdub_pairs_closed_total", "route"),
        ];
        assert_eq!(new.add_counts(&wrong), 3);
        assert!(!new.render().contains("nonsense"));
    }
}
