//! T: what passes, and as what. Own pings are in the middle of most of it.

use std::time::Duration;

use lubdub_keepalive::Side;
use lubdub_testkit::frame::{Frame, LengthForm, Seen};
use lubdub_testkit::http::{ACCEPT, Head, Request, SWITCHING};
use lubdub_testkit::peer::Peer;
use lubdub_testkit::{LONG, ms};
use lubdub_wire::Opcode;
use tokio::time::sleep;

use crate::conversation::{Speech, converse};
use crate::stage::{Stage, Terms};

/// How often own pings are due while bytes pass.
const OFTEN: Duration = ms(10);

/// Own pings as often as can be, on one side only between messages if these are short, on the other
/// between any frames.
fn among_pings() -> Terms {
    Terms::beating(OFTEN)
        .side(Side::Client, "boundary_wait=5ms")
        .side(Side::Upstream, "boundary_wait=off")
}

pub(crate) async fn every_kind_of_frame() {
    let (stage, mut client, mut upstream) = among_pings().pair(Side::Client).await;
    let speeches = [&mut client, &mut upstream]
        .map(|peer| Speech::new(peer, &every_frame()).in_segments(&[1, 7, 100, 1000], ms(1)));
    converse(&stage, client, upstream, speeches).await;
}

/// Every opcode but Close, behind which there are no own pings, with all reserved bits, in all forms
/// of a length.
fn every_frame() -> Vec<Frame> {
    let lengths = [0, 1, 125, 126, 300];
    let forms = [
        LengthForm::Minimal,
        LengthForm::Sixteen,
        LengthForm::SixtyFour,
    ];
    let opcodes = (0..16).map(Opcode::from_bits);
    let kinds = opcodes
        .filter(|opcode| *opcode != Opcode::CLOSE)
        .flat_map(|opcode| (0..8).map(move |rsv| (opcode, rsv)));
    let frames = kinds.zip(0_usize..).map(|((opcode, rsv), n)| Frame {
        fin: n % 3 != 0,
        rsv,
        opcode,
        length: forms[n % forms.len()],
        payload: vec![rsv; lengths[n % lengths.len()]],
    });
    frames.chain([Frame::binary(vec![b'l'; 70_000])]).collect()
}

pub(crate) async fn one_byte_at_a_time() {
    let (stage, mut client, mut upstream) = among_pings().pair(Side::Client).await;
    let speeches = [&mut client, &mut upstream]
        .map(|peer| Speech::new(peer, &a_message_in_pieces()).in_segments(&[1], ms(1)));
    converse(&stage, client, upstream, speeches).await;
}

fn a_message_in_pieces() -> Vec<Frame> {
    vec![
        Frame::text("frag").open(),
        Frame::ping("between fragments"),
        Frame::continuation("ment").open(),
        Frame {
            length: LengthForm::SixtyFour,
            ..Frame::pong("in fourteen bytes")
        },
        Frame::continuation("ed"),
        Frame::binary([]),
        Frame::pong(""),
    ]
}

pub(crate) async fn bytes_in_the_segment_of_the_handshake() {
    let stage = among_pings().raise().await;
    for cut in [1, 3, 9, 40] {
        let mut client = stage.connect().await;
        let mut up = Speech::new(&mut client, &a_message_in_pieces());
        let early_up = up.take_early(cut);
        let request = stage.upgrade("/").encode();
        client.send([request, early_up].concat()).await;
        let mut upstream = stage.accept().await;
        upstream.expect_head().await;
        let mut down = Speech::new(&mut upstream, &a_message_in_pieces());
        let early_down = down.take_early(cut);
        upstream
            .send([SWITCHING.as_bytes(), &early_down].concat())
            .await;
        client.expect_switch().await;
        let speeches = [up, down].map(|speech| speech.in_segments(&[usize::MAX], 2 * OFTEN));
        converse(&stage, client, upstream, speeches).await;
    }
}

/// Sends an upgrade, and returns the connection with the head that arrived.
async fn asked(stage: &Stage, request: &Request) -> (Peer, Peer, Head) {
    let mut client = stage.connect().await;
    client.ask(request).await;
    let mut upstream = stage.accept().await;
    let head = upstream.expect_head().await;
    (client, upstream, head)
}

