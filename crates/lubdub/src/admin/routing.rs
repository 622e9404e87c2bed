//! Which path answers what, by which method.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use http::StatusCode;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{Answer, problem};
use super::guard::Look;
use super::{
    State, close, configuration, drain, ends, events, history, open, page, pairs, reload, status,
    upgrade,
};

/// What the description says beside what there is.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "lubdub",
        description = "The admin interface of lubdub, a heartbeat-injecting reverse proxy for WebSocket. \
                       Moments are seconds since 1970, durations are seconds; what is not known is null. \
                       Who may ask what: docs/reference/admin.md.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    modifiers(&Security),
    security((), ("token" = [])),
    servers((url = "/")),
)]
struct Described;

/// What opens it to who is not on this machine.
struct Security;

impl utoipa::Modify for Security {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("What stands in the file that admin.token_file names"))
            .build();
        description
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// All that there is.
fn described() -> (Router<Arc<State>>, utoipa::openapi::OpenApi) {
    OpenApiRouter::with_openapi(Described::openapi())
        .routes(routes!(open::metrics))
        .routes(routes!(open::live))
        .routes(routes!(open::ready))
        .routes(routes!(page::page))
        .routes(routes!(page::description))
        .routes(routes!(status::show))
        .routes(routes!(history::show))
        .routes(routes!(pairs::list))
        .routes(routes!(pairs::show))
        .routes(routes!(close::order))
        .routes(routes!(ends::list))
        .routes(routes!(configuration::show))
        .routes(routes!(events::follow))
        .routes(routes!(drain::show, drain::order))
        .routes(routes!(reload::order))
        .routes(routes!(upgrade::order))
        .split_for_parts()
}

/// What answers.
pub(super) fn router(state: Arc<State>) -> Router {
    let (router, _) = described();
    router
        .fallback(nothing)
        .method_not_allowed_fallback(not_so)
        .layer(middleware::from_fn(plainly))
        .with_state(state)
}

/// The description of all that there is, as it is served and kept in docs/reference.
pub(super) fn description() -> String {
    let (_, description) = described();
    let mut json = description.to_pretty_json().unwrap_or_default();
    json.push('\n');
    json
}

/// Who may not ask does not learn what there is.
async fn nothing(_: Look) -> Answer {
    problem(StatusCode::NOT_FOUND, "there is nothing of this name")
}

async fn not_so() -> Answer {
    problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "it is not to be asked in this way; Allow says how",
    )
}

/// Browsers are not to guess what an answer is.
async fn plainly(request: Request, next: Next) -> Answer {
    let answer = next.run(request).await;
    super::answer::with(answer, http::header::X_CONTENT_TYPE_OPTIONS, "nosniff")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// `docs/reference/openapi.json` is what is served; with `LUBDUB_BLESS=1` it is rewritten.
    #[test]
    fn the_description_is_as_in_the_documents() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/openapi.json");
        let made = description();
        if std::env::var_os("LUBDUB_BLESS").is_some_and(|bless| bless == "1") {
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            kept == made,
            "{} is not what is served; LUBDUB_BLESS=1 writes it",
            path.display()
        );
    }
}
