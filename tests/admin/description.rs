//! What the description says of refusals is so, of each operation. What it says of all else is for `make interop`.

use lubdub_testkit::binary::{Binary, change};
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use serde_json::Value;

/// The answers that are described.
fn described(operation: &Value) -> Vec<u16> {
    let responses = operation["responses"].as_object().expect("responses");
    responses
        .keys()
        .map(|status| status.parse().expect("a status"))
        .collect()
}

#[tokio::test]
async fn refusals_are_described_where_they_happen_and_nowhere_else() {
    let lubdub = Binary::start(&Upstream::listen(), &[]).await;
    let description = lubdub.told("/api/v1/openapi.json").await;
    let paths = description["paths"].as_object().expect("paths");
    let mut seen = 0;
    for (template, item) in paths {
        let path = template.replace("{id}", "7");
        for (method, operation) in item.as_object().expect("operations") {
            let expected = described(operation);
            let name = format!("{method} {template}");
            let answer = async |request: Request| {
                let (head, _) = lubdub.ask_admin(&request, "").await;
                head.status()
            };
            let foreign = Request::new(&method.to_uppercase(), &path).host("evil.example");
            assert_eq!(
                answer(foreign).await == 403,
                expected.contains(&403),
                "{name}"
            );
            // Probes, scrapers and browsers may put what they like into a query; who asks the API has to notice.
            let misspelt = format!("{path}?no_such_field=1");
            let misspelt = match &**method {
                "get" => Request::get(&misspelt)
                    .without("host")
                    .field("Host", "localhost"),
                _ => change(&misspelt),
            };
            let (head, body) = lubdub.ask_admin(&misspelt, "{}").await;
            let is_named = head.status() == 400 && body.contains("`no_such_field`");
            let is_refused = is_named || head.status() == 401 && path.ends_with("/upgrade");
            assert_eq!(is_refused, path.starts_with("/api/"), "{name}: {body}");
            assert_eq!(is_refused, expected.contains(&400), "{name}");
            seen += 1;
            if method == "get" {
                // Not from here; that one from beyond sees it is tested beside the code.
                let is_guarded = operation["security"].is_null();
                assert_eq!(is_guarded, expected.contains(&401), "{name}");
                continue;
            }
            let form = change(&path)
                .without("content-type")
                .field("Content-Type", "text/plain");
            let is_for_who_has_the_token = answer(form).await == 401;
            assert!(expected.contains(&401), "{name}");
            for status in [400, 408, 413, 415, 429] {
                assert!(expected.contains(&status), "{name}: {status}");
            }
            assert_eq!(
                is_for_who_has_the_token,
                path.ends_with("/upgrade"),
                "{name}"
            );
        }
    }
    assert!(seen > 15, "{seen} operations");
}
