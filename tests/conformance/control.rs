//! The control: the same cases against a proxy that has no heartbeat. Run by `control.sh`.

use std::fmt::Write as _;
use std::{env, fs};

use tokio::task::JoinSet;

use crate::cases::{Asks, CASES};
use crate::stage::PROXY;

/// The variable with what the proxy calls itself.
const NAME: &str = "LUBDUB_CONFORMANCE_NAME";
/// The variable with the file that the outcomes are written to.
const REPORT: &str = "LUBDUB_CONFORMANCE_REPORT";

/// What came of a control run: `control/*.txt`.
#[derive(Debug)]
pub(crate) struct Report {
    /// Against which proxy.
    pub(crate) proxy: String,
    /// The case, and `pass` or `fail`.
    outcomes: Vec<(String, String)>,
}

impl Report {
    /// The one in `control/`.
    pub(crate) fn committed(name: &str) -> Self {
        let path = format!(
            "{}/conformance/control/{name}.txt",
            env!("CARGO_MANIFEST_DIR")
        );
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let mut lines = text.lines();
        let proxy = lines.next().expect("the proxy is named").to_owned();
        let outcomes = lines.map(|line| {
            let (case, outcome) = line.split_once(' ').expect("a case has an outcome");
            (case.to_owned(), outcome.to_owned())
        });
        Self {
            proxy,
            outcomes: outcomes.collect(),
        }
    }

    /// What came of a case.
    pub(crate) fn outcome(&self, label: &str) -> &str {
        let found = self.outcomes.iter().find(|(case, _)| case == label);
        let (_, outcome) =
            found.unwrap_or_else(|| panic!("{label} was not run against {}", self.proxy));
        outcome
    }
}

#[tokio::test]
#[ignore = "needs another proxy: tests/conformance/control.sh"]
async fn control() {
    assert!(env::var_os(PROXY).is_some(), "{PROXY} names no proxy");
    let name = env::var(NAME).expect("the proxy has a name");
    let report = env::var(REPORT).expect("there is a file for the report");
    let mut playing = JoinSet::new();
    for (n, case) in CASES.iter().enumerate() {
        playing.spawn(async move { (n, tokio::spawn((case.play)()).await.is_ok()) });
    }
    let mut outcomes = playing.join_all().await;
    outcomes.sort_unstable();
    let mut text = format!("{name}\n");
    let mut groundless = Vec::new();
    for (case, (_, passed)) in CASES.iter().zip(outcomes) {
        let outcome = if passed { "pass" } else { "fail" };
        let _ = writeln!(text, "{} {outcome}", case.label());
        if passed && case.asks == Asks::Heartbeat {
            groundless.push(case.label());
        }
    }
    fs::write(&report, text).expect("the report can be written");
    assert!(
        groundless.is_empty(),
        "{groundless:?} ask for a heartbeat, and pass without one"
    );
}
