//! The terms on which a route's pairs live.

use lubdub_keepalive::{PerSide, Policy};
use lubdub_proxy::settings::{CloseCodes, Rates, Terms, ToClientCodes, ToUpstreamCodes};

use super::super::error::{Mistakes, Wrong};
use super::super::keys::LEAST_FRAME;
use super::super::leaf::Scalar;
use super::super::{raw, read};
use super::take;

/// Reads terms.
pub(super) fn resolve(raw: &raw::Terms, mistakes: &mut Mistakes) -> Option<Terms> {
    let client = policy(&raw.keepalive.client, mistakes);
    let upstream = policy(&raw.keepalive.upstream, mistakes);
    let client_wait = take(
        &raw.keepalive.client.boundary_wait,
        read::duration_or_off,
        mistakes,
    );
    let upstream_wait = take(
        &raw.keepalive.upstream.boundary_wait,
        read::duration_or_off,
        mistakes,
    );
    let to_client = to_client(&raw.close.to_client, mistakes);
    let to_upstream = to_upstream(&raw.close.to_upstream, mistakes);
    let reason_to_client = take(&raw.close.to_client.reason, read::choice, mistakes);
    let reason_to_upstream = take(&raw.close.to_upstream.reason, read::choice, mistakes);
    let waits = &raw.timeouts;
    let connect = take(&waits.connect, read::duration, mistakes);
    let answer = take(&waits.answer, read::duration, mistakes);
    let http_idle = take(&waits.http_idle, read::duration_or_off, mistakes);
    let write_stall = take(&waits.write_stall, read::duration_or_off, mistakes);
    let close = take(&waits.close, read::duration, mistakes);
    let data_idle = take(&waits.data_idle, read::duration_or_off, mistakes);
    let lifetime = take(&waits.lifetime, read::duration_or_off, mistakes);
    let frame_bytes = take(&raw.frame_bytes, frame_bytes, mistakes);
    Some(Terms {
        keepalive: PerSide {
            client: client?.into(),
            upstream: upstream?.into(),
        },
        boundary_wait: PerSide {
            client: client_wait?,
            upstream: upstream_wait?,
        },
        close_codes: CloseCodes {
            to_client: to_client?,
            to_upstream: to_upstream?,
        },
        close_reasons: PerSide {
            client: reason_to_client?,
            upstream: reason_to_upstream?,
        },
        connect: connect?,
        answer: answer?,
        http_idle: http_idle?,
        write_stall: write_stall?,
        close: close?,
        data_idle: data_idle?,
        lifetime: lifetime?,
        frame_bytes: frame_bytes?,
        // A route's own.
        rates: Rates::default(),
    })
}

/// A bound that control frames cannot break: the pongs to lubdub's own pings are some.
fn frame_bytes(value: &Scalar) -> Result<Option<u64>, Wrong> {
    match read::size_or_off(value)? {
        Some(bytes) if bytes < LEAST_FRAME => Err(Wrong(format!(
            "must be at least {LEAST_FRAME}, what control frames may have, pongs to lubdub's own \
             pings among them, or \"off\""
        ))),
        bytes => Ok(bytes),
    }
}

fn policy(raw: &raw::Side, mistakes: &mut Mistakes) -> Option<Policy> {
    let interval = take(&raw.interval, read::duration_or_off, mistakes);
    let timeout = take(&raw.timeout, read::duration, mistakes);
    let jitter = take(&raw.jitter, read::jitter, mistakes);
    let mode = take(&raw.mode, read::choice, mistakes);
    let evidence = take(&raw.evidence, read::choice, mistakes);
    let enforce = take(&raw.enforce, read::choice, mistakes);
    let mut policy = Policy::try_new(interval?, timeout?, jitter?)
        .expect("durations are read within the policy's range");
    policy.mode = mode?;
    policy.evidence = evidence?;
    policy.enforce = enforce?;
    Some(policy)
}

fn to_client(raw: &raw::ToClient, mistakes: &mut Mistakes) -> Option<ToClientCodes> {
    let upstream_lapsed = take(&raw.upstream_lapsed, read::close_code, mistakes);
    let upstream_stalled = take(&raw.upstream_stalled, read::close_code, mistakes);
    let drain = take(&raw.drain, read::close_code, mistakes);
    let lifetime = take(&raw.lifetime, read::close_code, mistakes);
    let data_idle = take(&raw.data_idle, read::close_code, mistakes);
    let frame_too_big = take(&raw.frame_too_big, read::close_code, mistakes);
    let limit = take(&raw.limit, read::close_code, mistakes);
    Some(ToClientCodes {
        upstream_lapsed: upstream_lapsed?,
        upstream_stalled: upstream_stalled?,
        drain: drain?,
        lifetime: lifetime?,
        data_idle: data_idle?,
        frame_too_big: frame_too_big?,
        limit: limit?,
    })
}

fn to_upstream(raw: &raw::ToUpstream, mistakes: &mut Mistakes) -> Option<ToUpstreamCodes> {
    let client_lapsed = take(&raw.client_lapsed, read::close_code, mistakes);
    let client_stalled = take(&raw.client_stalled, read::close_code, mistakes);
    let drain = take(&raw.drain, read::close_code, mistakes);
    let lifetime = take(&raw.lifetime, read::close_code, mistakes);
    let data_idle = take(&raw.data_idle, read::close_code, mistakes);
    let frame_too_big = take(&raw.frame_too_big, read::close_code, mistakes);
    let limit = take(&raw.limit, read::close_code, mistakes);
    Some(ToUpstreamCodes {
        client_lapsed: client_lapsed?,
        client_stalled: client_stalled?,
        drain: drain?,
        lifetime: lifetime?,
        data_idle: data_idle?,
        frame_too_big: frame_too_big?,
        limit: limit?,
    })
}
