//! The series that the table of metrics promises, and the samples that each of them has.

use lubdub_metrics::{Kind, Label, Metric, NO_ROUTE};

use crate::scrape::Labels;
use crate::{CERTIFICATES, LISTENERS, ROUTES, UPSTREAMS};

/// Every combination of values of the metric's labels; none for the build's.
pub(crate) fn combinations(metric: &Metric) -> Vec<Labels> {
    let mut all = vec![Labels::new()];
    for label in metric.labels {
        let values: Vec<&str> = match label {
            Label::Version | Label::Revision => Vec::new(),
            Label::Listener => LISTENERS.to_vec(),
            Label::Upstream => UPSTREAMS.to_vec(),
            Label::Certificate => CERTIFICATES.to_vec(),
            Label::Route if metric.has(Label::Outcome) || metric.has(Label::Class) => {
                [&ROUTES[..], &[NO_ROUTE]].concat()
            }
            Label::Route => ROUTES.to_vec(),
            Label::Cause
            | Label::Outcome
            | Label::Side
            | Label::Diagnosis
            | Label::Direction
            | Label::Opcode
            | Label::Reason
            | Label::TlsFailure
            | Label::Reload
            | Label::Way
            | Label::Handover
            | Label::Connect
            | Label::Class => {
                let values = label.values().expect("the label is closed");
                values.iter().map(|value| value.name).collect()
            }
        };
        all = all
            .iter()
            .flat_map(|labels| {
                values.iter().map(|value| {
                    let mut labels = labels.clone();
                    labels.insert(label.as_str().to_owned(), (*value).to_owned());
                    labels
                })
            })
            .collect();
    }
    all
}

/// The samples that stand for one series of the metric.
pub(crate) fn samples(metric: &Metric, labels: &Labels) -> Vec<(String, Labels)> {
    let name = metric.name;
    let Kind::Histogram { buckets } = metric.kind else {
        return vec![(name.to_owned(), labels.clone())];
    };
    let bounds = buckets.iter().map(f64::to_string);
    let mut samples: Vec<_> = bounds
        .chain(["+Inf".to_owned()])
        .map(|bound| {
            let mut labels = labels.clone();
            labels.insert("le".to_owned(), bound);
            (format!("{name}_bucket"), labels)
        })
        .collect();
    samples.push((format!("{name}_sum"), labels.clone()));
    samples.push((format!("{name}_count"), labels.clone()));
    samples
}
