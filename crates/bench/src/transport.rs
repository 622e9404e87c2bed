//! One non-blocking connection, plain or TLS, to be driven by readiness.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use rustls::Connection;

/// A connection's bytes in and out.
#[derive(Debug)]
pub(crate) struct Transport {
    socket: TcpStream,
    tls: Option<Box<Connection>>,
}

/// What a read brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Got {
    /// So many bytes. With TLS there may be more that epoll does not know of: read again.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// The other end has finished.
    End,
}

// === impl Transport ===

impl Transport {
    /// A plain connection.
    pub(crate) fn plain(socket: TcpStream) -> Self {
        Self { socket, tls: None }
    }

    /// A connection that speaks TLS.
    pub(crate) fn tls(socket: TcpStream, tls: Connection) -> Self {
        Self {
            socket,
            tls: Some(Box::new(tls)),
        }
    }

    /// The socket.
    pub(crate) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    /// Whether bytes may be left that the socket does not show as readable.
    pub(crate) fn hides_bytes(&self) -> bool {
        self.tls.is_some()
    }

    /// Reads what is there.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Got> {
        let Some(tls) = &mut self.tls else {
            return got(self.socket.read(buffer));
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                result => return got(result),
            }
            match got(tls.read_tls(&mut self.socket))? {
                Got::Bytes(_) | Got::End => {
                    tls.process_new_packets().map_err(io::Error::other)?;
                    // The handshake's next flight.
                    flush(&mut self.socket, tls)?;
                }
                Got::Nothing => return Ok(Got::Nothing),
            }
        }
    }

    /// Writes as much as is taken, perhaps nothing.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.tls {
            None => taken(self.socket.write(bytes)),
            Some(tls) => {
                flush(&mut self.socket, tls)?;
                let taken = tls.writer().write(bytes)?;
                flush(&mut self.socket, tls)?;
                Ok(taken)
            }
        }
    }

    /// Writes what TLS still holds.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        match &mut self.tls {
            None => Ok(()),
            Some(tls) => flush(&mut self.socket, tls),
        }
    }

    /// Whether TLS holds bytes that the socket has not taken.
    pub(crate) fn holds_bytes(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.wants_write())
    }

    /// Says that nothing more will be written.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            flush(&mut self.socket, tls)?;
        }
        match self.socket.shutdown(Shutdown::Write) {
            // The other end was faster.
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(()),
            result => result,
        }
    }
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn flush(socket: &mut TcpStream, tls: &mut Connection) -> io::Result<()> {
    while tls.wants_write() {
        if taken(tls.write_tls(socket))? == 0 {
            break;
        }
    }
    Ok(())
}

fn got(result: io::Result<usize>) -> io::Result<Got> {
    match result {
        Ok(0) => Ok(Got::End),
        Ok(len) => Ok(Got::Bytes(len)),
        Err(error) if is_not_now(&error) => Ok(Got::Nothing),
        // TLS without close_notify: many proxies end so.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Got::End),
        Err(error) => Err(error),
    }
}

fn taken(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if is_not_now(&error) => Ok(0),
        result => result,
    }
}

fn is_not_now(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
