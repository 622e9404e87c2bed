//! The description of the interface (OpenAPI): what the handlers say of themselves, and what holds for all of them, said
//! once.

use std::sync::LazyLock;

use bytes::Bytes;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, ContentBuilder, ObjectBuilder, OpenApi, PathItem, Ref, RefOr};

use super::pairs::Silent;
use super::routing;
use crate::api::{End, LeftOut, Problem, Sample, SideLapses, Sort, Status};

/// The description as it is served, and kept in docs/reference.
pub(super) static JSON: LazyLock<Bytes> = LazyLock::new(|| {
    let mut json = whole().to_pretty_json().unwrap_or_default();
    json.push('\n');
    json.into()
});

/// What it says beside what there is.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "lubdub",
        description = "The admin interface of lubdub, a heartbeat-injecting reverse proxy for WebSocket. \
                       Moments are seconds since 1970, durations are seconds; what is not known is null. \
                       Another method than those that a path has is 405, with `Allow`; another path is 404. \
                       Who may ask what: docs/reference/admin.md.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    tags(
        (name = "probes", description = "For machines. They are open, by any name."),
        (name = "page", description = "The status page, and this description. They hold no data."),
        (name = "state", description = "lubdub as a whole."),
        (name = "pairs", description = "Connections, live and ended."),
        (name = "events", description = "What happens, as it happens."),
        (name = "changes", description = "What changes more than one pair."),
    ),
    // What only events and parameters carry, and what only another schema names.
    components(schemas(End, LeftOut, Problem, Sample, SideLapses, Silent, Sort, Status)),
    security((), ("token" = [])),
    servers((url = "/")),
)]
pub(super) struct Described;

/// An answer of the rules that come before a handler.
struct Rule {
    status: u16,
    name: &'static str,
    description: &'static str,
    /// A field of its head, and what it says.
    field: Option<(&'static str, Type, &'static str)>,
}

/// A request from a page of another site (`Host`), and for changes also `Origin` and `Sec-Fetch-Site`.
const FOREIGN: Rule = Rule {
    status: 403,
    name: "Foreign",
    description: "`Host` is no IP address, not localhost and not one of `admin.hosts`; or a change is asked for by a page \
                  of another site (`Origin`, `Sec-Fetch-Site`)",
    field: None,
};
const STRANGER: Rule = Rule {
    status: 401,
    name: "Stranger",
    description: "From beyond loopback without the token (`admin.token_file`). A change needs it on this machine too, \
                  where one is set; an upgrade always does, but for a Unix socket",
    field: Some(("WWW-Authenticate", Type::String, "`Bearer`")),
};
const WRONG: Rule = Rule {
    status: 400,
    name: "Wrong",
    description: "Something in the query or the body is not known or will not do, and `detail` names it; or \
                  `Authorization` is there twice",
    field: None,
};
const SLOW: Rule = Rule {
    status: 408,
    name: "Slow",
    description: "The body did not come within 10 s",
    field: None,
};
const LONG: Rule = Rule {
    status: 413,
    name: "Long",
    description: "The body is longer than 64 KiB",
    field: None,
};
const NO_JSON: Rule = Rule {
    status: 415,
    name: "NoJson",
    description: "`Content-Type` is not `application/json`",
    field: None,
};
const OFTEN: Rule = Rule {
    status: 429,
    name: "Often",
    description: "More than ten changes a second",
    field: Some(("Retry-After", Type::Integer, "Seconds")),
};
const RULES: [&Rule; 7] = [&FOREIGN, &STRANGER, &WRONG, &SLOW, &LONG, &NO_JSON, &OFTEN];

/// The tag of what anybody may ask, by any name.
const OPEN: &str = "probes";

/// What programs ask, where a query says what the description says and nothing else. Probes, scrapers and browsers put
/// what they like into those of the other paths.
const API: &str = "/api/";

/// All of it.
fn whole() -> OpenApi {
    let (_, mut description) = routing::described();
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("token", token());
    for rule in RULES {
        rule.declare(components);
    }
    for (name, path) in &mut description.paths.paths {
        complete(name, path);
    }
    description
}

/// What opens it to who is not on this machine.
fn token() -> SecurityScheme {
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("What stands in the file that admin.token_file names"));
    SecurityScheme::Http(scheme.build())
}

