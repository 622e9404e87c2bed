//! The reference page of the log, written from the declaration.
//!
//! The page is committed as `docs/reference/log.md`; a test fails when it is not what is declared,
//! and rewrites it when `LUBDUB_BLESS` is set.

use super::events::{EVENTS, Event};
use super::fields::{FIELDS, Field, Kind};
use super::line::{LEVEL, MESSAGE, TARGET, TIME};

/// The whole page, in Markdown.
pub(super) fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    page += &format!(
        "
| field | what it is |
| --- | --- |
| `{TIME}` | when, in UTC (RFC 3339) |
| `{LEVEL}` | `error`, `warn`, `info`, `debug` or `trace` |
| `{MESSAGE}` | which kind of line it is: one of those below |
| `{TARGET}` | in lines of libraries only, which have fields of their own: which part of which library |
"
    );
    page += LOST;
    page += "\n## Kinds of lines\n";
    for event in EVENTS {
        page += &describe(event);
    }
    page += "\n## Fields\n\nA field means the same in every line.\n\n";
    page += "| field | in JSON | what it is |\n| --- | --- | --- |\n";
    for Field { name, kind, about } in FIELDS {
        let kind = match kind {
            Kind::Text => "string",
            Kind::Number => "number",
        };
        page += &format!("| `{name}` | {kind} | {about} |\n");
    }
    page
}

const INTRODUCTION: &str = "\
<!-- Written from crates/lubdub/src/logging/events.rs: edit that, then `make bless`. -->

# The log

lubdub logs on standard error, a line for each thing that happens. `log.format = \"text\"` writes
[logfmt](https://brandur.org/logfmt): `name=value`, separated by spaces. A value is quoted if it has to be: if it is
empty, or holds a space, `\"`, `=`, `\\` or anything that is not printable ASCII. Inside quotes escapes are those of
JSON. On a terminal it is coloured, unless `NO_COLOR` is set. `log.format = \"json\"` writes an object a line, without
objects or arrays in it. The fields are the same in both, by the same names.

```
time=2026-01-01T12:00:00.123456Z level=info msg=\"pair ended\" pair=7 listener=public route=chat client=192.0.2.7:50712 ..
```

Every line begins with these:
";

const LOST: &str = "
What is not known is left out. Query strings, `Cookie`, `Authorization`, `Sec-WebSocket-Key` and `-Protocol` and
payloads are in no line, at no level. How much of a request is told is `log.request`'s to say
([configuration](config.md#log)).

**Nothing waits for the log.** A thread of its own writes it. If nobody reads standard error, up to 4 MiB of lines
wait, and what comes then is dropped. As soon as there is room a line in its place says how many are missing, and
`lubdub_log_lines_dropped_total` counts them. At its end lubdub waits a second for a reader that takes nothing, and up
to ten for one that is slow. A line that begins with `lubdub:` and is no logfmt was written before the log began, or by another command than `run`: a mistake in the
configuration, for one.
";

fn describe(event: &Event) -> String {
    let Event {
        level,
        message,
        fields,
        about,
    } = event;
    let level = level.as_str().to_lowercase();
    let mut text = format!("\n### `{message}`\n\n{about}\n\n- Level: {level}\n");
    if !fields.is_empty() {
        let fields: Vec<_> = fields.iter().map(|field| format!("`{field}`")).collect();
        text += &format!("- Fields: {}\n", fields.join(", "));
    }
    text
}
