//! What has arrived at a peer, by the books of the kernel.

use super::Packets;

/// What has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Arrival {
    /// Bytes at the peer's kernel, without a gap before them.
    pub(crate) acknowledged: u64,
    /// Packets.
    pub(crate) packets: Packets,
}

impl Arrival {
    /// About how many bytes have arrived at the peer since an earlier look.
    pub(crate) fn since(&self, earlier: &Self) -> u64 {
        /// While a gap is repaired only packets are counted, and one is taken for so many bytes.
        const PACKET: u64 = 1024;
        match self.acknowledged.saturating_sub(earlier.acknowledged) {
            0 => {
                let packets = (self.packets.delivered).wrapping_sub(earlier.packets.delivered);
                u64::from(packets) * PACKET
            }
            acknowledged => acknowledged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn packets(delivered: u32) -> Packets {
        Packets {
            delivered,
            gapped: 0,
        }
    }

    const EARLIER: Arrival = Arrival {
        acknowledged: 5000,
        packets: packets(u32::MAX),
    };

    #[test]
    fn what_has_arrived_is_what_was_acknowledged_since() {
        let now = Arrival {
            acknowledged: 5700,
            packets: packets(0),
        };
        assert_eq!(now.since(&EARLIER), 700);
        assert_eq!(EARLIER.since(&EARLIER), 0);
    }

    /// A slow link whose queue drops packets acknowledges nothing while it repairs the gap, and was
    /// taken for a dead one.
    #[test]
    fn what_arrives_behind_a_gap_has_arrived() {
        let repairing = Arrival {
            packets: packets(EARLIER.packets.delivered.wrapping_add(3)),
            ..EARLIER
        };
        assert_eq!(repairing.since(&EARLIER), 3 * 1024);
    }
}
