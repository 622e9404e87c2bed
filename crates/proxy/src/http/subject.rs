//! The header field that tells an upstream whose certificate a client has (`subject_header`): lubdub's to
//! say, and never a client's.

use std::sync::Arc;

use http::header::{HeaderMap, HeaderName};

use super::spelling::strip;
use crate::client::Connection;
use crate::settings::Listener;

/// The names of the fields, of all listeners together: an upstream believes them wherever a request came in.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Subjects(Option<Arc<[HeaderName]>>);

impl Subjects {
    pub(crate) fn of(listeners: &[Listener]) -> Self {
        let tls = listeners
            .iter()
            .filter_map(|listener| listener.tls.as_ref());
        let names: Vec<_> = tls
            .filter_map(|tls| tls.subject_header().cloned())
            .collect();
        Self((!names.is_empty()).then(|| names.into()))
    }

    /// Says whose certificate the client of `connection` has, if it has one and its listener is to tell.
    pub(super) fn apply(&self, headers: &mut HeaderMap, connection: &Connection) {
        self.strip(headers);
        let tls = connection.entrance.listener.tls.as_ref();
        let Some(name) = tls.and_then(|tls| tls.subject_header()) else {
            return;
        };
        // A reload may have renamed it since the client came.
        strip(std::slice::from_ref(name), headers);
        if let Some(subject) = connection.subject.get() {
            headers.insert(name, subject.clone());
        }
    }

    /// Takes out what a client says itself, in every spelling that some backend takes for the same.
    pub(super) fn strip(&self, headers: &mut HeaderMap) {
        if let Some(names) = &self.0 {
            strip(names, headers);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn no_spelling_that_a_backend_takes_for_the_field_goes_on() {
        let ours = HeaderName::from_static("x-client-subject");
        let subjects = Subjects(Some([ours].into()));
        let mut headers = HeaderMap::new();
        for name in [
            "X-Client-Subject",
            "X-CLIENT-SUBJECT",
            "x_client_subject",
            "X-Client_Subject",
            "x.client.subject",
            "X-Client~Subject",
        ] {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            headers.append(name, HeaderValue::from_static("CN=root"));
        }
        for name in ["x-client-subjects", "x-clientsubject", "x-client-subjec"] {
            headers.append(name, HeaderValue::from_static("other"));
        }
        subjects.strip(&mut headers);
        assert_eq!(headers.len(), 3, "{headers:?}");
        assert!(headers.values().all(|value| value == "other"));
    }

    #[test]
    fn nothing_is_taken_out_where_nothing_is_told() {
        let mut headers = HeaderMap::new();
        headers.append("x-client-subject", HeaderValue::from_static("a"));
        Subjects::default().strip(&mut headers);
        assert_eq!(headers.len(), 1);
    }
}