pub(crate) async fn the_request_as_the_client_made_it() {
    let stage = Terms::quiet().raise().await;
    let target = "/chat/room%201/..;/?token=a%2Fb&x=1&x=2";
    let lines = [
        ("Origin", "https://Example.com"),
        ("Cookie", "a=b; c=\"d\""),
        ("User-Agent", "kit/1.0 (conformance)"),
        ("X-mIxEd-CaSe", "kept"),
        ("X-Twice", "one"),
        ("X-Twice", "two"),
        ("X-Empty", ""),
    ];
    let request = lines
        .iter()
        .fold(stage.upgrade(target), |request, (name, value)| {
            request.field(name, value)
        });
    let (_client, _upstream, head) = asked(&stage, &request).await;
    assert_eq!(head.first_line, format!("GET {target} HTTP/1.1"));
    for (name, value) in lines {
        let line = format!("{name}: {value}");
        assert!(head.has_line(&line), "no {line:?} in {head:#?}");
    }
    assert_eq!(head.all("x-twice"), ["one", "two"]);
    let version = head.field("sec-websocket-version");
    assert_eq!(version, Some("13"));
}

pub(crate) async fn the_answer_as_the_upstream_made_it() {
    let stage = Terms::quiet().raise().await;
    let (mut client, mut upstream, _) = asked(&stage, &stage.upgrade("/")).await;
    let lines = [
        "X-bAcKeNd: seven",
        "Set-Cookie: a=1; Path=/",
        "Set-Cookie: b=2",
        "X-Empty: ",
    ];
    let fields = lines.map(|line| format!("{line}\r\n")).concat();
    upstream
        .send(SWITCHING.replace(
            "Upgrade: websocket\r\n",
            &format!("{fields}Upgrade: websocket\r\n"),
        ))
        .await;
    let head = client.expect_switch().await;
    for line in lines {
        assert!(head.has_line(line), "no {line:?} in {head:#?}");
    }
    assert_eq!(head.all("set-cookie"), ["a=1; Path=/", "b=2"]);
    assert_eq!(head.field("sec-websocket-accept"), Some(ACCEPT));
}

pub(crate) async fn what_endpoints_negotiate_is_theirs() {
    let stage = among_pings().raise().await;
    let offers = [
        (
            "Sec-WebSocket-Extensions",
            "permessage-deflate; client_max_window_bits; server_max_window_bits=10, x-unheard-of; a=\"b\"",
        ),
        ("Sec-WebSocket-Protocol", "graphql-ws, chat.v2"),
    ];
    let request = offers
        .iter()
        .fold(stage.upgrade("/"), |request, (name, value)| {
            request.field(name, value)
        });
    let (mut client, mut upstream, head) = asked(&stage, &request).await;
    for (name, value) in offers {
        assert_eq!(head.field(name), Some(value));
    }
    let choices = [
        (
            "Sec-WebSocket-Extensions",
            "permessage-deflate; server_max_window_bits=10",
        ),
        ("Sec-WebSocket-Protocol", "chat.v2"),
    ];
    let fields: String = choices
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = SWITCHING.replace("\r\n\r\n", &format!("\r\n{fields}\r\n"));
    upstream.send(head).await;
    let head = client.expect_switch().await;
    for (name, value) in choices {
        assert_eq!(head.field(name), Some(value));
    }
    // "Hello" as RFC 7692 7.2.3.1 compresses it, in one frame and in two.
    let hello = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    let compressed = |frame: Frame| Frame { rsv: 4, ..frame };
    let frames = [
        compressed(Frame::binary(hello)),
        compressed(Frame::binary(&hello[..3]).open()),
        Frame {
            opcode: Opcode::CONTINUATION,
            ..Frame::binary(&hello[3..])
        },
    ];
    let speeches = [&mut client, &mut upstream]
        .map(|peer| Speech::new(peer, &frames).in_segments(&[1], ms(2)));
    converse(&stage, client, upstream, speeches).await;
}

pub(crate) async fn what_breaks_the_protocol_passes_too() {
    let (stage, mut client, mut upstream) = among_pings().pair(Side::Client).await;
    let frames = [
        Frame::binary([0xc3, 0x28]),
        Frame::continuation("of nothing"),
        Frame::text("begun").open(),
        Frame::text("and begun again"),
        Frame::ping("not whole").open(),
        Frame::pong(vec![b'o'; 126]),
        Frame::ping(vec![b'o'; 4000]),
    ]
    .map(|frame| match frame.payload[..] {
        [0xc3, 0x28] => Frame {
            opcode: Opcode::TEXT,
            ..frame
        },
        _ => frame,
    });
    // Each masks as the other one should.
    let wrong_way_round = Frame::text("masked the wrong way round");
    let from_client = upstream.encode(&wrong_way_round);
    let from_upstream = client.encode(&wrong_way_round);
    let speeches =
        [(&mut client, from_client), (&mut upstream, from_upstream)].map(|(peer, wrong)| {
            let right = frames.iter().map(|frame| peer.encode(frame));
            let raw = [wrong].into_iter().chain(right).collect();
            Speech::of_raw(raw, peer).in_segments(&[50], ms(1))
        });
    converse(&stage, client, upstream, speeches).await;
}

