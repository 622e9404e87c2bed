//! The labels of the metrics and, where a label is a closed enum, every value that it can take.
//!
//! The doc comment of a value is also its [`Value::meaning`] in the reference, so each is one
//! sentence that says what happened and who did it. Not in here: configured names, which are the
//! values of the other labels.

use crate::closed_enum::{Value, closed_enum};

closed_enum! {
    /// A label of some metric.
    pub enum Label {
        /// The version of the running program.
        Version = "version",
        /// The source revision that the running program was built from.
        Revision = "revision",
        /// The configured name of the listener that accepted the client's connection.
        Listener = "listener",
        /// The configured name of the route that the request matched; `none` in
        /// `lubdub_handshakes_total` and `lubdub_http_requests_total` where it ended before it had matched one.
        Route = "route",
        /// Why a pair ended.
        Cause = "cause",
        /// How a handshake ended.
        Outcome = "outcome",
        /// The end of a pair that is spoken of.
        Side = "side",
        /// What the kernel could tell about a lapse.
        Diagnosis = "diagnosis",
        /// Where relayed bytes went.
        Direction = "direction",
        /// The opcode of relayed frames.
        Opcode = "opcode",
        /// The configured name of the upstream.
        Upstream = "upstream",
        /// What there was no room for.
        Reason = "reason",
        /// How a plain HTTP request ended.
        Class = "class",
        /// The configured name of the certificate.
        Certificate = "certificate",
        /// In `lubdub_config_reloads_total`: how a reload ended.
        Reload = "outcome",
        /// In `lubdub_handover_pairs_total`: into this process or out of it.
        Way = "direction",
        /// In `lubdub_handover_pairs_total`: what became of a pair.
        Handover = "outcome",
        /// In `lubdub_tls_handshake_failures_total`: what the client did wrong.
        TlsFailure = "reason",
        /// In `lubdub_upstream_connects_total`: how a connect ended.
        Connect = "outcome",
    }
}

closed_enum! {
    /// Why a pair ended: the only source of the log field, the metric label and the status text.
    pub enum Cause {
        /// The client began the closing handshake by sending a Close.
        ClientClosed = "client_closed",
        /// The upstream began the closing handshake by sending a Close.
        UpstreamClosed = "upstream_closed",
        /// The client ended its connection (FIN) without a Close.
        ClientEof = "client_eof",
        /// The upstream ended its connection (FIN) without a Close.
        UpstreamEof = "upstream_eof",
        /// The client's connection was reset or broke with an error.
        ClientReset = "client_reset",
        /// The upstream's connection was reset or broke with an error.
        UpstreamReset = "upstream_reset",
        /// The client gave no sign of life within the time allowed after a ping, so lubdub ended
        /// the pair.
        ClientLapsed = "client_lapsed",
        /// The upstream gave no sign of life within the time allowed after a ping, so lubdub ended
        /// the pair.
        UpstreamLapsed = "upstream_lapsed",
        /// The client took next to none of the bytes that waited for it for `timeouts.write_stall`,
        /// so lubdub ended the pair.
        ClientStalled = "client_stalled",
        /// The upstream took next to none of the bytes that waited for it for `timeouts.write_stall`,
        /// so lubdub ended the pair.
        UpstreamStalled = "upstream_stalled",
        /// One endpoint's Close or FIN had been passed on and the other did not finish within
        /// `timeouts.close`, so lubdub ended the pair.
        CloseTimeout = "close_timeout",
        /// No data frame passed in either direction for `timeouts.data_idle`, so lubdub ended the
        /// pair.
        DataIdle = "data_idle",
        /// The pair reached `timeouts.lifetime`, so lubdub ended it.
        Lifetime = "lifetime",
        /// lubdub was draining and ended the pair.
        Drain = "drain",
        /// An endpoint sent a frame longer than `limits.frame_bytes`, so lubdub ended the pair.
        FrameTooBig = "frame_too_big",
        /// Reserved, does not occur yet: the pair went beyond a configured limit other than the
        /// length of a frame, so lubdub ended it.
        Limit = "limit",
        /// An operator ended the pair through the admin interface.
        Admin = "admin",
        /// A fault of lubdub's own ended the pair.
        Internal = "internal",
    }
}

