//! The status page: one document of HTML, style and script. It holds no data, so that it is open; what it shows it asks
//! the API for, as anybody would, with a token that it keeps in its memory only.
//!
//! The sources are in `page/`. Nothing is loaded from elsewhere, and [`policy`] sees to it that nothing can be: style
//! and script run by a nonce that is new in each answer.

use std::sync::Arc;

use axum::extract::State;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY};

use super::answer::{Answer, answer, problem, with};
use super::description;
use super::guard::{NoQuery, Visit};
use crate::api::Problem;

/// What the parts are put into.
const HTML: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
/// One module, in this order.
const SCRIPT: [&str; 7] = [
    include_str!("page/words.js"),
    include_str!("page/feed.js"),
    include_str!("page/charts.js"),
    include_str!("page/overview.js"),
    include_str!("page/lists.js"),
    include_str!("page/dialogs.js"),
    include_str!("page/start.js"),
];

/// The status page
#[utoipa::path(get, path = "/", operation_id = "page", tag = "page", security(()), responses(
    (status = 200, body = String, content_type = "text/html"),
    (status = 500, body = Problem, content_type = Problem::TYPE, description = "There is no randomness to be had"),
))]
pub(super) async fn page(State(_): State<Arc<super::State>>, _: Visit) -> Answer {
    let mut seed = [0; 18];
    if getrandom::fill(&mut seed).is_err() {
        return problem(
            StatusCode::INTERNAL_SERVER_ERROR,
            "there is no randomness to be had",
        );
    }
    let nonce = STANDARD.encode(seed);
    let mut page = answer(StatusCode::OK, "text/html; charset=utf-8", document(&nonce));
    if let Ok(policy) = HeaderValue::try_from(policy(&nonce)) {
        page.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    with(page, REFERRER_POLICY, "no-referrer")
}

/// This description (OpenAPI)
#[utoipa::path(get, path = "/api/v1/openapi.json", operation_id = "description", tag = "page", security(()),
    responses((status = 200, body = Object, content_type = "application/json")))]
pub(super) async fn description(
    State(_): State<Arc<super::State>>,
    _: Visit,
    _: NoQuery,
) -> Answer {
    answer(
        StatusCode::OK,
        "application/json",
        description::JSON.clone(),
    )
}

/// The page, with a nonce that nobody can have foreseen.
fn document(nonce: &str) -> String {
    let html = HTML.replace("{{nonce}}", nonce);
    let (head, rest) = html.split_once("{{style}}").unwrap_or((&html, ""));
    let (body, end) = rest.split_once("{{script}}").unwrap_or((rest, ""));
    [head, STYLE, body, &SCRIPT.join("\n"), end].concat()
}

/// The `Content-Security-Policy` that goes with it.
fn policy(nonce: &str) -> String {
    format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_in_their_places() {
        let page = document("N0nce");
        assert!(page.contains("<style nonce=\"N0nce\">"));
        assert!(page.contains("<script type=\"module\" nonce=\"N0nce\">"));
        assert!(page.contains(STYLE));
        assert!(SCRIPT.iter().all(|part| page.contains(part)));
        assert!(!page.contains("{{"), "a placeholder is left");
        assert!(page.trim_end().ends_with("</html>"));
    }

    /// What the policy forbids would be there, do nothing, and be noticed by nobody.
    #[test]
    fn nothing_that_the_policy_forbids_is_in_it() {
        for forbidden in [
            " style=",
            " onclick=",
            " onload=",
            " src=",
            "@import",
            "url(",
        ] {
            assert!(
                !HTML.contains(forbidden) && !STYLE.contains(forbidden),
                "{forbidden}"
            );
        }
        assert_eq!(
            HTML.matches("href=").count(),
            2,
            "the icon, and the way to the pairs"
        );
        assert_eq!(HTML.matches("</script>").count(), 1);
    }

    /// Names, paths and addresses come from strangers.
    #[test]
    fn the_script_makes_no_html_of_text_and_keeps_nothing() {
        let script = SCRIPT.join("\n");
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "Function(",
            "localStorage",
            "sessionStorage",
            "document.cookie",
            "indexedDB",
            "</script",
            "http://",
            "https://",
        ] {
            assert!(!script.contains(forbidden), "{forbidden}");
        }
    }
}