pub(crate) async fn endpoint_pings_go_end_to_end() {
    for side in Side::BOTH {
        let terms = Terms::quiet().ping(side, OFTEN, LONG);
        let (_stage, mut near, mut far) = terms.pair(side).await;
        // It answers own pings meanwhile, and none of these pongs is for the other endpoint either.
        near.answer_pings();
        for payload in [&b""[..], b"hello", &[b'f'; 125]] {
            let ping = near.encode(&Frame::ping(payload));
            near.send(&ping).await;
            far.expect_raw(&ping).await;
            // Whoever answered in the place of the other one would have done so by then.
            sleep(3 * OFTEN).await;
            far.send_text("no pong before this").await;
            near.expect_text("no pong before this").await;
            let pong = far.encode(&Frame::pong(payload));
            far.send(&pong).await;
            near.expect_raw(&pong).await;
        }
    }
}

pub(crate) async fn unsolicited_pongs_pass() {
    let (stage, mut client, mut upstream) = among_pings().pair(Side::Client).await;
    let long_form = Frame {
        length: LengthForm::SixtyFour,
        ..Frame::pong("in the longest form")
    };
    let frames = [
        Frame::pong(""),
        Frame::pong(""),
        Frame::pong([b'f'; 125]),
        long_form,
        Frame::pong("sixteen bytes ok"),
        Frame::pong("sixteen bytes ok"),
    ];
    let speeches = [&mut client, &mut upstream]
        .map(|peer| Speech::new(peer, &frames).in_segments(&[5], ms(1)));
    converse(&stage, client, upstream, speeches).await;
}

pub(crate) async fn a_thousand_pings() {
    for side in Side::BOTH {
        let (stage, mut near, mut far) = among_pings().pair(side).await;
        let payload = |n: u16| n.to_be_bytes();
        let pings: Vec<u8> = (0..1000)
            .flat_map(|n| near.encode(&Frame::ping(payload(n))))
            .collect();
        let count = async |peer: &mut Peer, opcode: Opcode| {
            let mut beats = 0;
            for n in 0..1000 {
                loop {
                    let frame = peer.expect_frame().await;
                    if frame.header.opcode == opcode && frame.payload == payload(n) {
                        break;
                    }
                    beats += own_ping(&frame);
                }
            }
            beats
        };
        let ((), mut beats) = tokio::join!(near.send(&pings), count(&mut far, Opcode::PING));
        let pongs: Vec<u8> = (0..1000)
            .flat_map(|n| far.encode(&Frame::pong(payload(n))))
            .collect();
        // Own pings are due meanwhile.
        sleep(3 * OFTEN).await;
        let ((), more) = tokio::join!(far.send(&pongs), count(&mut near, Opcode::PONG));
        near.send_text("and nothing else").await;
        loop {
            let frame = far.expect_frame().await;
            if frame.payload == b"and nothing else" {
                break;
            }
            beats += own_ping(&frame);
        }
        stage.check_beats(beats + more);
    }
}

/// One, if this is a ping such as only the middle can have made.
fn own_ping(frame: &Seen) -> usize {
    assert!(frame.is_ping() && frame.payload.len() > 2, "{frame:?} came");
    1
}

pub(crate) async fn a_huge_frame_is_not_collected() {
    const HALF: usize = 4 * 1024 * 1024;
    for side in Side::BOTH {
        let (_stage, mut near, mut far) = Terms::quiet().pair(side).await;
        let huge = near.encode(&Frame::binary(vec![b'h'; 2 * HALF]));
        for half in [&huge[..HALF], &huge[HALF..]] {
            let ((), heard) = tokio::join!(near.send(half), far.expect_len(half.len()));
            assert!(heard == half, "the frame was changed");
        }
        // As much as a header can announce. Its end will never come.
        let mut endless = vec![0x82, if side == Side::Client { 0xff } else { 0x7f }];
        endless.extend((1_u64 << 62).to_be_bytes());
        endless.extend([7; 20]);
        near.send(&endless).await;
        far.expect_bytes(&endless).await;
    }
}

pub(crate) async fn a_zero_window_holds_the_sender_back() {
    for side in Side::BOTH {
        let (_stage, mut near, mut far) = Terms::quiet().tiny().pair(side).await;
        let sent = near.send_until_blocked(ms(50)).await;
        far.send_text("meanwhile").await;
        near.expect_text("meanwhile").await;
        let heard = far.expect_len(sent).await;
        let first = Seen::decode(&heard).expect("a whole message was sent before it was blocked");
        let same = heard
            .chunks(first.raw.len())
            .all(|message| first.raw.starts_with(message));
        assert!(same, "what was held back was changed");
    }
}
