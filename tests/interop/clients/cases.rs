//! The client cases for Rust. What they ask of the backend is in backends/README.md; cases.py and
//! cases.mjs are the same for Python and JavaScript.

use std::pin::Pin;
use std::process;
use std::time::Duration;

use anyhow::{bail, ensure};
use serde_json::{Value, json};
use tokio::time;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Message};

use super::Peer;

const LARGE: usize = 64 << 20;
const HOLD: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(60);

type Outcome<'a> = Pin<Box<dyn Future<Output = anyhow::Result<()>> + 'a>>;
type Case = fn(&str) -> Outcome<'_>;

const CASES: [(&str, Case); 14] = [
    ("text", |base| Box::pin(text(base))),
    ("binary", |base| Box::pin(binary(base))),
    ("fragments_received", |base| {
        Box::pin(fragments_received(base))
    }),
    ("fragments_sent", |base| Box::pin(fragments_sent(base))),
    ("large", |base| Box::pin(large(base))),
    ("subprotocol", |base| Box::pin(subprotocol(base))),
    ("cookies_and_query", |base| {
        Box::pin(cookies_and_query(base))
    }),
    ("close_by_client", |base| Box::pin(close_by_client(base))),
    ("close_by_upstream", |base| {
        Box::pin(close_by_upstream(base))
    }),
    ("ping_by_client", |base| Box::pin(ping_by_client(base))),
    ("ping_by_upstream", |base| Box::pin(ping_by_upstream(base))),
    ("pong_by_client", |base| Box::pin(pong_by_client(base))),
    ("pong_by_upstream", |base| Box::pin(pong_by_upstream(base))),
    ("held", |base| Box::pin(held(base))),
];

/// Runs what is not among `lacking`, names with commas between them, and reports what went wrong.
pub(super) async fn run(base: &str, lacking: &str, report: impl Fn(&str, Option<String>)) {
    for (name, case) in CASES {
        if lacking.split(',').any(|lacks| lacks == name) {
            continue;
        }
        let problem = match time::timeout(LIMIT, case(base)).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(format!("{error:#}")),
            Err(late) => Some(late.to_string()),
        };
        report(name, problem);
    }
}

async fn text(base: &str) -> anyhow::Result<()> {
    let mut peer = dial(base, "/text").await?;
    for message in ["", "lub", "dub \u{2665} \u{1fac0} \0", &"x".repeat(70000)] {
        peer.send(message).await?;
        same_text(&peer.next().await?, message)?;
    }
    finish(peer).await
}

async fn binary(base: &str) -> anyhow::Result<()> {
    let mut peer = dial(base, "/binary").await?;
    for size in [0, 4, 124, 128, 65532, 65536, 1 << 20] {
        peer.send(pattern(size)).await?;
        same_bytes(&peer.next().await?, &pattern(size))?;
    }
    finish(peer).await
}

async fn fragments_received(base: &str) -> anyhow::Result<()> {
    let mut peer = dial(base, "/fragments").await?;
    tell(
        &mut peer,
        json!({ "do": "fragments", "parts": ["lub", "", "-", "dub"] }),
    )
    .await?;
    same_text(&peer.next().await?, "lub-dub")?;
    finish(peer).await
}

async fn fragments_sent(base: &str) -> anyhow::Result<()> {
    let mut peer = dial(base, "/fragments").await?;
    peer.fragments(&["lub", "", "-", "dub"]).await?;
    same_text(&peer.next().await?, "lub-dub")?;
    finish(peer).await
}

async fn large(base: &str) -> anyhow::Result<()> {
    let mut peer = dial(base, "/large?plain").await?;
    let sent = pattern(LARGE);
    peer.send(sent.clone()).await?;
    same_bytes(&peer.next().await?, &sent)?;
    finish(peer).await
}

async fn subprotocol(base: &str) -> anyhow::Result<()> {
    let offer = request(base, "/subprotocol")?
        .with_sub_protocol("interop.v1")
        .with_sub_protocol("interop.v2");
    let peer = Peer::open(offer).await?;
    equal(peer.protocol.as_deref(), Some("interop.v2"), "subprotocol")?;
    finish(peer).await
}

async fn cookies_and_query(base: &str) -> anyhow::Result<()> {
    const PATH: &str = "/query/%7Ea%20b?x=1&y=%26%3D&x=2&z=";
    let mut peer = Peer::open(request(base, PATH)?.with_header("Cookie", "heart=beats")).await?;
    let about = ask(&mut peer, json!({ "do": "about" })).await?;
    ensure!(
        about["url"].as_str().is_some_and(|url| url.ends_with(PATH)),
        "the upstream saw {}",
        about["url"]
    );
    equal(&about["cookie"], &json!("heart=beats"), "cookie")?;
    finish(peer).await
}

async fn close_by_client(base: &str) -> anyhow::Result<()> {
    const REASON: &str = "tsch\u{fc}\u{df} upstream";
    let name = name("by-client");
    let mut peer = dial(base, &format!("/close?id={name}")).await?;
    peer.close(4001, REASON).await?;
    equal(
        peer.end().await?,
        (4001, REASON.to_owned()),
        "the client's close",
    )?;
    let mut other = dial(base, "/close").await?;
    let ended = ask(&mut other, json!({ "do": "ended", "id": name })).await?;
    equal(ended, json!([4001, REASON]), "the upstream's close")?;
    finish(other).await
}