closed_enum! {
    /// How a WebSocket handshake ended: the only source of the log field, the metric label and the
    /// status text.
    pub enum Outcome {
        /// The upstream answered 101, the client was told so, and a pair was opened.
        Upgraded = "upgraded",
        /// The client sent a request that is not a valid handshake, and lubdub refused it.
        BadRequest = "bad_request",
        /// The client did not send a whole request within the time allowed, and lubdub gave up.
        RequestTimeout = "request_timeout",
        /// The client asked for a host and path that no route matches, and lubdub refused it.
        NoRoute = "no_route",
        /// The route's `allow` and `deny` do not let this client's address in, and lubdub refused it.
        Forbidden = "forbidden",
        /// The client's source or the route has as many pairs as its own limit allows, and lubdub
        /// refused one more.
        Limited = "limited",
        /// The whole process has as many pairs as `limits.pairs` allows, and lubdub refused one
        /// more.
        AtCapacity = "at_capacity",
        /// lubdub was draining and took no new pairs, or cut it at the end of that.
        Draining = "draining",
        /// The upstream could not be connected to: its name did not resolve, it refused the
        /// connection, or TLS with it failed.
        ConnectFailed = "connect_failed",
        /// The upstream was not connected within `timeouts.connect`, and lubdub gave up.
        ConnectTimeout = "connect_timeout",
        /// The upstream took the request and did not answer within `timeouts.answer`, and lubdub
        /// gave up.
        AnswerTimeout = "answer_timeout",
        /// The upstream answered other than 101, and the client was given that answer.
        Refused = "refused",
        /// The upstream answered something that is not a valid handshake, or ended the connection
        /// instead, and lubdub refused to join the two.
        BadAnswer = "bad_answer",
        /// The client went away before the handshake had ended.
        ClientGone = "client_gone",
        /// The client's source asked more often than `limits.handshake_rate`, and lubdub refused it.
        RateLimited = "rate_limited",
        /// As many requests as `upstream.NAME.limits` allows were waiting for the upstream, and lubdub
        /// refused one more.
        UpstreamBusy = "upstream_busy",
        /// The page that asked comes from an origin that the route's `origins` do not let in, or none was
        /// told where one must be, and lubdub refused it.
        Origin = "origin",
        /// The request had come through this lubdub before, or its upstream is this lubdub, and lubdub
        /// refused it.
        Loop = "loop",
    }
}

closed_enum! {
    /// The end of a pair that a series speaks of.
    pub(crate) enum Side {
        /// The end that connected to lubdub.
        Client = "client",
        /// The end that lubdub connected to.
        Upstream = "upstream",
    }
}

closed_enum! {
    /// What the kernel could tell about a lapse.
    pub enum Diagnosis {
        /// The kernel could not be asked, or could not tell.
        Unknown = "unknown",
        /// The side's kernel did not acknowledge the ping: its host or the way to it is gone.
        Network = "network",
        /// The side's kernel acknowledged the ping: its host is there and its program is silent.
        Application = "application",
    }
}

closed_enum! {
    /// Where relayed bytes went.
    pub(crate) enum Direction {
        /// From the client to the upstream.
        ToUpstream = "to_upstream",
        /// From the upstream to the client.
        ToClient = "to_client",
    }
}

closed_enum! {
    /// The opcode of a frame, as far as it is counted apart.
    ///
    /// Discriminants are the indices of
    /// [`DirectionMetrics::frames`](crate::DirectionMetrics::frames).
    pub enum OpcodeClass {
        /// A further fragment of a message (0x0).
        Continuation = "continuation",
        /// A text message or its first fragment (0x1).
        Text = "text",
        /// A binary message or its first fragment (0x2).
        Binary = "binary",
        /// A Close (0x8).
        Close = "close",
        /// A PING (0x9).
        Ping = "ping",
        /// A PONG (0xA).
        Pong = "pong",
        /// One of the reserved opcodes (0x3 to 0x7, 0xB to 0xF).
        Other = "other",
    }
}

