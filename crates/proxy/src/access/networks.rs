//! A set of networks that is asked quickly, whatever its size.

use std::net::IpAddr;

use ipnet::IpNet;

/// Networks, by their first and last addresses: in order, and none touches another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether an address is in one of them. An IPv4 address is one however the socket tells it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => is_in(&self.v4, address.to_bits()),
            IpAddr::V6(address) => is_in(&self.v6, address.to_bits()),
        }
    }

    /// Whether every address of `network` is in one of them.
    #[must_use]
    pub fn cover(&self, network: &IpNet) -> bool {
        let covers = |first: IpAddr, last: IpAddr| match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                range(&self.v4, first.to_bits()).is_some_and(|end| end >= last.to_bits())
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                range(&self.v6, first.to_bits()).is_some_and(|end| end >= last.to_bits())
            }
            _ => false,
        };
        covers(network.network(), network.broadcast())
    }
}

impl FromIterator<IpNet> for Networks {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        let mut all = Self::default();
        for network in networks {
            match network {
                IpNet::V4(it) => (all.v4).push((it.network().to_bits(), it.broadcast().to_bits())),
                IpNet::V6(it) => (all.v6).push((it.network().to_bits(), it.broadcast().to_bits())),
            }
        }
        merge(&mut all.v4, |last| last.checked_add(1));
        merge(&mut all.v6, |last| last.checked_add(1));
        all
    }
}

/// Puts ranges in order, and makes one of those that overlap or touch.
fn merge<T: Copy + Ord>(ranges: &mut Vec<(T, T)>, next: impl Fn(T) -> Option<T>) {
    ranges.sort_unstable();
    ranges.dedup_by(|(first, last), (_, end)| {
        // Behind the last address of all nothing begins.
        let is_behind = next(*end).is_some_and(|next| *first > next);
        if !is_behind {
            *end = (*end).max(*last);
        }
        !is_behind
    });
}

fn is_in<T: Copy + Ord>(ranges: &[(T, T)], address: T) -> bool {
    range(ranges, address).is_some()
}

/// The end of the range that an address is in.
fn range<T: Copy + Ord>(ranges: &[(T, T)], address: T) -> Option<T> {
    let behind = ranges.partition_point(|(first, _)| *first <= address);
    let (_, last) = ranges.get(behind.checked_sub(1)?)?;
    (address <= *last).then_some(*last)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use ipnet::{Ipv4Net, Ipv6Net};
    use proptest::prelude::*;

    use super::*;

    fn networks(all: &[&str]) -> Networks {
        all.iter()
            .map(|text| text.parse::<IpNet>().unwrap())
            .collect()
    }

    #[test]
    fn an_ipv4_address_is_one_however_it_comes() {
        let networks = networks(&["10.0.0.0/8"]);
        assert!(networks.contains("10.1.2.3".parse().unwrap()));
        assert!(networks.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!networks.contains("::10.1.2.3".parse().unwrap()));
        assert!(!networks.contains("11.0.0.0".parse().unwrap()));
    }

    #[test]
    fn all_of_a_family_is_nothing_of_the_other() {
        let all = networks(&["0.0.0.0/0", "10.0.0.0/8"]);
        assert!(all.contains(Ipv4Addr::BROADCAST.into()) && all.contains([0, 0, 0, 0].into()));
        assert!(!all.contains(Ipv6Addr::LOCALHOST.into()));
        assert!(networks(&["::/0", "::1/128"]).contains("ff::".parse().unwrap()));
        assert!(!networks(&["::/0"]).contains([10, 0, 0, 1].into()));
    }

    #[test]
    fn networks_that_touch_cover_what_is_across_them() {
        let halves = networks(&["10.0.0.0/9", "10.128.0.0/9"]);
        assert!(halves.cover(&"10.0.0.0/8".parse().unwrap()));
        assert!(!halves.cover(&"10.0.0.0/7".parse().unwrap()));
        assert!(!halves.cover(&"fd00::/8".parse().unwrap()));
        assert!(networks(&["::/0"]).cover(&"::/0".parse().unwrap()));
    }

    proptest! {
        /// Against each network by itself.
        #[test]
        fn an_address_is_in_them_if_it_is_in_one(
            v4 in prop::collection::vec((0_u32..64, 24_u8..=32), 0..8),
            v6 in prop::collection::vec((0_u128..64, 120_u8..=128), 0..8),
            at in 0_u32..72,
        ) {
            let v4 = v4.into_iter().map(|(bits, len)| {
                IpNet::from(Ipv4Net::new(Ipv4Addr::from_bits(bits * 8), len).unwrap())
            });
            let v6 = v6.into_iter().map(|(bits, len)| {
                IpNet::from(Ipv6Net::new(Ipv6Addr::from_bits(bits * 8), len).unwrap())
            });
            let each: Vec<IpNet> = v4.chain(v6).collect();
            let all: Networks = each.iter().copied().collect();
            for offset in 0..8 {
                let at = at * 8 + offset;
                for address in [
                    IpAddr::from(Ipv4Addr::from_bits(at)),
                    Ipv6Addr::from_bits(at.into()).into(),
                ] {
                    let expected = each.iter().any(|network| network.contains(&address));
                    prop_assert_eq!(all.contains(address), expected, "{} in {:?}", address, each);
                }
            }
        }
    }
}
