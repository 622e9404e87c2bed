//! `docs/reference/metrics.md` says what the table says. With `LUBDUB_BLESS=1` it is rewritten.

use std::fs;
use std::path::Path;

/// Two lists had the same heading, and nobody could say which was whose.
#[test]
fn every_heading_is_there_once() {
    let page = lubdub_metrics::reference();
    let mut headings: Vec<_> = page.lines().filter(|line| line.starts_with('#')).collect();
    let all = headings.len();
    headings.sort_unstable();
    headings.dedup();
    assert_eq!(headings.len(), all, "{page}");
}

#[test]
fn the_reference_page_is_up_to_date() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    let written = lubdub_metrics::reference();
    if std::env::var_os("LUBDUB_BLESS").is_some() {
        fs::write(&page, &written).expect("the page can be written");
    }
    let committed = fs::read_to_string(&page).unwrap_or_default();
    assert!(
        committed == written,
        "docs/reference/metrics.md is out of date; run \
         LUBDUB_BLESS=1 cargo test -p lubdub-metrics --test reference"
    );
}
