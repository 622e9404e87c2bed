//! What an HTTP answer says, in a line.

use std::time::Duration;

use http::Response;
use http::header::CONTENT_TYPE;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use crate::api::Problem;

/// The longest part of a body that is looked at, in bytes, and how long it is waited for.
const MOST: usize = 64 * 1024;
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest line that is shown of a stranger's words, in characters.
const WIDTH: usize = 160;

/// Status and first line of the body, as in "403 Forbidden: no such room". Of problem details it is the detail, all of
/// it: what is wrong with a configuration has a line for each mistake.
pub(super) async fn in_a_line(answer: Response<Incoming>) -> String {
    let status = answer.status();
    let is_problem = is_problem(&answer);
    let body = beginning(answer.into_body()).await;
    let problem = is_problem.then(|| serde_json::from_slice(&body));
    let line = match problem {
        // It may end with a list of what there is.
        Some(Ok(Problem { detail, .. })) => one_line(&detail),
        Some(Err(_)) | None => first_line(&String::from_utf8_lossy(&body), WIDTH),
    };
    match line {
        Some(line) => format!("{status}: {line}"),
        None => status.to_string(),
    }
}

/// Whether it says in the form of problem details what is wrong (RFC 9457).
pub(super) fn is_problem(answer: &Response<Incoming>) -> bool {
    let kind = answer.headers().get(CONTENT_TYPE);
    kind.is_some_and(|kind| kind == Problem::TYPE)
}

/// As much of `body` as comes soon.
async fn beginning(mut body: Incoming) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, async {
        while let Some(Ok(frame)) = body.frame().await {
            if let Ok(data) = frame.into_data() {
                bytes.extend_from_slice(&data);
            }
            if bytes.contains(&b'\n') || bytes.len() > MOST {
                return;
            }
        }
    })
    .await;
    bytes
}

/// All lines in one, fit for a terminal.
fn one_line(text: &str) -> Option<String> {
    let lines = text.lines().filter_map(|line| first_line(line, MOST));
    let lines: Vec<_> = lines.collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// The first line with something in it, fit for a terminal.
fn first_line(text: &str, most: usize) -> Option<String> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let shown = line.chars().map(|c| if c.is_control() { ' ' } else { c });
    Some(shown.take(most).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_mistakes_is_one_line() {
        let detail = "the configuration has a mistake\n  limits.pears = 1: unknown key\n";
        let line = "the configuration has a mistake; limits.pears = 1: unknown key";
        assert_eq!(one_line(detail).as_deref(), Some(line));
        assert_eq!(one_line("\n"), None);
    }

    #[test]
    fn a_line_is_fit_for_a_terminal() {
        assert_eq!(
            first_line("\n  no \u{1b}[31mred\r\nmore", WIDTH),
            Some("no  [31mred".to_owned())
        );
        assert_eq!(first_line(" \n", WIDTH), None);
        assert_eq!(
            first_line(&"x".repeat(1000), WIDTH).map(|line| line.len()),
            Some(WIDTH)
        );
    }
}