closed_enum! {
    /// How a plain HTTP request ended: the class of the upstream's answer, if it got there whole.
    pub enum Class {
        /// Reserved, does not occur: an informational answer is followed by another one, or by none.
        Informational = "1xx",
        /// The upstream's answer was a success.
        Success = "2xx",
        /// The upstream's answer was a redirection.
        Redirection = "3xx",
        /// The upstream's answer was a client error.
        ClientError = "4xx",
        /// The upstream's answer was a server error.
        ServerError = "5xx",
        /// The answer was lubdub's own.
        Own = "own",
        /// There was no answer, or it broke off: the client or the upstream went.
        Failed = "failed",
    }
}

closed_enum! {
    /// What there was no room for, so that no connection was accepted.
    pub enum Pause {
        /// As many connections of clients as `limits.connections` allows were open.
        Connections = "connections",
        /// As many connections as `limits.handshakes` allows were before the end of their first head.
        Handshakes = "handshakes",
        /// The process or the host had no file descriptor or memory left for one more.
        Files = "files",
    }
}

closed_enum! {
    /// How a reload of the configuration ended.
    pub enum Reload {
        /// What was read is in effect.
        Applied = "applied",
        /// Something was wrong, and all is as it was.
        Refused = "refused",
    }
}

closed_enum! {
    /// Which way a pair goes in a hand-over.
    pub enum Way {
        /// From the predecessor into this process.
        In = "in",
        /// Out of this process, to its successor.
        Out = "out",
    }
}

closed_enum! {
    /// What became of a pair in a hand-over.
    pub enum Handover {
        /// It goes on in the successor.
        Moved = "moved",
        /// It goes on in the predecessor, which lingers for it.
        Kept = "kept",
        /// It was the successor's already, which could not go on with it.
        Lost = "lost",
    }
}

closed_enum! {
    /// How a connect to an upstream ended.
    pub enum Connect {
        /// The upstream was connected to, TLS included, though over TLS 1.3 it may refuse lubdub's
        /// certificate afterwards.
        Connected = "connected",
        /// Its name could not be looked up, or has no address.
        LookupFailed = "lookup_failed",
        /// It refused the connection, or there is no way to it.
        Failed = "failed",
        /// It was connected to, and TLS with it failed.
        TlsFailed = "tls_failed",
        /// It was not connected within `timeouts.connect`.
        Timeout = "timeout",
        /// The process had no file descriptor left for it; the upstream was not asked.
        NoRoom = "no_room",
        /// Its address is one of this lubdub's own; it was not asked.
        Loop = "loop",
        /// Whoever it was for went before it had ended.
        Abandoned = "abandoned",
    }
}

closed_enum! {
    /// Why a TLS handshake with a client came to nothing.
    pub enum TlsFailure {
        /// The client speaks plain HTTP; it is answered with 400.
        PlainHttp = "plain_http",
        /// What the client said is neither TLS nor HTTP.
        NotTls = "not_tls",
        /// The client offers neither TLS 1.2 nor 1.3.
        ProtocolVersion = "protocol_version",
        /// The client offers no cipher suite, group or signature that lubdub has.
        NothingInCommon = "nothing_in_common",
        /// The client offers other protocols by ALPN and not http/1.1.
        NoApplicationProtocol = "no_application_protocol",
        /// The client does not trust the authority of the listener's certificate.
        UnknownCa = "unknown_ca",
        /// The client refuses the listener's certificate for another reason.
        CertificateRefused = "certificate_refused",
        /// The client shows no certificate, and has to.
        NoClientCertificate = "no_client_certificate",
        /// The client's certificate is from nobody in `client_ca`, or from somebody of whom
        /// `client_crl` has no list.
        ClientCertificateUnknownCa = "client_certificate_unknown_ca",
        /// The client's certificate has expired, or is not valid yet.
        ClientCertificateExpired = "client_certificate_expired",
        /// The client's certificate is in `client_crl`.
        ClientCertificateRevoked = "client_certificate_revoked",
        /// The client's certificate cannot be used for another reason.
        ClientCertificateBad = "client_certificate_bad",
        /// The client gave up and said why by an alert that is about no certificate.
        Alert = "alert",
        /// What the client said began as TLS and went on as something else.
        Malformed = "malformed",
        /// The handshake took longer than `timeouts.tls`; the outcome `request_timeout` has it too.
        Timeout = "timeout",
        /// The client went in the middle of the handshake; the outcome `client_gone` has it too.
        Gone = "gone",
        /// The fault is lubdub's own.
        Internal = "internal",
    }
}

