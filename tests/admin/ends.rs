//! The latest ends, and why.

use std::fs;
use std::path::Path;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::peer::Upstream;
use serde_json::{Value, json};

use crate::pairs;

#[tokio::test]
async fn an_end_says_as_much_as_its_line_in_the_log() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &[]).await;
    let mut pairs = pairs(&lubdub, &upstreams, 2).await;
    let (mut client, mut upstream) = pairs.remove(0);
    client.send_text("hello").await;
    upstream.expect_text("hello").await;
    client.close(4000, "").await;
    upstream.expect_close(4000).await;
    upstream.close(4000, "").await;
    client.expect_close(4000).await;
    drop((client, upstream));
    let logged = lubdub.expect_logged("pair ended").await;
    let said = lubdub
        .told_when("/api/v1/ends", |said| said["kept"] == 1)
        .await;
    let end = &said["ends"][0];
    for (told, line) in [
        (&end["pair"], "pair"),
        (&end["cause"], "cause"),
        (&end["close"]["code"], "close_code"),
        (&end["close"]["by"], "close_by"),
        (&end["request_id"], "request_id"),
        (&end["request"], "request"),
        (&end["client"]["address"], "client"),
        (&end["client"]["bytes"], "client_bytes"),
        (&end["upstream"]["frames"], "upstream_frames"),
    ] {
        assert_eq!(told, &logged[line], "{line}: {end}");
    }
    assert_eq!(end["cause"], "client_closed");
    assert!(
        end["cause_text"]
            .as_str()
            .is_some_and(|text| text.contains("client")),
        "{end}"
    );
    assert_eq!(end["diagnosis"], Value::Null);
    for (query, count) in [
        ("cause=client_closed", 1),
        ("cause=drain", 0),
        ("pair=1", 1),
        ("pair=2", 0),
        ("client=127.0.0.0/8&route=main", 1),
        ("client=10.0.0.0/8", 0),
        ("limit=0", 0),
    ] {
        let said = lubdub.told(&format!("/api/v1/ends?{query}")).await;
        assert_eq!(
            said["ends"].as_array().map(Vec::len),
            Some(count),
            "{query}"
        );
    }
}

/// An operator has moved everybody off a route, has taken it out, and wants to know how that went.
#[tokio::test]
async fn ends_are_found_by_a_name_that_is_gone() {
    let upstreams = Upstream::listen();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ends-by-a-name-that-is-gone.toml");
    let say = |route: &str| {
        let text = format!(
            "listen.public.address = \"127.0.0.1:0\"\n\
             admin.address = \"127.0.0.1:0\"\n\
             upstream.chat.url = \"ws://{}\"\n\
             route.{route}.upstream = \"chat\"\n",
            upstreams.address()
        );
        fs::write(&path, text).expect("a file of the test's own");
    };
    say("old");
    let lubdub = Binary::start_from(&path).await;
    drop(lubdub.pair(&upstreams).await);
    lubdub
        .told_when("/api/v1/ends", |said| said["kept"] == 1)
        .await;
    say("new");
    lubdub.changed("/api/v1/reload", &json!({})).await;
    let said = lubdub.told("/api/v1/ends?route=old").await;
    assert_eq!(said["ends"][0]["route"], "old", "{said}");
    let said = lubdub.told("/api/v1/ends?route=new").await;
    assert_eq!(said["ends"], json!([]));
    let (status, said) = lubdub.admin("/api/v1/ends?route=older").await;
    assert!(status == 400 && said.contains("new, old"), "{said}");
    // Of the live pairs none has it.
    assert_eq!(lubdub.admin("/api/v1/pairs?route=old").await.0, 400);
}
