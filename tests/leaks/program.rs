//! What the real program is configured with.

use std::fs;
use std::path::{Path, PathBuf};

use lubdub_testkit::binary::Binary;

use crate::stage::{Legs, Stage};
use crate::terms::{Behind, FRAME, INTERVAL, ROOM, Terms, WAIT};

/// All that are behind a route.
const UPSTREAMS: [Behind; 4] = [Behind::Wide, Behind::Narrow, Behind::Deaf, Behind::Nobody];

/// Starts it with a route for each of the terms.
pub(crate) async fn start(stage: &Stage) -> Binary {
    let mut settings = vec![
        "keepalive.client.interval=off".to_owned(),
        "keepalive.upstream.interval=off".to_owned(),
        format!("timeouts.request_head={WAIT:?}"),
        format!("limits.pairs={}", stage.room),
    ];
    settings.extend(
        UPSTREAMS
            .into_iter()
            .flat_map(|behind| upstream(stage, behind)),
    );
    settings.extend(Terms::ALL.into_iter().flat_map(route));
    if stage.legs == Legs::Tls {
        let of_listener = "listen.main.tls.certificate.main";
        let cert = file("cert", stage.certs.chain_pem());
        let key = file("key", stage.certs.key_pem());
        settings.push(format!("{of_listener}.cert={}", cert.display()));
        settings.push(format!("{of_listener}.key={}", key.display()));
    }
    let settings: Vec<_> = settings.iter().map(String::as_str).collect();
    Binary::start_with(&settings).await
}

/// How an upstream is called.
fn name(behind: Behind) -> String {
    format!("{behind:?}").to_lowercase()
}

fn upstream(stage: &Stage, behind: Behind) -> Vec<String> {
    let (name, address) = (name(behind), stage.address(behind));
    // All of a batch come at once, and the room for pairs is small.
    let waiting = format!("upstream.{name}.limits.waiting={}", stage.room);
    match stage.legs {
        Legs::Plain => vec![format!("upstream.{name}.url=ws://{address}"), waiting],
        Legs::Tls => {
            let ca = file("ca", stage.certs.ca_pem());
            vec![
                format!("upstream.{name}.url=wss://{address}"),
                format!("upstream.{name}.ca={}", ca.display()),
                waiting,
            ]
        }
    }
}

fn route(terms: Terms) -> Vec<String> {
    let of_terms = match terms {
        // The limit of `Crowded` is not one of its route.
        Terms::Patient | Terms::Nobody | Terms::Crowded => vec![],
        Terms::ClientPinged => pings("client"),
        Terms::UpstreamPinged => pings("upstream"),
        Terms::Stalling => vec![format!("timeouts.write_stall={WAIT:?}")],
        Terms::Closing => vec![format!("timeouts.close={WAIT:?}")],
        Terms::Idle => vec![format!("timeouts.data_idle={WAIT:?}")],
        Terms::Mortal => vec![format!("timeouts.lifetime={WAIT:?}")],
        Terms::Frames => vec![format!("limits.frame_bytes={FRAME}")],
        Terms::Answering => vec![format!("timeouts.answer={WAIT:?}")],
        Terms::Deaf => vec![format!("timeouts.connect={WAIT:?}")],
        Terms::Full => vec![format!("limits.pairs={ROOM}")],
    };
    let place = [
        format!("host={}", terms.host()),
        format!("upstream={}", name(terms.behind())),
    ];
    let name = format!("{terms:?}").to_lowercase();
    let settings = place.into_iter().chain(of_terms);
    settings
        .map(|setting| format!("route.{name}.{setting}"))
        .collect()
}

fn pings(side: &str) -> Vec<String> {
    vec![
        format!("keepalive.{side}.interval={INTERVAL:?}"),
        format!("keepalive.{side}.timeout={WAIT:?}"),
        format!("keepalive.{side}.enforce=learned"),
    ]
}

/// A file with these lines.
fn file(name: &str, pem: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("leaks-{name}.pem"));
    fs::write(&path, pem).expect("a new file");
    path
}