/// Adds what the guards answer, which no handler sees.
fn complete(name: &str, path: &mut PathItem) {
    if let Some(looked_at) = &mut path.get {
        let rules: &[_] = match (is_open(looked_at), needs_no_token(looked_at)) {
            (true, _) => &[],
            (false, true) => &[&FOREIGN],
            (false, false) => &[&FOREIGN, &STRANGER],
        };
        add(looked_at, rules);
        if name.starts_with(API) {
            add(looked_at, &[&WRONG]);
        }
        explain(looked_at);
    }
    if let Some(changed) = &mut path.post {
        add(changed, &RULES);
        explain(changed);
    }
}

fn add(operation: &mut Operation, rules: &[&Rule]) {
    let responses = &mut operation.responses.responses;
    for rule in rules {
        let said = RefOr::Ref(Ref::from_response_name(rule.name));
        responses.insert(rule.status.to_string(), said);
    }
}

/// An answer that a handler says nothing of is what the handler is for.
fn explain(operation: &mut Operation) {
    let summary = operation.summary.clone().unwrap_or_default();
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(Response { description, .. }) = response
            && description.is_empty()
        {
            description.clone_from(&summary);
        }
    }
}

fn is_open(operation: &Operation) -> bool {
    let mut tags = operation.tags.iter().flatten();
    tags.any(|tag| tag == OPEN)
}

fn needs_no_token(operation: &Operation) -> bool {
    operation.security == Some(vec![SecurityRequirement::default()])
}

// === impl Rule ===

impl Rule {
    fn declare(&self, components: &mut Components) {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem")));
        let mut response = ResponseBuilder::new()
            .description(self.description)
            .content(Problem::TYPE, problem.build());
        if let Some((name, kind, says)) = &self.field {
            let schema = ObjectBuilder::new().schema_type(kind.clone());
            let header = HeaderBuilder::new()
                .schema(Some(schema))
                .description(Some(*says));
            response = response.header(*name, header.build());
        }
        let response = RefOr::T(response.build());
        components.responses.insert(self.name.to_owned(), response);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    fn description() -> Value {
        serde_json::from_slice(&JSON).unwrap()
    }

    /// Each operation, by method and path.
    fn operations(description: &Value) -> Vec<(String, &Value)> {
        let paths = description["paths"].as_object().unwrap().iter();
        let operations = paths.flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(move |(method, operation)| (format!("{method} {path}"), operation))
        });
        operations.collect()
    }

    /// `docs/reference/openapi.json` is what is served; with `LUBDUB_BLESS=1` it is rewritten.
    #[test]
    fn the_description_is_as_in_the_documents() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi.json");
        if std::env::var_os("LUBDUB_BLESS").is_some_and(|bless| bless == "1") {
            std::fs::write(&path, &*JSON).unwrap();
        }
        let kept = std::fs::read(&path).unwrap_or_default();
        assert!(
            kept == *JSON,
            "{} is not what is served; LUBDUB_BLESS=1 writes it",
            path.display()
        );
    }

    #[test]
    fn all_that_it_points_to_is_there() {
        fn pointers(value: &Value, found: &mut BTreeSet<String>) {
            if let Value::Object(fields) = value {
                let pointer = fields.get("$ref").and_then(Value::as_str);
                found.extend(pointer.map(str::to_owned));
                fields.values().for_each(|field| pointers(field, found));
            } else if let Value::Array(values) = value {
                values.iter().for_each(|value| pointers(value, found));
            }
        }
        let description = description();
        let mut found = BTreeSet::new();
        pointers(&description, &mut found);
        assert!(found.contains("#/components/responses/Often"), "{found:?}");
        for pointer in found {
            let target = description.pointer(pointer.trim_start_matches('#'));
            assert!(target.is_some(), "{pointer}");
        }
    }

    #[test]
    fn each_operation_can_be_told_from_others() {
        let description = description();
        let tags = description["tags"].as_array().unwrap().iter();
        let tags: Vec<_> = tags.map(|tag| &tag["name"]).collect();
        let mut ids = BTreeSet::new();
        for (name, operation) in operations(&description) {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{name}: {id} is another one's as well");
            assert!(
                tags.contains(&&operation["tags"][0]),
                "{name}: no known tag"
            );
            assert_ne!(
                operation["summary"].as_str().unwrap_or_default(),
                "",
                "{name}"
            );
            for (status, response) in operation["responses"].as_object().unwrap() {
                let is_explained = response["$ref"].is_string()
                    || response["description"]
                        .as_str()
                        .is_some_and(|said| !said.is_empty());
                assert!(is_explained, "{name}: {status}");
            }
        }
    }
}
