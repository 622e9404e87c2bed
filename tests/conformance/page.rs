//! `docs/topics/transparency.md` lists exactly the cases, with what came of them in the control runs.
//! With `LUBDUB_BLESS=1` that part is written anew.

use std::fmt::Write as _;
use std::fs;

use crate::cases::{Asks, CASES};
use crate::control::Report;

const PAGE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../docs/topics/transparency.md"
);
const BEGIN: &str = "<!-- the cases: written by \
    LUBDUB_BLESS=1 cargo test -p lubdub-tests --test conformance page -->\n";
const END: &str = "<!-- the end of the cases -->\n";

#[test]
fn the_page_lists_the_cases() {
    let page = fs::read_to_string(PAGE).expect("the page is there");
    let (before, rest) = page.split_once(BEGIN).expect("the list begins");
    let (_, after) = rest.split_once(END).expect("the list ends");
    let made = format!("{before}{BEGIN}{}{END}{after}", list());
    if std::env::var_os("LUBDUB_BLESS").is_some_and(|bless| bless == "1") {
        fs::write(PAGE, &made).expect("the page can be written");
        return;
    }
    assert!(
        page == made,
        "{PAGE} does not list the cases as they are declared and were measured; LUBDUB_BLESS=1 writes it"
    );
}

fn list() -> String {
    let reports = ["nginx", "haproxy"].map(Report::committed);
    let [nginx, haproxy] = &reports;
    let mut list = format!(
        "\n| id | rule | clause | {} | {} |\n| --- | --- | --- | --- | --- |\n",
        nginx.proxy, haproxy.proxy
    );
    for case in CASES {
        let label = case.label();
        let [nginx, haproxy] = reports.each_ref().map(|report| report.outcome(&label));
        let _ = writeln!(
            list,
            "| {label} | {}. | {} | {nginx} | {haproxy} |",
            case.rule, case.clause
        );
    }
    for (asks, what) in [
        (Asks::Relaying, "ask for relaying alone"),
        (Asks::Heartbeat, "ask for a heartbeat"),
    ] {
        let these: Vec<_> = CASES.iter().filter(|case| case.asks == asks).collect();
        let passed = reports.each_ref().map(|report| {
            let passes = these
                .iter()
                .filter(|case| report.outcome(&case.label()) == "pass");
            format!("{} {}", report.proxy, passes.count())
        });
        let _ = write!(
            list,
            "\n{} cases {what}; of these passed: {}.\n",
            these.len(),
            passed.join(", ")
        );
    }
    list.push('\n');
    list
}
