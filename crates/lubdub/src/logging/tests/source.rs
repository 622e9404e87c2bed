//! The events that source files have: read from the text, so that none is missed because no test
//! happens to bring it about.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// One that the source has.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Logged {
    pub(super) level: String,
    pub(super) message: String,
    pub(super) fields: Vec<String>,
}

/// All events in the files below `directory`, those of tests and of the demo aside: nobody logs them.
pub(super) fn events(directory: &Path) -> BTreeSet<Logged> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap();
        if ["tests", "demo"].contains(&name) {
            continue;
        }
        if path.is_dir() {
            found.extend(events(&path));
        } else {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            found.extend(of_text(text));
        }
    }
    found
}

fn of_text(text: &str) -> Vec<Logged> {
    let mut found = Vec::new();
    for level in ["error", "warn", "info", "debug", "trace"] {
        let call = format!("{level}!(");
        for (at, _) in text.match_indices(&call) {
            if text[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_') {
                continue;
            }
            let mut arguments = arguments(&text[at + call.len()..]);
            let last = arguments.pop().expect("an event has a message");
            let message = last
                .strip_prefix('"')
                .and_then(|message| message.strip_suffix('"'))
                .unwrap_or_else(|| panic!("the message is plain text and comes last: {last}"));
            assert!(
                !message.contains(['{', '\\']),
                "a message is the same each time: {message}"
            );
            let fields = arguments.iter().map(|field| {
                let name = field.split('=').next().unwrap_or_default();
                name.trim().trim_start_matches(['%', '?']).to_owned()
            });
            found.push(Logged {
                level: level.to_owned(),
                message: message.to_owned(),
                fields: fields.collect(),
            });
        }
    }
    found
}

/// The arguments of a call, as they are written, up to its closing parenthesis.
fn arguments(text: &str) -> Vec<String> {
    let mut arguments = Vec::new();
    let mut argument = String::new();
    let mut depth = 0;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => {
                argument.push('"');
                while let Some(character) = characters.next() {
                    argument.push(character);
                    match character {
                        '\\' => argument.extend(characters.next()),
                        '"' => break,
                        _ => {}
                    }
                }
                continue;
            }
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                arguments.push(std::mem::take(&mut argument).trim().to_owned());
                continue;
            }
            _ => {}
        }
        argument.push(character);
    }
    if !argument.trim().is_empty() {
        arguments.push(argument.trim().to_owned());
    }
    arguments
}

#[test]
fn events_are_found_in_source() {
    let text = r#"
        debug!(pair = self.id(), %side, ?reading, delay = micros(a, "b, c"), "ping written");
        let x = not_an_info!("x");
        warn!(
            %error,
            "cannot accept; live pairs go on"
        );
    "#;
    let found: BTreeSet<_> = of_text(text).into_iter().collect();
    let logged = |level: &str, message: &str, fields: &[&str]| Logged {
        level: level.to_owned(),
        message: message.to_owned(),
        fields: fields.iter().map(|&field| field.to_owned()).collect(),
    };
    let expected = [
        logged(
            "debug",
            "ping written",
            &["pair", "side", "reading", "delay"],
        ),
        logged("warn", "cannot accept; live pairs go on", &["error"]),
    ];
    assert_eq!(found, BTreeSet::from(expected));
}
