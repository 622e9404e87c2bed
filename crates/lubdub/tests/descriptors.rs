//! What the file limit carries: as many pairs as `check` promises, and the admin listener besides.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// The hard limit of the process, few enough that all pairs are soon there.
const FILES: &str = "1024";
/// So many that their runtimes take a good part of it.
const WORKERS: &str = "runtime.workers=64";
/// Long for anything here.
const PATIENCE: Duration = Duration::from_secs(10);

const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// The answer to this very key (RFC 6455 1.3).
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// A process that is not left behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// With 64 workers under `ulimit -n 1024`, `check` promised 464 pairs: 378 fitted, and then nobody
/// got an answer from the admin listener.
#[test]
fn the_promised_pairs_fit_beside_many_workers_and_the_admin_still_answers() {
    let backend = backend();
    let promised = promised(&backend);
    assert!(promised > 250, "{promised} pairs are promised");
    let mut lubdub = Running(
        limited(&backend)
            .args(["--log-format", "json"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts"),
    );
    let mut log = BufReader::new(lubdub.0.stderr.take().expect("it is piped"));
    let admin = address(&mut log, "admin listens");
    let listener = address(&mut log, "listening");
    // Whoever does not read it stops lubdub.
    thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));

    let pairs: Vec<_> = (1..=promised)
        .map(|n| upgraded(&listener).unwrap_or_else(|error| panic!("pair {n}: {error}")))
        .collect();
    // As many as are kept for operators, at the same time, and one of them asks.
    let silent: Vec<_> = (1..32).map(|_| connect(&admin)).collect();
    let head = ask(
        connect(&admin),
        b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    );
    let head = head.unwrap_or_else(|error| panic!("/livez beside {promised} pairs: {error}"));
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    drop((pairs, silent));
}

/// The number of pairs that `check` promises.
fn promised(backend: &str) -> usize {
    let output = limited(backend).arg("check").output().expect("it runs");
    let summary = String::from_utf8_lossy(&output.stdout);
    let said = summary.lines().find_map(|line| {
        let (pairs, _) = line.strip_prefix("up to ")?.split_once(" pairs")?;
        pairs.parse().ok()
    });
    said.unwrap_or_else(|| panic!("{summary}{}", String::from_utf8_lossy(&output.stderr)))
}

/// The program with few files and many workers.
fn limited(backend: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n \"$0\" && exec \"$@\"", FILES])
        .arg(env!("CARGO_BIN_EXE_lubdub"))
        .args(["--listen", "127.0.0.1:0", "--upstream", backend])
        .args(["--set", "admin.address=127.0.0.1:0", "--set", WORKERS])
        .stdin(Stdio::null());
    command
}

/// Takes every upgrade; its URL.
fn backend() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        let mut upgraded = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            read_head(&mut stream).expect("a request");
            stream.write_all(SWITCHING).expect("it listens");
            upgraded.push(stream);
        }
    });
    format!("ws://{address}")
}

/// The address in the line of the log with this message.
fn address(log: &mut impl BufRead, message: &str) -> String {
    let line = log
        .lines()
        .map(|line| line.expect("text"))
        .find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line).ok()?;
            (line["msg"] == message).then(|| line["address"].as_str().map(str::to_owned))?
        });
    line.unwrap_or_else(|| panic!("it has not logged {message:?}"))
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a timeout can be set");
    stream
}

/// A client that has its 101.
fn upgraded(address: &str) -> std::io::Result<TcpStream> {
    let stream = connect(address);
    let head = ask(stream.try_clone()?, UPGRADE)?;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    Ok(stream)
}

/// The head of the answer.
fn ask(mut stream: TcpStream, request: &[u8]) -> std::io::Result<String> {
    stream.write_all(request)?;
    read_head(&mut stream)
}

fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}
