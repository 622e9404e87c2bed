//! Those who did not get what they asked for, or did not get that far: a line in the log for each, but not
//! for each of a flood.
//!
//! Lines are sampled for each outcome by itself, and for each reason why TLS failed, so that many of one kind
//! hide none of another. How many were left out stands in the next line of that kind, and in
//! `lubdub_refusals_not_logged_total` and `lubdub_tls_handshake_failures_not_logged_total`. Not in here: the
//! metrics that count them all.

use std::borrow::Cow;
use std::fmt::{Display, Write};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use http::Method;
use lubdub_metrics::{Metrics, Outcome, TlsFailure, Unlogged};
use tokio::time::Instant;
use tracing::{Level, enabled, info};

use crate::caller::Caller;
use crate::settings::RequestDetail;
use crate::tls::Failure;

/// Who was not served, and why, as far as it is known.
#[derive(Default, Clone)]
pub(crate) struct Refused<'a> {
    /// The configured name of the listener.
    pub(crate) listener: &'a str,
    /// The configured name of the route.
    pub(crate) route: Option<&'a str>,
    /// The configured name of the upstream.
    pub(crate) upstream: Option<&'a str>,
    /// `None` if there was no request.
    pub(crate) method: Option<&'a Method>,
    /// What [`RequestDetail::tell`] has told of it.
    pub(crate) request: Option<Cow<'a, str>>,
    /// What the request is called.
    pub(crate) request_id: Option<&'a dyn Display>,
    /// What a PROXY header has told beyond addresses.
    pub(crate) proxy_header: Option<&'a str>,
    /// The status that the client got, if it got one.
    pub(crate) status: Option<u16>,
    /// Why, beyond the outcome.
    pub(crate) reason: Option<&'a dyn Display>,
}

/// Writes the lines. Shared by all who refuse.
#[derive(Debug)]
pub(crate) struct Refusals {
    /// Lines a second for each outcome; 0 for none.
    rate: AtomicU32,
    began: Instant,
    samplers: [Sampler; Outcome::ALL.len()],
    tls_samplers: [Sampler; TlsFailure::ALL.len()],
    unlogged: Unlogged,
}

/// The lines of one outcome.
#[derive(Debug, Default)]
struct Sampler {
    /// The second in which the last line was written, and how many were in it: 32 bits each.
    lines: AtomicU64,
    /// So many have been left out since then.
    left_out: AtomicU64,
}

/// The longest that is told of a request, in bytes.
const TOLD: usize = 256;
/// Stands for what was cut off.
const CUT: &str = "...";

// === impl Refusals ===

impl Refusals {
    /// At most `rate` lines a second for each outcome; `None` for no lines.
    pub(crate) fn new(rate: Option<NonZeroU32>, metrics: &Metrics) -> Self {
        Self {
            rate: AtomicU32::new(rate.map_or(0, NonZeroU32::get)),
            began: Instant::now(),
            samplers: Outcome::ALL.map(|_| Sampler::default()),
            tls_samplers: TlsFailure::ALL.map(|_| Sampler::default()),
            unlogged: metrics.refusals_not_logged(),
        }
    }

    /// At most `rate` lines a second for each outcome from now on.
    pub(crate) fn set_rate(&self, rate: Option<NonZeroU32>) {
        self.rate.store(rate.map_or(0, NonZeroU32::get), Relaxed);
    }

    /// Logs that `caller` was not served. `refused` is only called if there is to be a line: in a
    /// flood all that this costs is a look at the clock and two additions.
    pub(crate) fn log<'a>(
        &self,
        outcome: Outcome,
        caller: &Caller,
        refused: impl FnOnce() -> Refused<'a>,
    ) {
        let Some(not_logged) = self.sample(&self.samplers[outcome as usize]) else {
            self.unlogged.get(outcome).increment(1);
            return;
        };
        let refused = refused();
        info!(
            outcome = outcome.as_str(),
            client = %caller.client,
            peer = %caller.peer,
            listener = refused.listener,
            route = refused.route,
            upstream = refused.upstream,
            method = refused.method.map(Method::as_str),
            request = refused.request.as_deref(),
            request_id = refused.request_id.map(tracing::field::display),
            proxy_header = refused.proxy_header,
            status = refused.status,
            reason = refused.reason.map(tracing::field::display),
            not_logged = (not_logged > 0).then_some(not_logged),
            "not served"
        );
    }

    /// Logs that the TLS handshake of `caller` came to nothing at this listener.
    pub(crate) fn log_tls(&self, failure: &Failure, caller: &Caller, listener: &str) {
        let reason = failure.reason;
        let Some(not_logged) = self.sample(&self.tls_samplers[reason as usize]) else {
            self.unlogged.tls_failure(reason).increment(1);
            return;
        };
        info!(
            failure = reason.as_str(),
            client = %caller.client,
            peer = %caller.peer,
            listener,
            reason = %failure,
            not_logged = (not_logged > 0).then_some(not_logged),
            "TLS handshake failed"
        );
    }

    /// Whether there is to be a line now, and if so how many were left out before it.
    fn sample(&self, sampler: &Sampler) -> Option<u64> {
        let rate = NonZeroU32::new(self.rate.load(Relaxed));
        let is_free = |rate| sampler.take(self.began.elapsed().as_secs(), rate);
        if !enabled!(Level::INFO) || !rate.is_some_and(is_free) {
            sampler.left_out.fetch_add(1, Relaxed);
            return None;
        }
        Some(sampler.left_out.swap(0, Relaxed))
    }
}

