//! A parser of the text format (0.0.4), as strict as these tests need.

use std::collections::BTreeMap;

use lubdub_metrics::Metrics;

/// Labels by name.
pub(crate) type Labels = BTreeMap<String, String>;

/// A parsed rendering.
pub(crate) struct Scrape {
    pub(crate) families: BTreeMap<String, Family>,
    pub(crate) samples: BTreeMap<(String, Labels), f64>,
}

/// What the comments say of a metric.
pub(crate) struct Family {
    pub(crate) kind: String,
    pub(crate) help: String,
}

impl Scrape {
    pub(crate) fn of(metrics: &Metrics) -> Self {
        Self::parse(&metrics.render())
    }

    /// Panics at whatever is not HELP, then TYPE, then samples of that family, each once.
    fn parse(text: &str) -> Self {
        let mut scrape = Self {
            families: BTreeMap::new(),
            samples: BTreeMap::new(),
        };
        let mut help: Option<(String, String)> = None;
        let mut current = String::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, text) = rest.split_once(' ').expect("HELP has a text");
                help = Some((name.to_owned(), text.to_owned()));
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect("TYPE has a kind");
                let (helped, help) = help.take().expect("HELP comes before TYPE");
                assert_eq!(helped, name);
                let kind = kind.to_owned();
                let before = scrape
                    .families
                    .insert(name.to_owned(), Family { kind, help });
                assert!(before.is_none(), "{name} comes twice");
                name.clone_into(&mut current);
            } else {
                let (key, value) = sample(line);
                let name = key.0.clone();
                let is_histogram = scrape.families[&current].kind == "histogram";
                let suffixes: &[_] = if is_histogram {
                    &["_bucket", "_sum", "_count"]
                } else {
                    &[""]
                };
                assert!(
                    suffixes.iter().any(|s| format!("{current}{s}") == name),
                    "{name} among the samples of {current}"
                );
                let before = scrape.samples.insert(key, value);
                assert!(before.is_none(), "twice: {line}");
            }
        }
        scrape
    }

    pub(crate) fn get(&self, name: &str, of: &[(&str, &str)]) -> f64 {
        *self
            .samples
            .get(&(name.to_owned(), labels(of)))
            .unwrap_or_else(|| panic!("no {name} with {of:?}"))
    }
}

/// The labels with these names and values.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// `name value` or `name{label="value",...} value`; no value in these tests has an escape.
fn sample(line: &str) -> ((String, Labels), f64) {
    assert!(!line.contains('\\'), "{line}");
    let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
    let value = value.parse().expect("a value is a number");
    let Some((name, rest)) = series.split_once('{') else {
        return ((series.to_owned(), Labels::new()), value);
    };
    let pairs = rest.strip_suffix('}').expect("braces are closed");
    let mut labels = Labels::new();
    for pair in pairs.split(',') {
        let (name, quoted) = pair.split_once('=').expect("a label has a value");
        let value = quoted
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .expect("a value is quoted");
        let before = labels.insert(name.to_owned(), value.to_owned());
        assert!(before.is_none(), "{name} twice: {line}");
    }
    ((name.to_owned(), labels), value)
}
