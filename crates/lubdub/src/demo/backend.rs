//! The backend of the demo: an echo server on fastwebsockets, which knows nothing of lubdub.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lubdub_keepalive::Side;
use tokio::net::{TcpListener, TcpStream};
use tracing::debug;

use super::peer::{Heard, Peer};
use super::stage::{Person, Speaker, Stage};

/// The echo server, bound.
pub(super) struct Backend {
    listener: TcpListener,
    stage: Arc<Stage>,
}

impl Backend {
    pub(super) async fn bind(stage: Arc<Stage>) -> io::Result<Self> {
        let listener = TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        Ok(Self { listener, stage })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until it is dropped, or can accept no more.
    pub(super) async fn serve(self) {
        while let Ok((stream, _)) = self.listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&self.stage)));
        }
    }
}

/// Speaks HTTP until the connection is upgraded.
async fn answer(stream: TcpStream, stage: Arc<Stage>) {
    // Without it an echo could wait for the acknowledgement of a pong.
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "no TCP_NODELAY");
    }
    let service = service_fn(move |request| {
        let response = greet(request, &stage);
        async move { response }
    });
    let served = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        debug!(%error, "connection to the backend ended with an error");
    }
}

/// Takes in whoever is of the cast.
fn greet(
    mut request: Request<Incoming>,
    stage: &Arc<Stage>,
) -> Result<Response<Empty<Bytes>>, http::Error> {
    let person = Person::from_path(request.uri().path());
    match (person, upgrade(&mut request)) {
        (Some(person), Ok((response, upgraded))) => {
            tokio::spawn(echo(person, upgraded, Arc::clone(stage)));
            Ok(response)
        }
        _ => Response::builder()
            .status(StatusCode::NOT_FOUND)
            .body(Empty::new()),
    }
}

/// Sends back what `person` says, until the connection ends.
async fn echo(person: Person, upgraded: UpgradeFut, stage: Arc<Stage>) {
    let Ok(socket) = upgraded.await else {
        return;
    };
    let tell = |text: &str| stage.narrator.say(Speaker::Backend, text);
    let mut peer = Peer::new(socket);
    let manner = person.manner_of_backend();
    loop {
        match peer.hear().await {
            Heard::Ping => {
                if manner.freezes(peer.pings(), &stage) {
                    stage.freeze(person, Side::Upstream, peer.pings()).await;
                }
            }
            Heard::Text(text) => peer.say(text).await,
            Heard::Close(code) => {
                tell(&format!("gets {code} on {person}'s connection"));
                break;
            }
            Heard::Gone(words) => {
                tell(&format!(
                    "is back, and finds {person}'s connection gone: {words}"
                ));
                break;
            }
        }
    }
    stage.leave(person);
}
