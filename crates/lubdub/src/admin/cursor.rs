//! Where the next page of a list begins. It says nothing to who keeps it.

use lubdub_proxy::registry::{PairId, Position, Sort};

use super::filter::BadQuery;

/// The process that cursors are of: another one knows other pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run(u32);

impl Run {
    /// This one.
    pub(super) fn new() -> Self {
        // Who has no randomness has cursors of the same kind in each run, which is no harm.
        Self(getrandom::u32().unwrap_or_default())
    }

    /// A position in lists of this order, as text.
    pub(super) fn write(self, sort: Sort, at: Position) -> String {
        format!(
            "{:08x}.{}.{:x}.{:x}",
            self.0,
            letter(sort),
            at.key,
            at.pair.0
        )
    }

    /// Reads it again.
    pub(super) fn read(self, text: &str, sort: Sort) -> Result<Position, BadQuery> {
        let unknown = || BadQuery::new("after", "this is no cursor: take what `next` said");
        let mut parts = text.split('.');
        let (Some(run), Some(of), Some(key), Some(pair), None) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return Err(unknown());
        };
        let number = |text| u64::from_str_radix(text, 16).map_err(|_| unknown());
        if number(run)? != u64::from(self.0) {
            let reason = "this cursor is of another process: begin again without it";
            return Err(BadQuery::new("after", reason));
        }
        if of != letter(sort).to_string() {
            let reason = "this cursor is of a list in another order: begin again without it";
            return Err(BadQuery::new("after", reason));
        }
        Ok(Position {
            key: number(key)?,
            pair: PairId(number(pair)?),
        })
    }
}

fn letter(sort: Sort) -> char {
    match sort {
        Sort::Oldest => 'o',
        Sort::Newest => 'n',
        Sort::Silence => 's',
        Sort::Rtt => 'r',
        Sort::Bytes => 'b',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_of_one_process_and_one_order() {
        let at = Position {
            key: u64::MAX,
            pair: PairId(17),
        };
        let run = Run(7);
        let cursor = run.write(Sort::Rtt, at);
        assert_eq!(run.read(&cursor, Sort::Rtt), Ok(at));
        let wrong = |run: Run, cursor: &str, sort| run.read(cursor, sort).unwrap_err().to_string();
        assert!(wrong(Run(8), &cursor, Sort::Rtt).contains("another process"));
        assert!(wrong(run, &cursor, Sort::Bytes).contains("another order"));
        for text in [
            "",
            "17",
            "00000007.r.1",
            "00000007.r.x.1",
            "00000007.r.1.1.1",
        ] {
            assert!(wrong(run, text, Sort::Rtt).contains("no cursor"), "{text}");
        }
    }
}
