//! The metrics as Prometheus would read them: the text format 0.0.4, as far as lubdub uses it.

use std::collections::BTreeMap;

/// The samples of one scrape.
#[derive(Debug, Clone)]
pub struct Scrape(Vec<Sample>);

/// Labels by name.
pub type Labels = BTreeMap<String, String>;

#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: Labels,
    value: f64,
}

impl Scrape {
    /// Reads the text.
    ///
    /// # Panics
    /// If a line is no sample.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(Sample::parse).collect())
    }

    /// The sum of all series of `name` that have these labels.
    ///
    /// # Panics
    /// If there is none: a typing error must not read as 0.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut matching = self
            .0
            .iter()
            .filter(|sample| sample.is(name, labels))
            .peekable();
        assert!(
            matching.peek().is_some(),
            "there is no {name} with {labels:?}"
        );
        matching.map(|sample| sample.value).sum()
    }

    /// The sums of the series of `name` that are not 0, by the values of one of their labels.
    #[must_use]
    pub fn sums(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for (value, of_series) in self.nonzero(name, label) {
            *sums.entry(value).or_default() += of_series;
        }
        sums
    }

    /// The series of `name` that are not 0, as the values of one of their labels.
    #[must_use]
    pub fn nonzero(&self, name: &str, label: &str) -> Vec<(String, f64)> {
        let nonzero = self
            .0
            .iter()
            .filter(|sample| sample.name == name && sample.value != 0.0);
        nonzero
            .map(|sample| (sample.labels[label].clone(), sample.value))
            .collect()
    }
}

impl Sample {
    /// `name value` or `name{label="value",...} value`.
    fn parse(line: &str) -> Self {
        let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
        let value = value.parse().expect("a value is a number");
        let (name, labels) = match series.split_once('{') {
            None => (series, ""),
            Some((name, labels)) => (name, labels.strip_suffix('}').expect("braces are closed")),
        };
        let labels = labels
            .split(',')
            .filter(|label| !label.is_empty())
            .map(|label| {
                let (name, value) = label.split_once('=').expect("a label has a value");
                (name.to_owned(), value.trim_matches('"').to_owned())
            });
        Self {
            name: name.to_owned(),
            labels: labels.collect(),
            value,
        }
    }

    fn is(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        let has = |&(name, value): &(&str, &str)| {
            self.labels.get(name).is_some_and(|found| found == value)
        };
        self.name == name && labels.iter().all(has)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# HELP pairs Pairs.
# TYPE pairs gauge
pairs{listener=\"a\",route=\"x\"} 2
pairs{listener=\"b\",route=\"x\"} 3
pairs{listener=\"b\",route=\"y\"} 0

up 1
";

    #[test]
    fn series_are_added_up_over_the_labels_not_named() {
        let scrape = Scrape::parse(TEXT);
        let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-9, "{value}");
        near(scrape.sum("up", &[]), 1.0);
        near(scrape.sum("pairs", &[]), 5.0);
        near(scrape.sum("pairs", &[("listener", "b")]), 3.0);
        assert_eq!(
            scrape.nonzero("pairs", "listener"),
            [("a".to_owned(), 2.0), ("b".to_owned(), 3.0)]
        );
        let sums = scrape.sums("pairs", "route");
        assert_eq!(sums, BTreeMap::from([("x".to_owned(), 5.0)]));
    }

    #[test]
    #[should_panic(expected = "there is no piars")]
    fn a_typing_error_is_no_zero() {
        let _ = Scrape::parse(TEXT).sum("piars", &[]);
    }
}
