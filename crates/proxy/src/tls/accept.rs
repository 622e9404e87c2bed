//! The TLS handshake with a client, and how it is taken leave of where that comes to nothing.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use http::HeaderValue;
use lubdub_metrics::TlsFailure;
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;

use super::failure::{Failure, Opening};
use super::server::ServerTls;
use super::stream::{Broken, ServerStream, Stop};
use crate::client::LINGER;
use crate::socket::Socket;

/// A client that shakes hands.
#[derive(Debug)]
pub(crate) struct Accepting {
    stream: Box<ServerStream>,
    tls: Arc<ServerTls>,
    opening: Opening,
    speaks_http: bool,
}

/// Why it does not come to its end.
#[derive(Debug)]
pub(crate) enum Unshaken {
    /// The client went.
    Gone(io::Error),
    Failed(Failure),
}

/// Who comes with plain HTTP is answered so that people can read it.
const SPEAKS_TLS: &str = "HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 54\r\n\
    Proxy-Status: lubdub; error=http_request_error\r\n\
    Connection: close\r\n\
    \r\n\
    400 this port speaks TLS: ask with https:// or wss://\n";

impl Accepting {
    /// Nothing has been said yet.
    pub(crate) fn new(tls: &Arc<ServerTls>, socket: Socket) -> io::Result<Self> {
        let stream = ServerStream::new(tls.config(), socket).map_err(io::Error::other)?;
        Ok(Self {
            stream: Box::new(stream),
            tls: Arc::clone(tls),
            opening: Opening::default(),
            speaks_http: false,
        })
    }

    /// Shakes hands. Returns the subject of the client's certificate, if it is to be told.
    pub(crate) async fn shake(&mut self) -> Result<Option<HeaderValue>, Unshaken> {
        let Self {
            stream, opening, ..
        } = self;
        let shaken = poll_fn(|cx| {
            stream.poll_handshake(cx, |came| {
                opening.note(came);
                match opening.foreign() {
                    None => Ok(()),
                    Some(_) => Err(Stop::Told),
                }
            })
        });
        match shaken.await {
            Ok(()) => (self.tls.admit(self.stream.session())).map_err(Unshaken::Failed),
            Err(Stop::Broken(Broken::Gone(error))) => Err(Unshaken::Gone(error)),
            Err(Stop::Broken(Broken::Tls(error))) => {
                Err(Unshaken::Failed(Failure::of(&error, &self.opening)))
            }
            Err(Stop::Told) => {
                let failure = self.opening.foreign();
                let failure = failure.expect("it was told to stop for that");
                self.speaks_http = matches!(failure.reason, TlsFailure::PlainHttp);
                Err(Unshaken::Failed(failure))
            }
        }
    }

    /// Whether the client has said anything.
    pub(crate) fn has_heard(&self) -> bool {
        !self.opening.is_empty()
    }

    /// The connection, whose handshake is over.
    pub(crate) fn into_stream(self) -> Box<ServerStream> {
        self.stream
    }

    /// Says what there is to say about the end, an alert or an answer, and waits a while for the client to end
    /// the connection: if it were closed over what the client has sent, that would be lost on the way.
    pub(crate) async fn take_leave(mut self) {
        if self.speaks_http {
            self.stream.say_plainly(SPEAKS_TLS.as_bytes());
        }
        let leave = async {
            // Who has gone needs no end.
            let Ok(()) = self.stream.say_the_end(self.speaks_http).await else {
                return;
            };
            let socket = self.stream.socket_mut();
            let mut thrown_away = [0; 1024];
            loop {
                let read = poll_fn(|cx| {
                    let mut buf = ReadBuf::new(&mut thrown_away);
                    let read = Pin::new(&mut *socket).poll_read(cx, &mut buf);
                    read.map_ok(|()| buf.filled().len())
                });
                if !matches!(read.await, Ok(1..)) {
                    return;
                }
            }
        };
        let _ = timeout(LINGER, leave).await;
    }
}

impl ServerStream {
    /// Sends what is left to be sent, and the end of the stream. `is_plain` says that there was no TLS.
    async fn say_the_end(&mut self, is_plain: bool) -> io::Result<()> {
        if is_plain {
            self.flush().await?;
            return self.socket_mut().shutdown().await;
        }
        self.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let (head, body) = SPEAKS_TLS.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
    }
}
