//! Upstreams that lead back to lubdub: one request would take every descriptor that there is.
//!
//! Only what can be said before the start is said here. A name that changes later, and a port that
//! the kernel chooses, are looked at when a connection is made.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use lubdub_proxy::settings::Site;

use super::super::error::Mistakes;
use super::super::leaf::Leaf;
use super::super::raw::Raw;
use super::super::{read, url};
use super::address::{Addresses, Role};

/// So long a name gets to be resolved, and all that hang get it together; what takes longer passes. A
/// name server that does not answer must not keep lubdub from starting.
const PATIENCE: Duration = Duration::from_secs(2);

/// Notes upstreams that are at an address of `own`.
pub(super) fn refuse(raw: &Raw, own: &Addresses<'_>, mistakes: &mut Mistakes) {
    let urls = raw.upstream.values().filter_map(|set| set.url.as_ref());
    let mut suspects: Vec<(&Leaf, mpsc::Receiver<Vec<SocketAddr>>)> = Vec::new();
    for leaf in urls {
        let Some(url) = read::text(&leaf.value)
            .ok()
            .and_then(|text| url::parse(text).ok())
        else {
            continue;
        };
        match url.site {
            Site::Unix(path) => {
                if let Some((role, own)) = own.at_path(&path) {
                    refuse_one(leaf, role, own, mistakes);
                }
            }
            // Names are resolved only if there is something to find.
            Site::Named { host, port } if own.have_port(port) => {
                let (tell, told) = mpsc::channel();
                // A thread for each: the system's resolver has no other way to be left waiting.
                thread::spawn(move || {
                    let addresses = (&*host, port).to_socket_addrs();
                    let _ = tell.send(addresses.map(Iterator::collect).unwrap_or_default());
                });
                suspects.push((leaf, told));
            }
            Site::Named { .. } => {}
        }
    }
    let mut patience = PATIENCE;
    for (leaf, told) in suspects {
        let Ok(addresses) = told.recv_timeout(patience) else {
            patience = Duration::ZERO;
            continue;
        };
        let found = addresses.into_iter().find_map(|address| own.at(address));
        if let Some((role, own)) = found {
            refuse_one(leaf, role, own, mistakes);
        }
    }
}

/// Notes that the upstream at `leaf` is lubdub's own, at `own`.
fn refuse_one(leaf: &Leaf, role: Role, own: &Leaf, mistakes: &mut Mistakes) {
    let Leaf { key, value, origin } = own;
    let result = match role {
        Role::Listener => "every request would come back to it, again and again",
        Role::Admin => "every client could ask it what only operators may",
        Role::Handover => "no request is understood there",
    };
    let wrong = format!("leads to lubdub itself, {key} = {value} ({origin}): {result}");
    mistakes.wrong(leaf, wrong);
}