// === impl Sampler ===

impl Sampler {
    /// Whether a line may be written in this second, which then has one more.
    fn take(&self, second: u64, rate: NonZeroU32) -> bool {
        let taken = self.lines.fetch_update(Relaxed, Relaxed, |lines| {
            let (of_second, count) = (lines >> 32, lines as u32);
            // A clock that was read earlier may come later; it belongs to the second that is over.
            let count = match count {
                count if of_second >= second => count,
                _ => 0,
            };
            (count < rate.get()).then(|| of_second.max(second) << 32 | u64::from(count + 1))
        });
        taken.is_ok()
    }
}

// === impl RequestDetail ===

impl RequestDetail {
    /// What may be told of a request for `path` at `host`: never the query, no user name or password
    /// in front of the host, at most 256 bytes. Control characters are percent-encoded.
    pub(crate) fn tell(self, host: &str, path: &str) -> Option<Box<str>> {
        let path = match self {
            Self::Off => return None,
            Self::Host => "",
            Self::Path => path,
        };
        // Neither is part of a path; but what is refused may be malformed.
        let path = path.split(['?', '#']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        let mut told = String::new();
        for character in host.chars().chain(path.chars()) {
            let before = told.len();
            if character.is_control() {
                let mut utf8 = [0; 4];
                for byte in character.encode_utf8(&mut utf8).bytes() {
                    // It cannot fail: a String takes whatever is written to it.
                    let _ = write!(told, "%{byte:02X}");
                }
            } else {
                told.push(character);
            }
            if told.len() > TOLD {
                told.truncate(before);
                while told.len() > TOLD - CUT.len() {
                    told.pop();
                }
                told.push_str(CUT);
                break;
            }
        }
        (!told.is_empty()).then(|| told.into_boxed_str())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use lubdub_metrics::{BuildInfo, Names};
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Somebody behind a balancer.
    fn caller() -> Caller {
        Caller {
            peer: "127.0.0.1:5000".parse().unwrap(),
            client: "203.0.113.9".parse().unwrap(),
        }
    }

    /// The fields of events.
    #[derive(Clone, Default)]
    struct Ear(Arc<Mutex<Vec<String>>>);

    #[derive(Default)]
    struct Fields(String);

    impl Visit for Fields {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            if field.name() != "message" {
                let _ = write!(self.0, "{}={value:?} ", field.name());
            }
        }
    }

    impl Subscriber for Ear {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields.0);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    fn metrics() -> Metrics {
        let build = BuildInfo {
            version: "0",
            revision: "test",
        };
        let names = Names {
            listeners: &[],
            routes: &[],
            upstreams: &[],
        };
        Metrics::new(build, names).unwrap()
    }

    fn unlogged(metrics: &Metrics, outcome: Outcome) -> u64 {
        let name = format!("lubdub_refusals_not_logged_total{{outcome=\"{outcome}\"}} ");
        let rendered = metrics.render();
        let value = rendered.lines().find_map(|line| line.strip_prefix(&name));
        value.unwrap().parse().unwrap()
    }

    fn main() -> Refused<'static> {
        Refused {
            listener: "main",
            ..Refused::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_has_so_many_lines_a_second_and_the_next_says_how_many_were_left_out() {
        let metrics = metrics();
        let refusals = Refusals::new(NonZeroU32::new(3), &metrics);
        let ear = Ear::default();
        let _guard = tracing::subscriber::set_default(ear.clone());
        let log = |outcome, times| {
            for _ in 0..times {
                refusals.log(outcome, &caller(), main);
            }
            std::mem::take(&mut *ear.0.lock().unwrap())
        };
        let line = "client=203.0.113.9 peer=127.0.0.1:5000 listener=\"main\" ";
        assert_eq!(
            log(Outcome::NoRoute, 1000),
            vec![format!("outcome=\"no_route\" {line}"); 3]
        );
        // One kind hides no other.
        assert_eq!(log(Outcome::Limited, 1).len(), 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(
            log(Outcome::NoRoute, 2),
            [
                format!("outcome=\"no_route\" {line}not_logged=997 "),
                format!("outcome=\"no_route\" {line}"),
            ]
        );
        assert_eq!(unlogged(&metrics, Outcome::NoRoute), 997);
        assert_eq!(unlogged(&metrics, Outcome::Limited), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn off_writes_nothing_and_asks_nothing() {
        let metrics = metrics();
        let refusals = Refusals::new(None, &metrics);
        let ear = Ear::default();
        let _guard = tracing::subscriber::set_default(ear.clone());
        for _ in 0..5 {
            refusals.log(Outcome::Limited, &caller(), || {
                unreachable!("there is no line")
            });
        }
        assert!(ear.0.lock().unwrap().is_empty());
        assert_eq!(unlogged(&metrics, Outcome::Limited), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn a_level_that_hides_the_lines_has_them_counted() {
        let metrics = metrics();
        let refusals = Refusals::new(NonZeroU32::new(3), &metrics);
        let _guard = tracing::subscriber::set_default(tracing::subscriber::NoSubscriber::new());
        refusals.log(Outcome::Limited, &caller(), || {
            unreachable!("there is no line")
        });
        assert_eq!(unlogged(&metrics, Outcome::Limited), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn all_that_is_known_is_told() {
        let refusals = Refusals::new(NonZeroU32::new(1), &metrics());
        let ear = Ear::default();
        let _guard = tracing::subscriber::set_default(ear.clone());
        refusals.log(Outcome::Refused, &caller(), || Refused {
            listener: "main",
            route: Some("chat"),
            upstream: Some("backend"),
            method: Some(&Method::GET),
            request: RequestDetail::Path
                .tell("example.com", "/chat?token=hunter2")
                .map(|told| told.into_string().into()),
            request_id: Some(&"id-1"),
            proxy_header: Some("alpn=h2"),
            status: Some(401),
            reason: Some(&"it said so"),
        });
        assert_eq!(
            *ear.0.lock().unwrap(),
            [
                "outcome=\"refused\" client=203.0.113.9 peer=127.0.0.1:5000 listener=\"main\" route=\"chat\" \
              upstream=\"backend\" method=\"GET\" request=\"example.com/chat\" request_id=id-1 proxy_header=\"alpn=h2\" status=401 \
              reason=it said so "
            ]
        );
    }

    #[test]
    fn a_clock_that_comes_late_opens_no_second_again() {
        let one = NonZeroU32::MIN;
        let sampler = Sampler::default();
        assert!(sampler.take(7, one));
        assert!(!sampler.take(6, one));
        assert!(!sampler.take(7, one));
        assert!(sampler.take(8, one));
    }

    #[test]
    fn no_more_is_told_of_a_request_than_is_allowed() {
        let tell = |detail: RequestDetail, host, path| detail.tell(host, path).unwrap_or_default();
        assert_eq!(&*tell(RequestDetail::Off, "a.example", "/b"), "");
        assert_eq!(
            &*tell(RequestDetail::Host, "a.example:8080", "/b"),
            "a.example:8080"
        );
        assert_eq!(
            &*tell(RequestDetail::Path, "a.example", "/b/c"),
            "a.example/b/c"
        );
        assert_eq!(
            &*tell(RequestDetail::Path, "a.example", "/b?c=d"),
            "a.example/b"
        );
        assert_eq!(
            &*tell(RequestDetail::Path, "a.example", "/b#c?d"),
            "a.example/b"
        );
        assert_eq!(
            &*tell(RequestDetail::Path, "u:pw@a.example", "/"),
            "a.example/"
        );
        assert_eq!(
            &*tell(RequestDetail::Path, "", "/\x1b[2J\u{9b}"),
            "/%1B[2J%C2%9B"
        );
    }

    #[test]
    fn what_is_told_of_a_request_is_bounded_and_never_cut_inside_a_character() {
        for filler in ["a", "\u{e4}", "\u{20ac}", "\x07"] {
            for shift in 0..4 {
                let path = "/".repeat(shift) + &filler.repeat(300);
                let told = RequestDetail::Path.tell("", &path).unwrap();
                assert!(told.ends_with(CUT) && told.len() <= TOLD, "{told}");
                assert!(told.len() > TOLD - 8, "{told}");
            }
        }
        let fits = "a".repeat(TOLD);
        assert_eq!(*RequestDetail::Path.tell("", &fits).unwrap(), *fits);
    }
}
