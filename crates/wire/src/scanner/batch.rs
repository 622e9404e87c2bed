//! PINGs and PONGs that need not be told of one by one.

use crate::scanner::Received;

/// PINGs and PONGs that lie whole in an input, and are forwarded as data is. Who floods a connection with them is to
/// take hardly more time than who sends texts.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    takes_pings: bool,
    /// PONGs are taken but for those with so many bytes of payload.
    told_pongs: Option<u8>,
    pongs: u32,
    pings: u32,
    /// So many, the last among them, came in a row with the same payload.
    same: u32,
    last: Lying<'a>,
}

/// A frame that lies in the input.
#[derive(Debug, Clone, Copy, Default)]
struct Lying<'a> {
    bytes: &'a [u8],
    header_len: u8,
    masked: bool,
}

/// PINGs that were forwarded, one behind the other but for what stands between them.
#[derive(Debug, PartialEq, Eq)]
pub struct Pings<'a> {
    /// How many there were.
    pub count: u32,
    /// The last of them.
    pub last: Received<'a>,
    /// So many, the last among them, came in a row with the same payload.
    pub same: u32,
}

// === impl Batch ===

impl<'a> Batch<'a> {
    /// Of all PINGs.
    #[must_use]
    pub fn of_pings() -> Self {
        Self {
            takes_pings: true,
            ..Self::default()
        }
    }

    /// And of all PONGs but those with so many bytes of payload.
    #[must_use]
    pub fn and_pongs_but(self, payload_len: u8) -> Self {
        Self {
            told_pongs: Some(payload_len),
            ..self
        }
    }

    /// The PINGs that there were since this was last asked.
    #[inline]
    pub fn take_pings(&mut self) -> Option<Pings<'a>> {
        if self.pings == 0 {
            return None;
        }
        Some(Pings {
            count: std::mem::take(&mut self.pings),
            last: self.last.received(),
            same: self.same,
        })
    }

    /// How many PONGs there were since this was last asked.
    #[inline]
    pub fn take_pongs(&mut self) -> u32 {
        std::mem::take(&mut self.pongs)
    }

    /// Whether it took a PONG with so many bytes of payload.
    #[inline]
    pub(super) fn takes_pong(&mut self, payload_len: u64) -> bool {
        let takes = self
            .told_pongs
            .is_some_and(|told| u64::from(told) != payload_len);
        self.pongs = self.pongs.saturating_add(takes.into());
        takes
    }

    /// Whether it took a PING, which is this part of the input.
    #[inline]
    pub(super) fn takes_ping(&mut self, bytes: &'a [u8], header_len: usize, masked: bool) -> bool {
        if !self.takes_pings {
            return false;
        }
        let ping = Lying {
            bytes,
            header_len: header_len as u8,
            masked,
        };
        let is_same = self.pings > 0 && self.last.has_payload_of(&ping);
        self.same = if is_same {
            self.same.saturating_add(1)
        } else {
            1
        };
        self.pings = self.pings.saturating_add(1);
        self.last = ping;
        true
    }
}

// === impl Lying ===

impl<'a> Lying<'a> {
    fn received(&self) -> Received<'a> {
        Received::in_input(self.header_len.into(), self.masked, self.bytes)
    }

    /// Whether the other's payload is the same, however each is masked.
    #[inline]
    fn has_payload_of(&self, other: &Self) -> bool {
        let [one, two] =
            [self, other].map(|frame| frame.bytes.len() - usize::from(frame.header_len));
        one == two && (one == 0 || self.received().payload() == other.received().payload())
    }
}

// === impl Pings ===

impl Pings<'_> {
    /// Whether all of them have the same payload.
    #[must_use]
    pub fn are_all_same(&self) -> bool {
        self.same == self.count
    }
}
