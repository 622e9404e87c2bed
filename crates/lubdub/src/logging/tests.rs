//! The log against its declaration, and lines as their readers read them.

mod logfmt;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::Level;

use super::events::EVENTS;
use super::fields::{FIELDS, Kind, field};
use super::line::{LEVEL, TIME};
use super::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// What is logged, for looking at.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Paper {
    fn queue(&self) -> LineQueue {
        LineQueue::start(Reader {
            thread: "log",
            writer: Box::new(self.clone()),
            notice: Box::new(|lines| dropped(Form::Plain, lines)),
            on_error: Box::new(|error| panic!("{error}")),
        })
        .unwrap()
    }

    fn lines(&self, queue: &LineQueue) -> Vec<String> {
        queue.flush(PATIENCE);
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

/// What the log has after `events`.
fn lines(form: Form, level: Level, events: impl FnOnce()) -> Vec<String> {
    let paper = Paper::default();
    let queue = paper.queue();
    let lines = Lines {
        queue: queue.clone(),
        form: CurrentForm::new(form),
    };
    let (subscriber, _) = subscriber(level, lines);
    tracing::subscriber::with_default(subscriber, events);
    paper.lines(&queue)
}

/// Time and level aside, which every line has.
fn parsed(line: &str) -> Vec<(String, String)> {
    let fields = logfmt::parse(line).unwrap_or_else(|wrong| panic!("{wrong}: {line}"));
    assert_eq!((&*fields[0].0, &*fields[1].0), (TIME, LEVEL), "{line}");
    fields[2..].to_vec()
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).to_vec()
}

#[test]
fn what_is_logged_is_declared_and_what_is_declared_is_logged() {
    let mut logged = BTreeSet::new();
    for crate_ in ["../proxy/src", "src"] {
        logged.extend(source::events(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(crate_),
        ));
    }
    // These two are not written as events.
    let beside = [&events::DROPPED, &events::PANICKED];
    let key = |event: &events::Event| source::Logged {
        level: event.level.as_str().to_lowercase(),
        message: event.message.to_owned(),
        fields: event.fields.iter().map(|&name| name.to_owned()).collect(),
    };
    let declared: BTreeSet<_> = EVENTS.iter().map(key).collect();
    for event in beside {
        logged.insert(key(event));
    }
    let undeclared: Vec<_> = logged.difference(&declared).collect();
    let unlogged: Vec<_> = declared.difference(&logged).collect();
    assert!(
        undeclared.is_empty() && unlogged.is_empty(),
        "crates/lubdub/src/logging/events.rs declares what is logged\n\
         logged and not declared so: {undeclared:#?}\n\
         declared so and not logged: {unlogged:#?}"
    );
    assert!(
        logged.len() > 30,
        "the source is not of the form that was expected"
    );
}

#[test]
fn every_field_is_declared_once_and_used() {
    let names: Vec<_> = FIELDS.iter().map(|field| field.name).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    let used: BTreeSet<_> = EVENTS.iter().flat_map(|event| event.fields).collect();
    assert_eq!(used.into_iter().copied().collect::<Vec<_>>(), names);
    for event in EVENTS {
        let fields: BTreeSet<_> = event.fields.iter().collect();
        assert_eq!(fields.len(), event.fields.len(), "{event:?}");
    }
}

/// Values as strangers may choose them.
const NASTY: [&str; 12] = [
    "",
    "plain",
    "two words",
    "a=b",
    "say \"hello\"",
    "back\\slash",
    "line\nfeed\r\ttab",
    "\x1b[31mred\x07\0",
    "\u{9b}31m\u{7f}",
    "\u{202e}desrever\u{2028}",
    "gr\u{fc}n \u{1f493}",
    "}{\",\"x\":1",
];

#[test]
fn every_kind_of_line_is_read_back_as_it_was_meant() {
    for (event, nasty) in EVENTS
        .iter()
        .flat_map(|event| NASTY.map(|nasty| (event, nasty)))
    {
        let mut expected = BTreeMap::from([(MESSAGE, event.message.to_owned())]);
        for name in event.fields {
            let value = match field(name).kind {
                Kind::Text => nasty.to_owned(),
                Kind::Number => u64::MAX.to_string(),
            };
            expected.insert(name, value);
        }
        for form in [Form::Plain, Form::Json] {
            let mut text = String::new();
            let mut line = Line::begin(&mut text, form, event.level);
            for (name, value) in &expected {
                match value.parse() {
                    Ok(number) => line.number(name, number),
                    Err(_) => line.text(name, value),
                }
            }
            line.end();
            let line = text.strip_suffix('\n').expect("a line has an end");
            assert!(!line.contains(char::is_control), "{line:?}");
            let mut read: BTreeMap<_, _> = match form {
                Form::Json => json(line),
                Form::Plain | Form::Coloured => logfmt::parse(line).unwrap().into_iter().collect(),
            };
            let time = read.remove(TIME).expect("every line has a time");
            assert!(time.starts_with("20") && time.ends_with('Z'), "{time}");
            let level = read.remove(LEVEL).expect("every line has a level");
            assert_eq!(level, event.level.as_str().to_lowercase());
            let expected = expected.iter().map(|(k, v)| ((*k).to_owned(), v.clone()));
            assert_eq!(read, expected.collect(), "{line}");
        }
    }
}

