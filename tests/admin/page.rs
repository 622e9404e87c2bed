//! The status page and the description: they hold no data, so they are open.

use std::fs;
use std::path::Path;

use lubdub_testkit::binary::{Binary, request};
use lubdub_testkit::peer::Upstream;
use serde_json::Value;

#[tokio::test]
async fn the_page_runs_nothing_but_its_own() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let mut nonces = Vec::new();
    for _ in 0..2 {
        let (head, body) = lubdub.ask_admin(&request("GET", "/"), "").await;
        assert_eq!(head.status(), 200);
        assert_eq!(head.field("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(head.field("x-content-type-options"), Some("nosniff"));
        let policy = head.field("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(
            policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        let (_, rest) = policy.split_once("'nonce-").expect("a nonce");
        let (nonce, _) = rest.split_once('\'').expect("its end");
        assert!(body.contains(&format!("nonce=\"{nonce}\"")));
        nonces.push(nonce.to_owned());
    }
    assert_ne!(nonces[0], nonces[1], "nobody can know it before");
}

#[tokio::test]
async fn the_description_names_every_path_and_holds_no_data() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let said = lubdub.told("/api/v1/openapi.json").await;
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/openapi.json");
    let kept: Value = serde_json::from_slice(&fs::read(kept).expect("the document")).expect("JSON");
    assert_eq!(said, kept);
    let paths = said["paths"].as_object().expect("paths");
    for path in paths.keys() {
        let path = path.replace("{id}", "1");
        let (head, _) = lubdub.ask_admin(&request("GET", &path), "").await;
        // A stream has no length that could be waited for.
        assert!(
            [200, 404, 405].contains(&head.status()),
            "{path}: {}",
            head.status()
        );
    }
}
