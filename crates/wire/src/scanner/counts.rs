//! How many frames of each class went through a scanner.

use serde::{Deserialize, Serialize};

use crate::{Opcode, opcode::CLASS_LABELS};

/// Plain integers, one per class of opcodes: what a hot path can afford to count. Each goes up to
/// 2^32 - 1 and stays there: [take](crate::FrameScanner::take_frames) them now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FrameCounts([u32; CLASS_LABELS.len()]);

impl FrameCounts {
    /// The classes, in the order of [`to_array`](Self::to_array): the labels that
    /// [`Opcode::as_label`] gives.
    pub const LABELS: [&'static str; 7] = CLASS_LABELS;

    /// The count of the class that `opcode` is in.
    #[must_use]
    pub fn of(&self, opcode: Opcode) -> u64 {
        self.0[opcode.class()].into()
    }

    /// The count of data frames: continuation, text and binary.
    #[must_use]
    pub fn data(&self) -> u64 {
        let [continuation, text, binary, ..] = self.to_array();
        continuation + text + binary
    }

    /// The count of messages that have begun: of text and binary frames.
    #[inline]
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.of(Opcode::TEXT) + self.of(Opcode::BINARY)
    }

    /// All counts, in the order of [`LABELS`](Self::LABELS).
    #[must_use]
    pub fn to_array(&self) -> [u64; Self::LABELS.len()] {
        self.0.map(u64::from)
    }

    /// The count of all classes together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().copied().map(u64::from).sum()
    }

    #[inline]
    pub(super) fn add(&mut self, opcode: Opcode) {
        let count = &mut self.0[opcode.class()];
        *count = count.saturating_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_class() {
        let mut counts = FrameCounts::default();
        for bits in 0..16 {
            counts.add(Opcode::from_bits(bits));
        }
        assert_eq!(counts.to_array(), [1, 1, 1, 1, 1, 1, 10]);
        assert_eq!(counts.of(Opcode::from_bits(0x7)), 10);
        assert_eq!(counts.total(), 16);
        assert_eq!(counts.data(), 3);
        assert_eq!(counts.messages(), 2);
    }

    #[test]
    fn a_count_stays_at_the_most_that_it_can_be() {
        let mut counts = FrameCounts([u32::MAX; 7]);
        counts.add(Opcode::PING);
        assert_eq!(counts.of(Opcode::PING), u64::from(u32::MAX));
        assert_eq!(counts.total(), 7 * u64::from(u32::MAX));
    }

    #[test]
    fn the_order_is_that_of_the_labels() {
        for bits in 0..16 {
            let opcode = Opcode::from_bits(bits);
            let mut counts = FrameCounts::default();
            counts.add(opcode);
            let index = counts.to_array().iter().position(|&count| count == 1);
            assert_eq!(FrameCounts::LABELS[index.unwrap()], opcode.as_label());
        }
    }
}
