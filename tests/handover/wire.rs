//! Frames as this test's endpoints write and read them: every byte is looked at.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A frame that came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// FIN, RSV and opcode as they are on the wire.
    pub(crate) first: u8,
    pub(crate) payload: Vec<u8>,
}

/// Reads frames. A call that is dropped loses nothing.
pub(crate) struct Reader {
    half: OwnedReadHalf,
    buffer: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(half: OwnedReadHalf, early: Vec<u8>) -> Self {
        Self {
            half,
            buffer: early,
        }
    }

    pub(crate) async fn frame(&mut self) -> std::io::Result<Frame> {
        loop {
            if let Some((frame, len)) = parse(&self.buffer) {
                self.buffer.drain(..len);
                if self.buffer.is_empty() {
                    self.buffer = Vec::new();
                }
                return Ok(frame);
            }
            if self.buffer.capacity() == 0 {
                // Nothing is kept for who says nothing.
                self.half.readable().await?;
            }
            let read = self.half.read_buf(&mut self.buffer).await?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&[first, second], mut rest) = bytes.split_first_chunk::<2>()?;
    let mut header = 2;
    let len = match second & 0x7f {
        126 => {
            let (len, more) = rest.split_first_chunk::<2>()?;
            (rest, header) = (more, 4);
            usize::from(u16::from_be_bytes(*len))
        }
        127 => {
            let (len, more) = rest.split_first_chunk::<8>()?;
            (rest, header) = (more, 10);
            usize::try_from(u64::from_be_bytes(*len)).ok()?
        }
        len => usize::from(len),
    };
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        let (key, more) = rest.split_first_chunk::<4>()?;
        (mask, rest, header) = (*key, more, header + 4);
    }
    let payload = rest.get(..len)?;
    let payload = payload.iter().zip(mask.iter().cycle());
    let payload = payload.map(|(byte, key)| byte ^ key).collect();
    Some((Frame { first, payload }, header + len))
}

/// The bytes of a frame.
pub(crate) fn frame(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..126 => bytes.push(masked | u8::try_from(len).unwrap()),
        len @ 126..65_536 => {
            bytes.push(masked | 126);
            bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            bytes.push(masked | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    match mask {
        Some(key) => {
            bytes.extend(key);
            bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k));
        }
        None => bytes.extend(payload),
    }
    bytes
}

pub(crate) async fn write(half: &mut OwnedWriteHalf, bytes: &[u8]) -> std::io::Result<()> {
    half.write_all(bytes).await
}

/// Reads up to the end of a head: the head, and what came behind it.
pub(crate) async fn head(stream: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok((String::from_utf8_lossy(&bytes).into_owned(), rest));
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}