async fn close_by_upstream(base: &str) -> anyhow::Result<()> {
    const REASON: &str = "tsch\u{fc}\u{df} client";
    let name = name("by-upstream");
    let mut peer = dial(base, &format!("/close?id={name}")).await?;
    tell(
        &mut peer,
        json!({ "do": "close", "code": 4002, "reason": REASON }),
    )
    .await?;
    equal(
        peer.end().await?,
        (4002, REASON.to_owned()),
        "the client's close",
    )?;
    let mut other = dial(base, "/close").await?;
    let ended = ask(&mut other, json!({ "do": "ended", "id": name })).await?;
    // The library answers a Close with the code and the reason that it was sent (RFC 6455 5.5.1).
    equal(ended, json!([4002, REASON]), "the upstream's close")?;
    finish(other).await
}

async fn ping_by_client(base: &str) -> anyhow::Result<()> {
    let mut peer = dial(base, "/ping").await?;
    let payloads = [String::new(), "lub".to_owned(), "p".repeat(125)];
    for payload in &payloads {
        peer.ping(payload).await?;
    }
    equal(
        &upstream_pongs(&mut peer).await?,
        &json!([]),
        "pongs that the upstream saw",
    )?;
    equal(&*peer.pongs, &payloads, "pongs that the client saw")?;
    finish(peer).await
}

async fn ping_by_upstream(base: &str) -> anyhow::Result<()> {
    let mut peer = dial(base, "/ping").await?;
    let payloads = ["lub".to_owned(), "p".repeat(125)];
    for payload in &payloads {
        let answer = ask(&mut peer, json!({ "do": "ping", "payload": payload })).await?;
        equal(answer, json!({ "pong": payload }), "answer")?;
    }
    equal(
        &upstream_pongs(&mut peer).await?,
        &json!(payloads),
        "pongs that the upstream saw",
    )?;
    no_pongs(&peer)?;
    finish(peer).await
}

async fn pong_by_client(base: &str) -> anyhow::Result<()> {
    let mut peer = dial(base, "/pong").await?;
    peer.pong("unasked").await?;
    peer.pong("").await?;
    let seen = upstream_pongs(&mut peer).await?;
    equal(seen, json!(["unasked", ""]), "pongs that the upstream saw")?;
    finish(peer).await
}

async fn pong_by_upstream(base: &str) -> anyhow::Result<()> {
    let mut peer = dial(base, "/pong").await?;
    tell(&mut peer, json!({ "do": "pong", "payload": "unasked" })).await?;
    same_text(&peer.next().await?, "ponged")?;
    equal(
        &*peer.pongs,
        &["unasked".to_owned()],
        "pongs that the client saw",
    )?;
    finish(peer).await
}

async fn held(base: &str) -> anyhow::Result<()> {
    let mut peer = dial(base, "/held").await?;
    time::sleep(HOLD).await;
    peer.send("still there?").await?;
    same_text(&peer.next().await?, "still there?")?;
    equal(
        upstream_pongs(&mut peer).await?,
        json!([]),
        "pongs that the upstream saw",
    )?;
    no_pongs(&peer)?;
    finish(peer).await
}

fn request(base: &str, path: &str) -> anyhow::Result<ClientRequestBuilder> {
    Ok(ClientRequestBuilder::new(format!("{base}{path}").parse()?))
}

async fn dial(base: &str, path: &str) -> anyhow::Result<Peer> {
    Peer::open(request(base, path)?).await
}

/// The closing handshake.
async fn finish(mut peer: Peer) -> anyhow::Result<()> {
    peer.close(1000, "").await?;
    equal(peer.end().await?.0, 1000, "code of the last close")
}

/// Has the backend do something.
async fn tell(peer: &mut Peer, command: Value) -> anyhow::Result<()> {
    peer.send(format!("!{command}")).await
}

async fn ask(peer: &mut Peer, command: Value) -> anyhow::Result<Value> {
    tell(peer, command).await?;
    Ok(serde_json::from_str(peer.next().await?.to_text()?)?)
}

async fn upstream_pongs(peer: &mut Peer) -> anyhow::Result<Value> {
    ask(peer, json!({ "do": "pongs" })).await
}

/// A backend knows ended connections by such a name.
fn name(case: &str) -> String {
    format!("tungstenite-{}-{case}", process::id())
}

/// The same every time, and such that a lost, doubled or swapped block shows.
fn pattern(size: usize) -> Vec<u8> {
    (0_u32..)
        .take(size / 4)
        .flat_map(|at| at.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}

fn no_pongs(peer: &Peer) -> anyhow::Result<()> {
    equal(&*peer.pongs, &[], "pongs that the client saw")
}

fn equal<T: PartialEq + std::fmt::Debug>(seen: T, wanted: T, what: &str) -> anyhow::Result<()> {
    ensure!(seen == wanted, "{what} was {seen:?}, not {wanted:?}");
    Ok(())
}

fn same_text(seen: &Message, wanted: &str) -> anyhow::Result<()> {
    let Message::Text(text) = seen else {
        bail!("instead of a text came {seen:.40}");
    };
    ensure!(
        text.as_str() == wanted,
        "instead of {wanted:.40?} came {:.40?}",
        text.as_str()
    );
    Ok(())
}

fn same_bytes(seen: &Message, wanted: &[u8]) -> anyhow::Result<()> {
    let Message::Binary(bytes) = seen else {
        bail!("instead of {} bytes came {seen:.40}", wanted.len());
    };
    equal(bytes.len(), wanted.len(), "length")?;
    match bytes
        .iter()
        .zip(wanted)
        .position(|(left, right)| left != right)
    {
        Some(at) => bail!("{} bytes differ, first at {at}", wanted.len()),
        None => Ok(()),
    }
}
