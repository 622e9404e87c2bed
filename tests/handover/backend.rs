//! The backend: what it does on a connection is in the path that the client asked for.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::wire::{self, Reader};

/// What a client that reads nothing is sent.
pub(crate) const FLOOD: usize = 400_000;

/// The answer to the example key of RFC 6455 1.3, which every client here uses.
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A running backend.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    /// What went wrong there.
    pub(crate) wrong: Arc<AtomicUsize>,
}

impl Backend {
    pub(crate) fn start() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // Little is on the way to who reads nothing; what is over it waits in lubdub.
        socket.set_send_buffer_size(16 << 10).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener: TcpListener = socket.listen(4096).unwrap();
        let address = listener.local_addr().unwrap();
        let wrong = Arc::<AtomicUsize>::default();
        let noted = Arc::clone(&wrong);
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    continue;
                };
                let noted = Arc::clone(&noted);
                tokio::spawn(async move {
                    stream.set_nodelay(true).unwrap();
                    if let Err(wrong) = serve(stream).await {
                        eprintln!("the backend: {wrong}");
                        noted.fetch_add(1, Relaxed);
                    }
                });
            }
        });
        Self { address, wrong }
    }
}

/// Serves a connection to its end. An error is something that must not be.
async fn serve(mut stream: TcpStream) -> Result<(), String> {
    let Ok((head, early)) = wire::head(&mut stream).await else {
        return Ok(());
    };
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    );
    if stream.write_all(answer.as_bytes()).await.is_err() {
        return Ok(());
    }
    let does_flood = head.starts_with("GET /flood");
    let (read, mut write) = stream.into_split();
    let mut reader = Reader::new(read, early);
    if does_flood {
        let payload: Vec<u8> = (0..FLOOD)
            .map(|n| n.to_le_bytes()[0] ^ n.to_le_bytes()[1])
            .collect();
        let _ = wire::write(&mut write, &wire::frame(0x82, &payload, None)).await;
    }
    let (mut expected, mut said, mut pings) = (0_u64, 0_u64, VecDeque::new());
    while let Ok(frame) = reader.frame().await {
        let answer = match frame.first & 0x0f {
            // A message: a number, and whatever else. Answered with a number of its own, and an echo.
            0x1 | 0x2 => {
                let number: [u8; 8] = frame.payload[..8].try_into().map_err(|_| "too short")?;
                let number = u64::from_be_bytes(number);
                if number != expected {
                    return Err(format!("message {number} came instead of {expected}"));
                }
                expected += 1;
                let payload = [&said.to_be_bytes()[..], &frame.payload[8..]].concat();
                said += 1;
                let mut bytes = wire::frame(frame.first, &payload, None);
                // A ping of its own now and then: its pong comes from the client.
                if said % 7 == 3 {
                    let payload = format!("foreign {said}").into_bytes();
                    bytes.extend(wire::frame(0x89, &payload, None));
                    pings.push_back(payload);
                }
                bytes
            }
            0x9 => wire::frame(0x8a, &frame.payload, None),
            // A client answers each, or only the latest.
            0xa => {
                let place = pings.iter().position(|ping| *ping == frame.payload);
                let place =
                    place.ok_or_else(|| format!("a pong to nothing: {:02x?}", frame.payload))?;
                pings.drain(..=place);
                continue;
            }
            0x8 => {
                let _ = wire::write(&mut write, &wire::frame(0x88, &frame.payload, None)).await;
                return Ok(());
            }
            _ => return Err(format!("a frame that nobody sends: {:02x}", frame.first)),
        };
        if wire::write(&mut write, &answer).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}
