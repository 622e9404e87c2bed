//! Whose word about the client counts.

use std::net::IpAddr;

use ipnet::IpNet;

/// Those who are believed when they say who the client is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// Whose address is in one of these.
    pub networks: Vec<IpNet>,
    /// Who comes by a unix socket: nobody has an address there, and its mode says who can come.
    pub unix: bool,
}

// === impl Trust ===

impl Trust {
    /// Whether nobody is.
    #[must_use]
    pub fn is_nobody(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether who has this address is; `None` for who came by a unix socket.
    #[must_use]
    pub fn has(&self, ip: Option<IpAddr>) -> bool {
        let Some(ip) = ip.map(|ip| ip.to_canonical()) else {
            return self.unix;
        };
        self.networks.iter().any(|network| network.contains(&ip))
    }
}
