//! `lubdub demo`, as its first reader meets it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// The demo, with nothing of this environment.
fn demo(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lubdub"));
    command
        .env_clear()
        .arg("demo")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The lines that `speaker` has, without their times.
fn lines_of<'a>(text: &'a str, speaker: &str) -> Vec<&'a str> {
    text.lines()
        .filter_map(|line| {
            let (seconds, rest) = line.trim_start().split_once(" s  ")?;
            seconds.parse::<f64>().ok()?;
            rest.strip_prefix(speaker).map(str::trim_start)
        })
        .collect()
}

#[track_caller]
fn expect(text: &str, speaker: &str, words: &[&str]) {
    let found = lines_of(text, speaker)
        .iter()
        .any(|line| words.iter().all(|word| line.contains(word)));
    assert!(found, "{speaker} does not say {words:?}:\n{text}");
}

#[test]
fn it_shows_both_lapses_what_the_survivors_got_and_the_farewell() {
    let output = demo(&["--for", "8s"]).output().expect("lubdub runs");
    let text = String::from_utf8(output.stdout).expect("text");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{text}");

    for person in ["ann", "bob", "cyd"] {
        expect(&text, "lubdub", &["joins", person]);
        expect(&text, "lubdub", &["->", person, "ping"]);
        expect(&text, "lubdub", &["<-", person, "pong after", "ms"]);
        expect(&text, person, &["hears the echo"]);
    }

    expect(&text, "bob", &["freezes"]);
    expect(&text, "lubdub", &["bob gave no sign of life", "lapsed"]);
    expect(&text, "backend", &["Close 1001", "bob's connection"]);
    expect(&text, "lubdub", &["bob's pair has ended", "client_lapsed"]);
    expect(&text, "bob", &["connection gone"]);

    expect(&text, "backend", &["freezes", "cyd's connection"]);
    expect(
        &text,
        "lubdub",
        &["the backend gave no sign of life on cyd's"],
    );
    expect(&text, "cyd", &["Close 1011"]);

    // The healthy pair outlives both, and is told farewell.
    expect(&text, "lubdub", &["the time is over"]);
    expect(&text, "ann", &["Close 1012"]);
    expect(&text, "backend", &["Close 1001", "ann's connection"]);

    for series in [
        "lubdub_lapses_total{route=\"echo\",side=\"client\",diagnosis=",
        "lubdub_lapses_total{route=\"echo\",side=\"upstream\",diagnosis=",
        "lubdub_pairs_closed_total{route=\"echo\",cause=\"drain\"} 1",
        "lubdub_pairs_closed_total{route=\"echo\",cause=\"client_lapsed\"} 1",
        "lubdub_pairs_closed_total{route=\"echo\",cause=\"upstream_lapsed\"} 1",
        "lubdub_pairs_opened_total{listener=\"demo\",route=\"echo\"} 3",
    ] {
        assert!(text.contains(series), "no {series}:\n{text}");
    }
    assert!(!text.contains('\x1b'), "colour without a terminal:\n{text}");
}

#[test]
fn a_reader_that_goes_away_ends_it_without_complaint() {
    let mut child = demo(&[]).spawn().expect("lubdub runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a line");
    assert!(line.starts_with("lubdub demo"), "{line}");
    drop(stdout);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn ctrl_c_is_a_good_end() {
    let mut child = demo(&[]).spawn().expect("lubdub runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut text = String::new();
    while !text.contains("ann      says") {
        assert_ne!(stdout.read_line(&mut text).expect("a line"), 0, "{text}");
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal");
    for line in stdout.lines() {
        text += &(line.expect("a line") + "\n");
    }
    assert_eq!(child.wait().expect("it ends").code(), Some(0), "{text}");
    expect(&text, "lubdub", &["Ctrl-C"]);
    expect(&text, "ann", &["Close 1012"]);
}

#[test]
fn a_duration_needs_a_unit() {
    let output = demo(&["--for", "8"]).output().expect("lubdub runs");
    assert_eq!(output.status.code(), Some(64));
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(error.contains("needs a unit"), "{error}");
}
