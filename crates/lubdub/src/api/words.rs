//! What the description calls text of which not every one will do.

use lubdub_metrics::Cause;
use utoipa::openapi::schema::{AnyOfBuilder, Object, ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, schema};
use utoipa::{PartialSchema, ToSchema};

/// A duration as the configuration writes it.
pub(crate) struct Span;

/// Why a pair ended.
pub(crate) struct CauseWord;

/// A code that a Close may be sent with.
pub(crate) struct CloseCode;

// === impl Span ===

impl PartialSchema for Span {
    fn schema() -> RefOr<Schema> {
        text("A duration as the configuration writes it, such as `1m30s`: the longest unit first, at most a year.")
            // At least one of them, each at most once.
            .pattern(Some("^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"))
            .examples(["1m30s"])
            .into()
    }
}

impl ToSchema for Span {
    fn name() -> std::borrow::Cow<'static, str> {
        "Span".into()
    }
}

// === impl CauseWord ===

impl PartialSchema for CauseWord {
    fn schema() -> RefOr<Schema> {
        text("Why a pair ended: the words of the log and of `lubdub_pairs_closed_total`.")
            .enum_values(Some(Cause::ALL.map(Cause::as_str)))
            .into()
    }
}

impl ToSchema for CauseWord {
    fn name() -> std::borrow::Cow<'static, str> {
        "Cause".into()
    }
}

// === impl CloseCode ===

impl PartialSchema for CloseCode {
    fn schema() -> RefOr<Schema> {
        lubdub_wire::CloseCode::SENDABLE
            .into_iter()
            .fold(AnyOfBuilder::new(), |codes, range| {
                codes.item(number(*range.start(), *range.end()))
            })
            .description(Some("A code that a Close may be sent with (RFC 6455 7.4)."))
            .into()
    }
}

impl ToSchema for CloseCode {
    fn name() -> std::borrow::Cow<'static, str> {
        "CloseCode".into()
    }
}

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(schema::SchemaType::Type(Type::String))
        .description(Some(description))
}

fn number(first: u16, last: u16) -> Object {
    ObjectBuilder::new()
        .schema_type(schema::SchemaType::Type(Type::Integer))
        .minimum(Some(first))
        .maximum(Some(last))
        .build()
}
