//! Whether the peer of a socket is still there, as the kernel knows it: a FIN or a reset is seen at
//! once, whatever stands unread before it, and nothing is read to see it.
//!
//! A reader meets a FIN only behind the bytes before it, and a proxy that answers a request does not
//! read on. The kernel tells apart what it has to say (EPOLLRDHUP, EPOLLHUP of epoll_ctl(2)).

use std::sync::Arc;

use tokio::io::Interest;
use tokio::net::TcpStream;

/// Somebody who waits for the end of a peer.
#[derive(Debug)]
pub(crate) struct Presence(Arc<TcpStream>);

/// How a peer left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goodbye {
    /// FIN: it will say no more, and may still listen.
    Fin,
    /// A reset, or an error of the network: nothing reaches it any more.
    Reset,
}

impl Presence {
    pub(super) fn new(tcp: Arc<TcpStream>) -> Self {
        Self(tcp)
    }

    /// Until the peer has said its end.
    pub(crate) async fn goodbye(&self) -> Goodbye {
        // Nobody sends urgent data, and the runtime wakes who waits for that when reading is over,
        // too; who waits for bytes would be woken by every one.
        let closed = self.0.ready(Interest::PRIORITY).await;
        if !closed.is_ok_and(|ready| ready.is_read_closed()) {
            // Urgent data after all, or the runtime is about to end: there is no more to be learned.
            return std::future::pending().await;
        }
        tokio::select! {
            biased;
            () = self.reset() => Goodbye::Reset,
            () = std::future::ready(()) => Goodbye::Fin,
        }
    }

    /// Until the connection broke, FIN or not.
    pub(crate) async fn reset(&self) {
        // The runtime is about to end if it cannot be asked.
        let _ = self.0.ready(Interest::ERROR).await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socket2::SockRef;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::super::{Kind, Socket};
    use super::*;

    const SOON: Duration = Duration::from_secs(5);
    const A_WHILE: Duration = Duration::from_millis(50);

    async fn pair() -> (Socket, Presence, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let far = TcpStream::connect(listener.local_addr().unwrap());
        let (far, near) = tokio::join!(far, listener.accept());
        let (socket, presence) =
            Socket::accepted(near.unwrap().0.into_std().unwrap().into(), Kind::Tcp).unwrap();
        (socket, presence, far.unwrap())
    }

    #[tokio::test]
    async fn a_fin_is_seen_behind_bytes_that_nobody_reads() {
        let (mut socket, presence, mut far) = pair().await;
        far.write_all(b"unread").await.unwrap();
        assert!(timeout(A_WHILE, presence.goodbye()).await.is_err());
        far.shutdown().await.unwrap();
        let goodbye = timeout(SOON, presence.goodbye()).await;
        assert_eq!(goodbye, Ok(Goodbye::Fin));
        assert!(timeout(A_WHILE, presence.reset()).await.is_err());
        // The bytes are still there, and the socket can still be written to.
        let mut bytes = Vec::new();
        socket.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes, b"unread");
        socket.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        far.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
    }

    #[tokio::test]
    async fn a_reset_is_told_from_a_fin() {
        let (_socket, presence, far) = pair().await;
        SockRef::from(&far)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(far);
        let goodbye = timeout(SOON, presence.goodbye()).await;
        assert_eq!(goodbye, Ok(Goodbye::Reset));
        assert!(timeout(SOON, presence.reset()).await.is_ok());
    }

    #[tokio::test]
    async fn a_reset_behind_a_fin_is_seen_as_well() {
        let (mut socket, presence, mut far) = pair().await;
        far.shutdown().await.unwrap();
        assert_eq!(presence.goodbye().await, Goodbye::Fin);
        // Closed over what it has not read.
        socket.write_all(b"answer").await.unwrap();
        far.readable().await.unwrap();
        drop(far);
        assert!(timeout(SOON, presence.reset()).await.is_ok());
    }

    #[tokio::test]
    async fn who_is_alone_with_a_socket_has_it_as_before() {
        let (mut socket, presence, _far) = pair().await;
        assert!(!socket.unshare());
        drop(presence);
        assert!(socket.unshare());
    }
}
