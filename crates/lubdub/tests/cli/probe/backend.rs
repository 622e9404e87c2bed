//! Backends for `lubdub probe`, each with its own manner of answering pings.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{Frame, OpCode, Payload, WebSocketError};
use http::header::{HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL};
use http::{Request, Response, StatusCode};
use http_body_util::{Either, Empty, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// How a backend behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers every ping.
    Right,
    /// Answers every ping with a payload of its own.
    Wrong,
    /// Answers the first ping rightly and all others with a payload of its own.
    WrongFromTheSecond,
    /// Answers every ping, but each pong comes after a heartbeat of its own, a pong of nothing.
    Beats,
    /// Answers every ping half a second later.
    Slow,
    /// Answers no ping.
    Never,
    /// Answers no ping, and speaks at each.
    Chatty,
    /// Answers every ping but the second.
    ForgetsOne,
    /// Answers only the latest of every three pings.
    LatestOfThree,
    /// Answers every ping, but sends a ping and two data frames before the first pong.
    Talks,
    /// Closes with 1008 at the second ping.
    Closes,
    /// Hangs up at the second ping.
    HangsUp,
    /// Answers the handshake with a Sec-WebSocket-Accept for another key.
    BadAccept,
    /// Takes only `/room?x=1` with an Origin and the subprotocol `chat`.
    Picky,
}

type Body = Either<Empty<Bytes>, Full<Bytes>>;

/// Serves in a thread of its own, until the tests end.
pub(crate) fn start(manner: Manner) -> SocketAddr {
    serve(manner, None)
}

/// The same with TLS.
pub(crate) fn start_tls(manner: Manner, config: Arc<ServerConfig>) -> SocketAddr {
    serve(manner, Some(config.into()))
}

fn serve(manner: Manner, tls: Option<TlsAcceptor>) -> SocketAddr {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    listener.set_nonblocking(true).expect("a socket");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => talk(stream, manner).await,
                        Some(tls) => {
                            // A client that does not trust it goes away here.
                            if let Ok(stream) = tls.accept(stream).await {
                                talk(stream, manner).await;
                            }
                        }
                    }
                });
            }
        });
    });
    address
}

async fn talk<S>(stream: S, manner: Manner)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| async move { greet(request, manner) });
    // How a connection ends is the probe's matter.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
}

fn greet(mut request: Request<Incoming>, manner: Manner) -> Result<Response<Body>, WebSocketError> {
    let headers = request.headers();
    let is_welcome = manner != Manner::Picky
        || (request.uri() == "/room?x=1"
            && headers
                .get(ORIGIN)
                .is_some_and(|origin| origin == "https://a.example")
            && headers
                .get(SEC_WEBSOCKET_PROTOCOL)
                .is_some_and(|offer| offer == "talk, chat"));
    if !is_welcome {
        let mut refusal = Response::new(Either::Right(Full::from("\nno such room\nreally\n")));
        *refusal.status_mut() = StatusCode::FORBIDDEN;
        return Ok(refusal);
    }
    let (mut response, upgraded) = upgrade(&mut request)?;
    let headers = response.headers_mut();
    if manner == Manner::BadAccept {
        let other = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        headers.insert(SEC_WEBSOCKET_ACCEPT, other);
    }
    if manner == Manner::Picky {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("chat"));
    }
    tokio::spawn(answer(upgraded, manner));
    Ok(response.map(Either::Left))
}

async fn answer(upgraded: UpgradeFut, manner: Manner) -> Result<(), WebSocketError> {
    let mut socket = upgraded.await?;
    socket.set_auto_pong(false);
    let mut pings = 0;
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Ping => pings += 1,
            OpCode::Close => return Ok(()),
            OpCode::Pong | OpCode::Text | OpCode::Binary | OpCode::Continuation => continue,
        }
        let own = || Frame::pong(Payload::Borrowed(b"here"));
        let pong = || Frame::pong(Payload::Owned(frame.payload.to_vec()));
        match (manner, pings) {
            (Manner::Never, _) | (Manner::ForgetsOne, 2) => {}
            (Manner::LatestOfThree, n) if n % 3 != 0 => {}
            (Manner::Chatty, _) => {
                socket
                    .write_frame(Frame::text(Payload::Borrowed(b"hi")))
                    .await?;
            }
            (Manner::Beats, _) => {
                let beat = Frame::pong(Payload::Borrowed(b""));
                socket.write_frame(beat).await?;
                socket.write_frame(pong()).await?;
            }
            (Manner::Slow, _) => {
                tokio::time::sleep(Duration::from_millis(500)).await;
                socket.write_frame(pong()).await?;
            }
            (Manner::Wrong, _) | (Manner::WrongFromTheSecond, 2..) => {
                socket.write_frame(own()).await?;
            }
            (Manner::Talks, 1) => {
                let ping = Payload::Borrowed(b"you?");
                socket
                    .write_frame(Frame::new(true, OpCode::Ping, None, ping))
                    .await?;
                socket
                    .write_frame(Frame::text(Payload::Borrowed(b"a")))
                    .await?;
                socket
                    .write_frame(Frame::binary(Payload::Borrowed(b"b")))
                    .await?;
                let answer = socket.read_frame().await?;
                assert_eq!(
                    (answer.opcode, &answer.payload[..]),
                    (OpCode::Pong, &b"you?"[..])
                );
                socket.write_frame(pong()).await?;
            }
            (Manner::Closes, 2) => socket.write_frame(Frame::close(1008, b"enough")).await?,
            (Manner::HangsUp, 2) => return Ok(()),
            _ => socket.write_frame(pong()).await?,
        }
    }
}
