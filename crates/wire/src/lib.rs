//! Guards the boundary between *bytes* and *what they say*: RFC 6455 framing for an intermediary that
//! forwards every byte verbatim. No I/O, no clock, and no dependency but `serde`'s traits.
//!
//! An endpoint parses frames in order to consume them, and must refuse what is malformed. An
//! intermediary only has to know where frames end, so that it can add some of its own between
//! them. Hence nothing here re-frames, unmasks or validates what it passes:
//!
//! - [`Header`] decodes any two to fourteen bytes; what RFC 6455 forbids has names apart from it
//!   ([`Violation`]), for those who ask for strictness;
//! - [`FrameScanner`] says, for one direction, which bytes to forward and what was among them;
//! - [`ControlFrame`], [`Payload`] and [`CloseCode`] are what an intermediary itself says and hears.
//!
//! What other intermediaries say of who is behind them is read here as well: [`ProxyHeader`] in front of a
//! connection, and [`forwarded`] in the header fields of a request.

#![forbid(unsafe_code)]

#[cfg(any(test, feature = "check"))]
#[doc(hidden)]
pub mod check;
mod close;
mod control;
pub mod forwarded;
mod header;
mod mask;
mod opcode;
mod proxy_header;
mod scanner;
mod violation;

pub use close::{Close, CloseCode, InvalidCloseCode};
pub use control::{ControlFrame, Payload, PayloadTooLong};
pub use header::Header;
pub use mask::MaskKey;
pub use opcode::Opcode;
pub use proxy_header::{
    Beginning, Decoded, Extras, NotAProxyHeader, ProxyHeader, ProxyVersion, Relayed, TlsFacts,
};
pub use scanner::{
    Batch, Event, FrameCounts, FrameScanner, Held, InvalidState, Pings, Received, Residue,
    ScannerState, Step, Stop,
};
pub use violation::{Context, Message, Sender, Violation};
