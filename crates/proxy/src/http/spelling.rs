//! Fields that are lubdub's to say, in all the spellings that some backend takes for the same: a stranger's word in
//! one of them would stand beside lubdub's, or in its place.
//!
//! CGI, WSGI, Rack and PHP know a field by a variable, in whose name everything but letters and digits is `_` (RFC 3875
//! 4.1.18 says so of `-`, servers do it with more).

use http::header::{HeaderMap, HeaderName};

/// Takes out every field that may be one of `ours` to a backend, those themselves included.
pub(super) fn strip(ours: &[HeaderName], fields: &mut HeaderMap) {
    strip_if(fields, |name| ours.iter().any(|ours| is_same(ours, name)));
}

/// Takes out what is only spelled like one of `ours`.
pub(super) fn strip_imitations(ours: &[HeaderName], fields: &mut HeaderMap) {
    strip_if(fields, |name| {
        ours.iter().any(|ours| ours != name && is_same(ours, name))
    });
}

fn strip_if(fields: &mut HeaderMap, is_one: impl Fn(&HeaderName) -> bool) {
    // Mostly there is none, and nothing is copied.
    let theirs: Vec<_> = fields.keys().filter(|name| is_one(name)).cloned().collect();
    for name in theirs {
        fields.remove(name);
    }
}

/// Whether the two may be one to a backend.
fn is_same(ours: &HeaderName, theirs: &HeaderName) -> bool {
    let folded = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => byte,
        false => b'_',
    };
    let (ours, theirs) = (ours.as_str(), theirs.as_str());
    ours.len() == theirs.len() && ours.bytes().map(folded).eq(theirs.bytes().map(folded))
}
