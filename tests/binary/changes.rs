//! Who may change something through the admin listener, rule by rule.

use std::fs;
use std::path::Path;

use lubdub_testkit::binary::{Binary, change, request};
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;

const DRAIN: &str = "/api/v1/drain";
/// Asks for nothing that could be done: who gets that far is told 409.
const HARMLESS: &str = r#"{"cancel": true}"#;

/// The status of the answer to a change with this much changed about the request.
async fn asked(lubdub: &Binary, adjust: impl FnOnce(Request) -> Request) -> u16 {
    let request = change(DRAIN).field("Content-Length", &HARMLESS.len().to_string());
    let (head, _) = lubdub.ask_admin(&adjust(request), HARMLESS).await;
    head.status()
}

async fn lubdub_with_token(test: &str) -> Binary {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let file = directory.join(format!("{test}-token"));
    fs::write(&file, "s3cret\n").expect("a new file");
    let setting = format!("admin.token_file={}", file.display());
    Binary::start(&Upstream::listen(), &[&setting]).await
}

#[tokio::test]
async fn a_change_from_loopback_is_taken_where_there_is_no_token() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    assert_eq!(asked(&lubdub, |request| request).await, 409);
    let told = lubdub.expect_logged("admin was asked for a change").await;
    assert_eq!(
        (&told["path"], &told["by"], &told["status"]),
        (&DRAIN.into(), &"loopback".into(), &409.into())
    );
}

#[tokio::test]
async fn where_there_is_a_token_a_change_needs_it_from_loopback_too() {
    let lubdub = lubdub_with_token("change").await;
    assert_eq!(asked(&lubdub, |request| request).await, 401);
    let told = lubdub.expect_logged("admin refused a change").await;
    assert_eq!(told["status"], 401);
    let with = |token: &'static str| |request: Request| request.field("Authorization", token);
    assert_eq!(asked(&lubdub, with("Bearer wrong")).await, 401);
    assert_eq!(asked(&lubdub, with("Basic s3cret")).await, 401);
    assert_eq!(asked(&lubdub, with("Bearer s3cret")).await, 409);
    let told = lubdub.expect_logged("admin was asked for a change").await;
    assert_eq!(told["by"], "token");
    // To look at something loopback is enough.
    assert_eq!(lubdub.admin(DRAIN).await.0, 200);
}

#[tokio::test]
async fn a_change_has_to_be_json() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let plain = |request: Request| request.without("content-type");
    assert_eq!(asked(&lubdub, plain).await, 415);
    // What a page may send anywhere without asking first.
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        let typed = |request| plain(request).field("Content-Type", kind);
        assert_eq!(asked(&lubdub, typed).await, 415, "{kind}");
    }
}

#[tokio::test]
async fn a_change_that_another_sites_page_asks_for_is_refused() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    for (name, value) in [
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
        ("Origin", "http://localhost:1"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let from = |request: Request| request.field(name, value);
        assert_eq!(asked(&lubdub, from).await, 403, "{name}: {value}");
    }
    let elsewhere = |request: Request| request.host("rebound.example:9901");
    assert_eq!(asked(&lubdub, elsewhere).await, 403);
    let own = |request: Request| {
        request
            .field("Origin", "http://localhost")
            .field("Sec-Fetch-Site", "same-origin")
    };
    assert_eq!(asked(&lubdub, own).await, 409);
}

/// What a browser sends for `fetch(..., {method: "POST", mode: "no-cors", body})` on another site, and
/// before a request with a type of its own.
#[tokio::test]
async fn what_a_browser_sends_across_sites_changes_nothing() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let port = lubdub.admin_address().port();
    let browser = |method: &str| {
        Request::new(method, DRAIN)
            .host(&format!("127.0.0.1:{port}"))
            .field("Origin", "https://evil.example")
            .field("Sec-Fetch-Site", "cross-site")
            .field("Sec-Fetch-Dest", "empty")
            .field("Referer", "https://evil.example/")
    };
    let simple = browser("POST")
        .field("Sec-Fetch-Mode", "no-cors")
        .field("Content-Type", "text/plain;charset=UTF-8")
        .field("Content-Length", "2");
    let (head, _) = lubdub.ask_admin(&simple, "{}").await;
    assert_eq!(head.status(), 403);
    let preflight = browser("OPTIONS")
        .field("Sec-Fetch-Mode", "cors")
        .field("Access-Control-Request-Method", "POST")
        .field("Access-Control-Request-Headers", "content-type");
    let (head, _) = lubdub.ask_admin(&preflight, "").await;
    assert_eq!(head.status(), 405);
    assert!(
        head.all("access-control-allow-origin").is_empty(),
        "{head:?}"
    );
    assert_eq!(lubdub.admin("/readyz").await.0, 200, "nothing is drained");
    assert!(lubdub.dial().open().await.is_ok());
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_told_which_it_has() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    for (method, path, allowed) in [
        ("POST", "/metrics", "GET, HEAD"),
        ("POST", "/api/v1/pairs", "GET, HEAD"),
        ("DELETE", "/api/v1/pairs/1", "GET, HEAD"),
        ("PUT", DRAIN, "GET, HEAD, POST"),
    ] {
        let (head, _) = lubdub.ask_admin(&request(method, path), "").await;
        assert_eq!(head.status(), 405, "{method} {path}");
        let said = head.field("allow").expect("Allow");
        assert_eq!(said.replace(',', ", "), allowed, "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_is_bounded_and_its_mistakes_are_named() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let long = format!(r#"{{"route": "{}"}}"#, "x".repeat(64 * 1024));
    assert_eq!(lubdub.change(DRAIN, &long).await.0, 413);
    for (body, named) in [
        ("", "{}"),
        ("{", "body"),
        (r#"{"rout": "main"}"#, "rout"),
        (r#"{"route": 1}"#, "route"),
        (r#"{"route": "other"}"#, "there is: main"),
        (r#"{"spread": "fast"}"#, "spread"),
    ] {
        let (status, said) = lubdub.change(DRAIN, body).await;
        assert_eq!(status, 400, "{body}: {said}");
        assert!(said.contains(named), "{body}: {said}");
    }
}

#[tokio::test]
async fn changes_are_bounded_in_their_number() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let mut refused = None;
    // Ten at once, and ten a second: this many do not take four seconds.
    for _ in 0..50 {
        let request = change(DRAIN).field("Content-Length", &HARMLESS.len().to_string());
        let (head, _) = lubdub.ask_admin(&request, HARMLESS).await;
        if head.status() == 429 {
            refused = Some(head);
        }
    }
    let refused = refused.expect("one of fifty is too many");
    assert_eq!(refused.field("retry-after"), Some("1"));
    // Who is refused for another reason uses up nothing, and looking is not bounded.
    assert_eq!(lubdub.admin("/api/v1/drain").await.0, 200);
}
