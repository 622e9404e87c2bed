//! Patterns for addresses, hosts, URLs, networks and origins.

use super::document::Schema;
use super::number::between;
use super::words::in_any_case;

/// A part of a host's name.
const LABEL: &str = "[A-Za-z0-9_-]{1,63}";
/// The last part of a name that is no number.
const LAST: &str = "[0-9]*[A-Za-z_-][A-Za-z0-9_-]*";
/// From the root, and no directory.
const UNIX_PATH: &str = "/[\\s\\S]*[^/]";

/// Without zeros in front.
fn ipv4() -> String {
    let byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    format!("({byte}\\.){{3}}{byte}")
}

/// Whole, or with `::` once, or with IPv4 behind. How many parts `::` stands for is not counted.
fn ipv6() -> String {
    let (part, v4) = ("[0-9A-Fa-f]{1,4}", ipv4());
    let whole = format!("{part}(:{part}){{7}}|({part}:){{6}}{v4}");
    let before = |most: u8| format!("({part}(:{part}){{0,{most}}})?");
    let shorter = format!("{}::{}", before(6), before(6));
    let shorter_with_v4 = format!("{}::({part}:){{0,5}}{v4}", before(5));
    format!("({whole}|{shorter}|{shorter_with_v4})")
}

/// A host without a port.
pub(super) fn host() -> String {
    format!("{LABEL}(\\.{LABEL})*|\\[{}\\]", ipv6())
}

/// All hosts below a name.
pub(super) fn below() -> String {
    format!("\\*\\.({LABEL}\\.)*{LAST}")
}

/// The name that a certificate can have.
pub(super) fn server_name() -> String {
    let label = "[A-Za-z0-9_][A-Za-z0-9_-]{0,62}";
    let last = "([0-9]*[A-Za-z_]|[0-9]+-)[A-Za-z0-9_-]*";
    let address = format!("{}|{}", ipv4(), ipv6());
    format!("({label}\\.)*{last}\\.?|{address}|\\[({address})\\]")
}

/// A port from `least` on.
pub(super) fn port(least: u64) -> String {
    format!("0*{}", between(least, u16::MAX.into()))
}

/// An IP address and a port, or a Unix socket.
pub(super) fn address() -> String {
    let (v4, v6, port) = (ipv4(), ipv6(), port(0));
    format!("({v4}|\\[{v6}(%[0-9]{{1,10}})?\\]):{port}|unix:{UNIX_PATH}")
}

/// Where an upstream is.
pub(super) fn url() -> String {
    let [ws, http, unix] = ["ws", "http", "unix"].map(in_any_case);
    // What is of digits and dots alone has to be an address.
    let name = format!("([0-9]+\\.)*{LAST}(\\.[A-Za-z0-9_-]+)*");
    let host = format!("({}|{name}|\\[{}\\])", ipv4(), ipv6());
    let port = port(1);
    format!("({ws}|{http})[Ss]?://{host}(:{port})?/?|({ws}[Ss]\\+)?{unix}:{UNIX_PATH}")
}

/// A network; an address is a network of one.
pub(super) fn network() -> String {
    let (bits, more_bits) = (between(0, 32), between(0, 128));
    format!("{}(/0*{bits})?|{}(/0*{more_bits})?", ipv4(), ipv6())
}

/// Any number of origins of pages. What is of a WebSocket is none: that is where a page connects to, and not
/// where it is from.
pub(super) fn origins() -> Schema {
    let websocket = in_any_case("ws") + "[Ss]?://";
    let but = |all: Schema| Schema {
        not: Some(Box::new(Schema {
            pattern: Some(format!("(^|,)\\s*{websocket}")),
            ..Schema::default()
        })),
        ..all
    };
    let item = origin();
    Schema::any(vec![
        Schema::array(but(Schema::text(format!("^({item})$")))),
        but(Schema::text(with_commas(&item))),
    ])
}

fn origin() -> String {
    let scheme = "[A-Za-z][A-Za-z0-9+.-]{0,62}";
    let part = "[A-Za-z0-9_-]+";
    let host = format!(
        "{part}(\\.{part})*|\\*\\.({part}\\.)*{LAST}|\\[{}\\]",
        ipv6()
    );
    let file = in_any_case("file");
    let port = port(1);
    format!("null|{scheme}://({host})(:{port})?|{file}://(:{port})?")
}

/// Any number of what `item` matches, as an array or as text with commas.
pub(super) fn list(item: &str) -> Schema {
    Schema::any(vec![
        Schema::array(Schema::text(format!("^({item})$"))),
        Schema::text(with_commas(item)),
    ])
}

fn with_commas(item: &str) -> String {
    format!("^\\s*(({item})(\\s*,\\s*({item}))*)?\\s*$")
}
