//! The connection between the two processes of a hand-over: whole messages with their descriptors.
//!
//! A message is a head of ten bytes and a body. Descriptors come with the first byte of the head
//! (SCM_RIGHTS, unix(7)), so a read that takes no more than the head gets those of this message and
//! no others. Descriptors that came and are not taken are closed.

use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, send, sendmsg,
};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// One end of it.
#[derive(Debug)]
pub(crate) struct Link {
    stream: UnixStream,
    inbox: Inbox,
}

/// A message as it came.
#[derive(Debug)]
pub(crate) struct Packet {
    pub(crate) body: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
    /// How many descriptors were sent. Fewer come if this process may not open more files.
    pub(crate) sent: usize,
}

/// What has come of the next message: reading can stop anywhere and go on later.
#[derive(Debug, Default)]
struct Inbox {
    head: [u8; Head::LEN],
    /// How much of the head is there.
    read: usize,
    body: Vec<u8>,
    descriptors: Vec<OwnedFd>,
}

/// What stands before each body.
#[derive(Debug, Clone, Copy)]
struct Head {
    body: usize,
    descriptors: usize,
}

/// Why nothing more can be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// The other process has closed it, or is dead.
    #[error("the connection has ended")]
    Gone,
    /// Something else speaks there.
    #[error("what came is no message of a hand-over")]
    NotOurs,
    /// It says that it is larger than any message can be.
    #[error("a message of {0} bytes is larger than any should be")]
    TooLarge(usize),
    /// It says that it has more descriptors than can be sent, or others came than it says.
    #[error("a message says that it has {said} descriptors, and {came} came")]
    Descriptors { said: usize, came: usize },
    /// What the operating system says.
    #[error(transparent)]
    Io(io::Error),
}

// === impl Link ===

impl Link {
    /// As many descriptors as one message can carry (`SCM_MAX_FD`).
    pub(crate) const DESCRIPTORS_MAX: usize = 253;
    /// More than 126 pairs with full backlogs need.
    pub(crate) const BODY_MAX: usize = 32 << 20;
    /// What is read at a time: a length that is said is no reason to reserve as much.
    const STEP: usize = 256 << 10;

