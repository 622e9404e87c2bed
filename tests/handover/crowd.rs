//! The clients: some talk, some are idle, some stand in the middle of a frame, some read nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

use crate::backend::FLOOD;
use crate::lineage::PATIENCE;
use crate::wire::{self, Frame, Reader};

const MASK: [u8; 4] = [0x13, 0x57, 0x9b, 0xdf];

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sends numbered messages, compressed or not, whole or in two fragments.
    Talks,
    /// Answers pings.
    Idle,
    /// Sends a frame byte by byte, and the rest of it at the end.
    Halfway,
    /// Reads nothing of what it is sent until the end.
    Deaf,
    /// Sends a message every 10 ms, and measures the longest time between two answers.
    Paces,
}

/// Whether the clients go on, or come to their end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    GoesOn,
    /// Each says one last thing, hears the answer to it, and is done.
    Last,
}

/// All clients.
pub(crate) struct Crowd {
    tasks: JoinSet<Outcome>,
    phase: watch::Sender<Phase>,
    pub(crate) pauses: Arc<Pauses>,
}

/// How it went for a client: what it is, and what went wrong.
pub(crate) type Outcome = Result<(), String>;

/// The longest times without an answer, by client.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    longest: std::sync::Mutex<Vec<Duration>>,
    is_measured: AtomicBool,
}

/// A connection of a client.
pub(crate) struct Client {
    reader: Reader,
    writer: OwnedWriteHalf,
    said: u64,
    heard: u64,
}

impl Crowd {
    /// Connects so many clients of each kind.
    pub(crate) async fn connect(to: SocketAddr, kinds: &[(Kind, usize)]) -> Self {
        let (phase, _) = watch::channel(Phase::GoesOn);
        let mut this = Self {
            tasks: JoinSet::new(),
            phase,
            pauses: Arc::default(),
        };
        let mut n = 0;
        for (kind, count) in kinds {
            for _ in 0..*count {
                let client = Client::connect(to, *kind).await.expect("a 101");
                this.add(*kind, n, client);
                n += 1;
            }
        }
        this
    }