/// A flat object; what is declared as a number has to be one.
fn json(line: &str) -> BTreeMap<String, String> {
    let object: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
    let fields = object.into_iter().map(|(name, value)| match value {
        Value::String(text) => (name, text),
        Value::Number(number) => {
            assert_eq!(field(&name).kind, Kind::Number, "{line}");
            (name, number.to_string())
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            panic!("{name} in {line}")
        }
    });
    fields.collect()
}

#[test]
fn an_event_becomes_a_line_and_what_is_not_known_is_left_out() {
    let events = || {
        tracing::info!(
            target: "lubdub",
            pair = 7_u64,
            route = "chat",
            listener = %"chat",
            reason = ?"two words",
            close_code = None::<u16>,
            status = Some(101_u16),
            share = 0.5,
            ready = true,
            "pair ended"
        );
    };
    let [plain] = &lines(Form::Plain, Level::INFO, events)[..] else {
        panic!("one event is one line")
    };
    assert_eq!(
        parsed(plain),
        pairs([
            ("msg", "pair ended"),
            ("pair", "7"),
            ("route", "chat"),
            // However it was given, it is written the same.
            ("listener", "chat"),
            ("reason", "\"two words\""),
            ("status", "101"),
            ("share", "0.5"),
            ("ready", "true"),
        ])
    );
    assert!(plain.contains(" level=info msg=\"pair ended\" pair=7 route=chat listener=chat "));
    let [json] = &lines(Form::Json, Level::INFO, events)[..] else {
        panic!("one event is one line")
    };
    let json: Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["msg"], "pair ended");
    assert_eq!((&json["pair"], &json["ready"]), (&7.into(), &true.into()));
}

#[test]
fn colours_are_for_terminals_and_change_no_word() {
    let event = || tracing::warn!(target: "lubdub", reason = "two words", "cannot accept");
    let [coloured] = &lines(Form::Coloured, Level::INFO, event)[..] else {
        panic!("one event is one line")
    };
    let mut plain = coloured.clone();
    for code in ["0", "2", "33"] {
        plain = plain.replace(&format!("\x1b[{code}m"), "");
    }
    assert_ne!(*coloured, plain);
    let fields = [("msg", "cannot accept"), ("reason", "two words")];
    assert_eq!(parsed(&plain), pairs(fields));
}

/// A client chose a path that ends in a brace, and the field behind it was not found any more.
#[test]
fn a_value_does_not_swallow_the_field_behind_it() {
    for form in [Form::Plain, Form::Coloured] {
        let lines = lines(form, Level::INFO, || {
            tracing::info!(target: "lubdub", request = "x/{", cause = "drain", "pair ended");
        });
        assert!(lines[0].contains("x/{ "), "{}", lines[0]);
    }
}

#[test]
fn the_level_is_lubdubs_and_others_are_heard_from_warn() {
    let lines = lines(Form::Plain, Level::DEBUG, || {
        tracing::debug!(target: "lubdub_proxy::pair", "ours");
        tracing::trace!(target: "lubdub", "too little");
        tracing::info!(target: "hyper", "theirs");
        tracing::warn!(target: "hyper::proto", "theirs, grave");
    });
    let lines: Vec<_> = lines.iter().map(|line| parsed(line)).collect();
    // Where in lubdub it was logged is nobody's business who operates it.
    assert_eq!(
        lines,
        [
            pairs([("msg", "ours")]),
            pairs([("target", "hyper::proto"), ("msg", "theirs, grave")]),
        ]
    );
}

#[test]
fn others_are_never_louder_than_lubdub() {
    let lines = lines(Form::Plain, Level::ERROR, || {
        tracing::warn!(target: "hyper", "theirs");
        tracing::error!(target: "hyper", "theirs, worse");
    });
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[test]
fn a_value_may_log_while_it_is_logged() {
    struct Talkative;
    impl std::fmt::Display for Talkative {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            with_buffer(|buffer| assert_eq!(buffer, ""));
            f.write_str("said")
        }
    }
    let lines = lines(Form::Plain, Level::INFO, || {
        tracing::info!(target: "lubdub", reason = %Talkative, "not served");
    });
    assert_eq!(
        parsed(&lines[0]),
        pairs([("msg", "not served"), ("reason", "said")])
    );
}

/// The usual hook writes to standard error itself: a panic while nobody read that stopped the thread
/// that it was on, and every other that panicked after it.
#[test]
fn a_panic_is_a_line_like_any_other() {
    let paper = Paper::default();
    let queue = paper.queue();
    let of_panics = queue.clone();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some("unlucky") {
            log_panic(&of_panics, Form::Plain, panic);
        } else {
            usual(panic);
        }
    }));
    let unlucky = std::thread::Builder::new().name("unlucky".to_owned());
    let unlucky = unlucky.spawn(|| panic!("of {}", "bad luck")).unwrap();
    unlucky.join().unwrap_err();
    let lines = paper.lines(&queue);
    let fields: BTreeMap<_, _> = parsed(&lines[0]).into_iter().collect();
    assert_eq!(fields["msg"], "panicked");
    assert_eq!(fields["thread"], "unlucky");
    assert_eq!(fields["reason"], "of bad luck");
    assert!(fields["at"].contains("tests.rs:"), "{fields:?}");
}

#[test]
fn the_committed_page_is_made_from_the_declaration() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/log.md");
    let made = reference::page();
    if std::env::var_os("LUBDUB_BLESS").is_some_and(|bless| bless == "1") {
        std::fs::write(&path, &made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == made,
        "{} is not what the declaration of the log makes; LUBDUB_BLESS=1 writes it",
        path.display()
    );
}
