//! What keys take: the types of configuration.

use super::super::leaf::Scalar;

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// A duration above zero.
    Duration,
    /// A duration that may be zero.
    DurationOrZero,
    /// A duration above zero, or "off".
    DurationOrOff,
    /// A number of bytes, at least so many.
    Size(u64),
    /// A number of bytes, at least so many, or "off".
    SizeOrOff(u64),
    /// A whole number above zero.
    Count,
    /// A whole number above zero, or "off".
    CountOrOff,
    /// A whole number above zero, or "auto".
    CountOrAuto,
    /// How many a second, or "off".
    RateOrOff,
    /// How many bytes a second, or "off".
    ByteRateOrOff,
    /// True or false.
    Switch,
    /// A number from 0 to 1.
    Share,
    /// A code that a Close may carry.
    CloseCode,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// An IP address and a port, or a unix socket.
    Address,
    /// An IP address and a port, a unix socket, or "off".
    AddressOrOff,
    /// An upstream's URL.
    Url,
    /// The name that a certificate is for: a host name or an IP address.
    ServerName,
    /// A host name or IP address, without a port, or one behind `*.`.
    HostPattern,
    /// A host, perhaps with a port, or "keep".
    HostOrKeep,
    /// Any number of host names.
    Hosts,
    /// The name of a header field.
    Field,
    /// The beginning of a path.
    PathPrefix,
    /// The name of an upstream.
    UpstreamName,
    /// A file to read.
    File,
    /// Where a unix socket is to be, or "off".
    SocketOrOff,
    /// Permissions of a file.
    Mode,
    /// A group of this machine.
    Group,
    /// Any number of networks.
    Networks,
    /// Any number of origins of pages.
    Origins,
    /// Any number of networks, and "unix".
    Trust,
}

// === impl Kind ===

impl Kind {
    /// Whether text that is nothing but a number is meant as that number.
    pub(crate) fn takes_numbers(self) -> bool {
        match self {
            Self::Switch => false,
            Self::Duration | Self::DurationOrZero | Self::DurationOrOff => false,
            Self::Size(_) | Self::SizeOrOff(_) => true,
            Self::Count | Self::CountOrOff | Self::CountOrAuto => true,
            Self::RateOrOff | Self::ByteRateOrOff => false,
            Self::Share | Self::CloseCode => true,
            Self::Choice(_) | Self::Address | Self::AddressOrOff | Self::Url => false,
            Self::ServerName
            | Self::Field
            | Self::HostPattern
            | Self::HostOrKeep
            | Self::Hosts
            | Self::PathPrefix
            | Self::UpstreamName => false,
            Self::File | Self::SocketOrOff | Self::Mode => false,
            Self::Networks | Self::Origins | Self::Trust => false,
            Self::Group => true,
        }
    }

    /// `value` as what is meant by it: text may be a number or a truth.
    pub(crate) fn understood(self, value: Scalar) -> Scalar {
        if self.takes_numbers() {
            value.into_number()
        } else if matches!(self, Self::Switch) {
            value.into_switch()
        } else {
            value
        }
    }

    /// In words, for the reference.
    pub(crate) fn describe(self) -> String {
        let words = match self {
            Self::Duration => "duration",
            Self::DurationOrZero => "duration, may be `\"0s\"`",
            Self::DurationOrOff => "duration or `\"off\"`",
            Self::Size(_) => "size",
            Self::SizeOrOff(_) => "size or `\"off\"`",
            Self::Count => "number",
            Self::CountOrOff => "number or `\"off\"`",
            Self::CountOrAuto => "number or `\"auto\"`",
            Self::RateOrOff => "rate or `\"off\"`",
            Self::ByteRateOrOff => "size a second, or `\"off\"`",
            Self::Switch => "`true` or `false`",
            Self::Share => "share, 0 to 1",
            Self::CloseCode => "close code",
            Self::Choice(words) => {
                let words: Vec<_> = words.iter().map(|word| format!("`\"{word}\"`")).collect();
                return words.join(", ");
            }
            Self::Address => "address and port, or unix socket",
            Self::AddressOrOff => "address and port, unix socket, or `\"off\"`",
            Self::Url => "URL",
            Self::ServerName => "host name or IP address",
            Self::HostPattern => "host, or `*.` and a name",
            Self::HostOrKeep => "host, perhaps with a port, or `\"keep\"`",
            Self::Hosts => "list of hosts",
            Self::Field => "name of a header field",
            Self::PathPrefix => "path",
            Self::UpstreamName => "name of an upstream",
            Self::File => "file",
            Self::SocketOrOff => "path of a unix socket, or `\"off\"`",
            Self::Mode => "permissions, in octal digits",
            Self::Group => "name or number of a group",
            Self::Networks => "list of networks",
            Self::Origins => "list of origins",
            Self::Trust => "list of networks, may have `\"unix\"`",
        };
        words.to_owned()
    }
}