    /// One more client, which is connected already.
    pub(crate) fn add(&mut self, kind: Kind, n: u64, client: Client) {
        let (phase, pauses) = (self.phase.subscribe(), Arc::clone(&self.pauses));
        self.tasks.spawn(async move {
            let lived = client.live(kind, n, phase, &pauses).await;
            lived.map_err(|wrong| format!("{kind:?}: {wrong}"))
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.tasks.len()
    }

    /// The ends of those that have come to one too early.
    pub(crate) fn ended(&mut self) -> Vec<Outcome> {
        std::iter::from_fn(|| self.tasks.try_join_next())
            .map(|it| it.expect("no client panics"))
            .collect()
    }

    /// Lets all say their last thing. Returns what went wrong.
    pub(crate) async fn finish(mut self) -> Vec<String> {
        self.phase.send_replace(Phase::Last);
        let mut wrong = Vec::new();
        let all = async {
            while let Some(outcome) = self.tasks.join_next().await {
                wrong.extend(outcome.expect("no client panics").err());
            }
        };
        let in_time = timeout(PATIENCE, all).await.is_ok();
        assert!(in_time, "{} clients hear nothing", self.tasks.len());
        wrong
    }
}

impl Client {
    pub(crate) async fn connect(to: SocketAddr, kind: Kind) -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if kind == Kind::Deaf {
            socket.set_recv_buffer_size(4096)?;
        }
        let mut stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        let path = if kind == Kind::Deaf { "/flood" } else { "/" };
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let (head, early) = wire::head(&mut stream).await?;
        if !head.starts_with("HTTP/1.1 101 ") {
            return Err(std::io::Error::other(head));
        }
        let (read, writer) = stream.into_split();
        Ok(Self {
            reader: Reader::new(read, early),
            writer,
            said: 0,
            heard: 0,
        })
    }

    /// One message and its answer.
    pub(crate) async fn talk_once(&mut self) -> Result<(), String> {
        self.say(1).await?;
        self.hear_all(1).await
    }

    /// One message and its answer, and a closing handshake.
    pub(crate) async fn visit(mut self) -> Result<(), String> {
        self.say(0).await?;
        self.hear_all(0).await?;
        self.write(&wire::frame(0x88, &1000_u16.to_be_bytes(), Some(MASK)))
            .await?;
        loop {
            if self.next().await?.first == 0x88 {
                return Ok(());
            }
        }
    }

    async fn live(
        mut self,
        kind: Kind,
        n: u64,
        mut phase: watch::Receiver<Phase>,
        pauses: &Pauses,
    ) -> Result<(), String> {
        match kind {
            Kind::Talks => self.talk(n, &mut phase).await?,
            Kind::Idle => self.wait(&mut phase).await?,
            Kind::Halfway => {
                let payload = [&self.said.to_be_bytes()[..], &[7; 5000]].concat();
                let bytes = wire::frame(0x82, &payload, Some(MASK));
                // In the header of some for a while, in the payload of others. A pong can only come
                // behind it, so that its bytes are all the life that there is.
                let mut sent = if n.is_multiple_of(2) {
                    1
                } else {
                    bytes.len() / 2
                };
                self.write(&bytes[..sent]).await?;
                let mut ticks = interval(Duration::from_secs(1));
                loop {
                    tokio::select! {
                        _ = ticks.tick() => {
                            self.write(&bytes[sent..=sent]).await?;
                            sent += 1;
                        }
                        frame = self.reader.frame() => {
                            let frame = frame.map_err(|error| error.to_string())?;
                            if frame.first != 0x89 {
                                return Err(format!("{frame:?} in the middle of a frame"));
                            }
                        }
                        () = the_last(&mut phase) => break,
                    }
                }
                self.write(&bytes[sent..]).await?;
                self.said += 1;
            }
            Kind::Deaf => {
                the_last(&mut phase).await;
                let flood = self.next().await?;
                let is_whole = flood.payload.len() == FLOOD
                    && (flood.payload.iter().enumerate())
                        .all(|(n, byte)| *byte == n.to_le_bytes()[0] ^ n.to_le_bytes()[1]);
                if !is_whole {
                    return Err("what it was sent is not what came".to_owned());
                }
            }
            Kind::Paces => self.pace(&mut phase, pauses).await?,
        }
        self.say(n).await?;
        self.hear_all(n).await
    }

    async fn talk(&mut self, n: u64, phase: &mut watch::Receiver<Phase>) -> Result<(), String> {
        sleep(Duration::from_millis(n * 37 % 2000)).await;
        let mut ticks = interval(Duration::from_secs(2));
        loop {
            tokio::select! {
                _ = ticks.tick() => self.say(n).await?,
                frame = self.reader.frame() => {
                    let frame = frame.map_err(|error| error.to_string())?;
                    self.on_frame(frame).await?;
                }
                () = the_last(phase) => return Ok(()),
            }
        }
    }

    async fn wait(&mut self, phase: &mut watch::Receiver<Phase>) -> Result<(), String> {
        loop {
            tokio::select! {
                frame = self.reader.frame() => {
                    let frame = frame.map_err(|error| error.to_string())?;
                    self.on_frame(frame).await?;
                }
                () = the_last(phase) => return Ok(()),
            }
        }
    }

    async fn pace(
        &mut self,
        phase: &mut watch::Receiver<Phase>,
        pauses: &Pauses,
    ) -> Result<(), String> {
        let mut ticks = interval(Duration::from_millis(10));
        let mut last = Instant::now();
        let mut longest = Duration::ZERO;
        let mut was_measured = false;
        loop {
            let is_measured = pauses.is_measured.load(Relaxed);
            if is_measured != was_measured {
                if was_measured {
                    pauses.longest.lock().unwrap().push(longest);
                }
                (was_measured, longest) = (is_measured, Duration::ZERO);
            }
            tokio::select! {
                _ = ticks.tick() => self.say(1).await?,
                frame = self.reader.frame() => {
                    let frame = frame.map_err(|error| error.to_string())?;
                    if self.on_frame(frame).await? {
                        longest = longest.max(last.elapsed());
                        last = Instant::now();
                    }
                }
                () = the_last(phase) => return Ok(()),
            }
        }
    }

    /// Sends the next message: some compressed, as far as anybody can see, some in two fragments.
    async fn say(&mut self, n: u64) -> Result<(), String> {
        let payload = [&self.said.to_be_bytes()[..], b"and some text behind it"].concat();
        let rsv1 = if n.is_multiple_of(2) { 0x40 } else { 0 };
        let bytes = wire::frame(0x81 | rsv1, &payload, Some(MASK));
        self.said += 1;
        self.write(&bytes).await
    }

    /// Waits until all that was said is answered.
    async fn hear_all(&mut self, _n: u64) -> Result<(), String> {
        while self.heard < self.said {
            let frame = self.next().await?;
            self.on_frame(frame).await?;
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Frame, String> {
        self.reader.frame().await.map_err(|error| error.to_string())
    }

    /// Says whether it was the answer to a message.
    async fn on_frame(&mut self, frame: Frame) -> Result<bool, String> {
        match frame.first & 0x0f {
            0x1 | 0x2 => {
                let number = frame.payload.first_chunk().ok_or("too short")?;
                let number = u64::from_be_bytes(*number);
                if number != self.heard {
                    return Err(format!("answer {number} came instead of {}", self.heard));
                }
                self.heard += 1;
                return Ok(true);
            }
            0x9 => {
                let pong = wire::frame(0x8a, &frame.payload, Some(MASK));
                self.write(&pong).await?;
            }
            0xa => return Err(format!("a pong to nothing: {:02x?}", frame.payload)),
            0x8 => return Err(format!("a Close: {:02x?}", frame.payload)),
            _ => return Err(format!("a frame that nobody sends: {:02x}", frame.first)),
        }
        Ok(false)
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), String> {
        let written = wire::write(&mut self.writer, bytes).await;
        written.map_err(|error| error.to_string())
    }
}

/// Waits until all say their last thing.
async fn the_last(phase: &mut watch::Receiver<Phase>) {
    // Without a test there is nobody to go on for.
    let _ = phase.wait_for(|phase| *phase == Phase::Last).await;
}

impl Pauses {
    pub(crate) fn measure(&self) {
        self.is_measured.store(true, Relaxed);
    }

    /// The longest times without an answer since then, in their order; each client that paces has one.
    pub(crate) async fn measured(&self, clients: usize) -> Vec<Duration> {
        self.is_measured.store(false, Relaxed);
        let all = async {
            while self.longest.lock().unwrap().len() < clients {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, all).await.expect("each client has one");
        let mut longest = std::mem::take(&mut *self.longest.lock().unwrap());
        longest.sort_unstable();
        longest
    }
}

/// Clients that come and go all the time, while it lives.
pub(crate) struct Visitors {
    tasks: JoinSet<()>,
    pub(crate) came: Arc<AtomicUsize>,
    wrong: Arc<std::sync::Mutex<Vec<String>>>,
}

impl Visitors {
    pub(crate) fn to(address: SocketAddr, at_a_time: usize) -> Self {
        let came = Arc::<AtomicUsize>::default();
        let wrong = Arc::<std::sync::Mutex<Vec<String>>>::default();
        let mut tasks = JoinSet::new();
        for _ in 0..at_a_time {
            let (counted, noted) = (Arc::clone(&came), Arc::clone(&wrong));
            tasks.spawn(async move {
                loop {
                    let visit = async {
                        let client = Client::connect(address, Kind::Idle).await;
                        client.map_err(|error| error.to_string())?.visit().await
                    };
                    match timeout(PATIENCE, visit).await {
                        Ok(Ok(())) => {}
                        Ok(Err(error)) => noted.lock().unwrap().push(error),
                        Err(_) => noted.lock().unwrap().push("no answer".to_owned()),
                    }
                    counted.fetch_add(1, Relaxed);
                }
            });
        }
        Self { tasks, came, wrong }
    }

    /// How many came, and what went wrong for them.
    pub(crate) fn stop(mut self) -> (usize, Vec<String>) {
        self.tasks.abort_all();
        let wrong = std::mem::take(&mut *self.wrong.lock().unwrap());
        (self.came.load(Relaxed), wrong)
    }
}