    /// # Errors
    /// If the runtime cannot wait for it.
    pub(crate) fn new(stream: StdUnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream: UnixStream::from_std(stream)?,
            inbox: Inbox::default(),
        })
    }

    /// The socket itself.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// Writes a message. Not to be dropped halfway, if anything is to be written after it.
    ///
    /// A body of less than a page goes in whole or not at all.
    ///
    /// # Errors
    /// [`LinkError::Gone`] if nobody reads there any more.
    pub(crate) async fn send(
        &self,
        body: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), LinkError> {
        if body.len() > Self::BODY_MAX {
            return Err(LinkError::TooLarge(body.len()));
        }
        let head = Head {
            body: body.len(),
            descriptors: descriptors.len(),
        };
        let head = head.to_bytes();
        let first = self.stream.async_io(Interest::WRITABLE, || {
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(Self::DESCRIPTORS_MAX))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty()
                && !control.push(SendAncillaryMessage::ScmRights(descriptors))
            {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            let parts = [IoSlice::new(&head), IoSlice::new(body)];
            Ok(sendmsg(
                &self.stream,
                &parts,
                &mut control,
                SendFlags::NOSIGNAL,
            )?)
        });
        let mut sent = first.await.map_err(LinkError::from)?;
        while sent < head.len() + body.len() {
            // The head is far smaller than what the kernel takes at a time, and the rest has none
            // of it: this is for completeness.
            let rest = match sent.checked_sub(head.len()) {
                Some(sent) => &body[sent..],
                None => &head[sent..],
            };
            let more = self.stream.async_io(Interest::WRITABLE, || {
                Ok(send(&self.stream, rest, SendFlags::NOSIGNAL)?)
            });
            sent += more.await.map_err(LinkError::from)?;
        }
        Ok(())
    }

    /// The same for a body alone, from outside a runtime.
    pub(crate) fn send_blocking(stream: &StdUnixStream, body: &[u8]) -> Result<(), LinkError> {
        let head = Head {
            body: body.len(),
            descriptors: 0,
        };
        let mut stream = stream;
        Ok(stream.write_all(&[&head.to_bytes(), body].concat())?)
    }

    /// Reads a message. It can be dropped and called again.
    ///
    /// # Errors
    /// [`LinkError::Gone`] at the end, if need be in the middle of a message, which is then thrown
    /// away; else if what comes makes no sense.
    pub(crate) async fn receive(&mut self) -> Result<Packet, LinkError> {
        let Self { stream, inbox } = self;
        while inbox.read < Head::LEN {
            let read = stream.async_io(Interest::READABLE, || inbox.read_head(stream));
            match read.await {
                Ok(0) => return Err(LinkError::Gone),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let head = Head::from_bytes(inbox.head)?;
        if inbox.descriptors.len() > head.descriptors {
            return Err(LinkError::Descriptors {
                said: head.descriptors,
                came: inbox.descriptors.len(),
            });
        }
        while inbox.body.len() < head.body {
            let read = stream.async_io(Interest::READABLE, || inbox.read_body(stream, head.body));
            match read.await {
                Ok(0) => return Err(LinkError::Gone),
                Ok(_) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let inbox = std::mem::take(inbox);
        Ok(Packet {
            body: inbox.body,
            descriptors: inbox.descriptors,
            sent: head.descriptors,
        })
    }

    /// Waits until the other process has closed it, or is dead. Whatever it says meanwhile is lost.
    pub(crate) async fn wait_for_end(&self) {
        let mut lost = [0; 4096];
        loop {
            let read = self.stream.async_io(Interest::READABLE, || {
                Ok(rustix::io::read(&self.stream, &mut lost)?)
            });
            if !read.await.is_ok_and(|read| read > 0) {
                return;
            }
        }
    }

    /// Whether nothing of the next message has been read.
    pub(crate) fn is_between(&self) -> bool {
        self.inbox.read == 0
    }
}

// === impl Inbox ===

impl Inbox {
    fn read_head(&mut self, stream: &UnixStream) -> io::Result<usize> {
        // Room for the most that the kernel lets anybody send.
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(Link::DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut head = [IoSliceMut::new(&mut self.head[self.read..])];
        let message = recvmsg(stream, &mut head, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        for part in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = part {
                self.descriptors.extend(descriptors);
            }
        }
        // The kernel closes what it could not give; the count in the head tells how many.
        debug_assert!(!message.flags.contains(ReturnFlags::TRUNC));
        self.read += message.bytes;
        Ok(message.bytes)
    }

    fn read_body(&mut self, stream: &UnixStream, len: usize) -> io::Result<usize> {
        let before = self.body.len();
        let step = (len - before).min(Link::STEP);
        self.body.resize(before + step, 0);
        let read = rustix::io::read(stream, &mut self.body[before..]);
        self.body.truncate(before + read.unwrap_or(0));
        Ok(read?)
    }
}

// === impl Head ===

impl Head {
    const LEN: usize = 10;
    /// Tells a hand-over from everything else that may be sent to the socket by mistake.
    const MAGIC: [u8; 4] = *b"lbdb";

    fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..4].copy_from_slice(&Self::MAGIC);
        let body = u32::try_from(self.body).expect("a body is at most 32 MiB");
        bytes[4..8].copy_from_slice(&body.to_be_bytes());
        let descriptors = u16::try_from(self.descriptors).expect("they are at most 253");
        bytes[8..].copy_from_slice(&descriptors.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; Self::LEN]) -> Result<Self, LinkError> {
        let [m0, m1, m2, m3, b0, b1, b2, b3, d0, d1] = bytes;
        if [m0, m1, m2, m3] != Self::MAGIC {
            return Err(LinkError::NotOurs);
        }
        let body = u32::from_be_bytes([b0, b1, b2, b3]) as usize;
        if body > Link::BODY_MAX {
            return Err(LinkError::TooLarge(body));
        }
        let descriptors = usize::from(u16::from_be_bytes([d0, d1]));
        if descriptors > Link::DESCRIPTORS_MAX {
            return Err(LinkError::Descriptors {
                said: descriptors,
                came: Link::DESCRIPTORS_MAX,
            });
        }
        Ok(Self { body, descriptors })
    }
}

// === impl LinkError ===

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        let gone = [io::ErrorKind::BrokenPipe, io::ErrorKind::ConnectionReset];
        match gone.contains(&error.kind()) {
            true => Self::Gone,
            false => Self::Io(error),
        }
    }
}