impl Label {
    /// Every value that the label can take; `None` if its values are given from outside: names
    /// from the configuration, or the build.
    #[must_use]
    pub const fn values(self) -> Option<&'static [Value]> {
        match self {
            Self::Version
            | Self::Revision
            | Self::Listener
            | Self::Route
            | Self::Upstream
            | Self::Certificate => None,
            Self::Reason => Some(Pause::VALUES),
            Self::Class => Some(Class::VALUES),
            Self::Cause => Some(Cause::VALUES),
            Self::Outcome => Some(Outcome::VALUES),
            Self::Side => Some(Side::VALUES),
            Self::Diagnosis => Some(Diagnosis::VALUES),
            Self::Direction => Some(Direction::VALUES),
            Self::Opcode => Some(OpcodeClass::VALUES),
            Self::Reload => Some(Reload::VALUES),
            Self::Way => Some(Way::VALUES),
            Self::Handover => Some(Handover::VALUES),
            Self::TlsFailure => Some(TlsFailure::VALUES),
            Self::Connect => Some(Connect::VALUES),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn names(values: &[Value]) -> Vec<&'static str> {
        values.iter().map(|value| value.name).collect()
    }

    #[test]
    fn causes_are_those_of_the_design() {
        let design = "client_closed, upstream_closed, client_eof, upstream_eof, client_reset, \
                      upstream_reset, client_lapsed, upstream_lapsed, client_stalled, \
                      upstream_stalled, close_timeout, data_idle, lifetime, drain, \
                      frame_too_big, limit, admin, internal";
        assert_eq!(names(Cause::VALUES).join(", "), design);
    }

    #[test]
    fn outcomes_are_those_of_the_design() {
        let design = "upgraded, bad_request, request_timeout, no_route, forbidden, limited, \
                      at_capacity, draining, connect_failed, connect_timeout, answer_timeout, \
                      refused, bad_answer, client_gone, rate_limited, upstream_busy, origin, \
                      loop";
        assert_eq!(names(Outcome::VALUES).join(", "), design);
    }

    #[test]
    fn the_other_labels_are_those_of_the_design() {
        assert_eq!(names(Side::VALUES), ["client", "upstream"]);
        assert_eq!(names(Direction::VALUES), ["to_upstream", "to_client"]);
        assert_eq!(
            names(Diagnosis::VALUES),
            ["unknown", "network", "application"]
        );
        assert_eq!(
            names(OpcodeClass::VALUES).join(", "),
            "continuation, text, binary, close, ping, pong, other"
        );
    }

    #[test]
    fn variants_are_named_as_they_are_written() {
        fn camel(name: &str) -> String {
            name.split('_')
                .map(|word| word[..1].to_uppercase() + &word[1..])
                .collect()
        }
        for cause in Cause::ALL {
            assert_eq!(camel(cause.as_str()), format!("{cause:?}"));
            assert_eq!(cause.to_string(), cause.as_str());
        }
        for outcome in Outcome::ALL {
            assert_eq!(camel(outcome.as_str()), format!("{outcome:?}"));
            assert_eq!(outcome.to_string(), outcome.as_str());
        }
    }

    #[test]
    fn every_value_is_snake_case_unique_and_explained_in_one_sentence() {
        for label in Label::ALL {
            let values = label.values().unwrap_or_default();
            let unique: BTreeSet<_> = names(values).into_iter().collect();
            assert_eq!(unique.len(), values.len(), "{label} has a value twice");
            for Value { name, meaning } in values {
                assert!(
                    name.split('_').all(|word| !word.is_empty()
                        && word
                            .bytes()
                            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())),
                    "{name} is not snake_case"
                );
                assert!(meaning.ends_with('.'), "{name}: {meaning}");
                assert!(!meaning.contains(". "), "{name}: {meaning}");
                assert!(!meaning.contains("  "), "{name}: {meaning}");
            }
        }
    }
}
