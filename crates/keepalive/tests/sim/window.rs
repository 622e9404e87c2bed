//! Spans of time in which something is otherwise than usual.

use crate::script::{NEVER, Time};

/// A span of time, its end not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    pub from: Time,
    pub to: Time,
}

/// Windows in order, none of which touches another. Looked at with every event of worlds that last
/// for days.
#[derive(Debug, Clone, Default)]
pub(crate) struct Windows(Vec<Window>);

impl Window {
    pub(crate) fn new(from: Time, len: Time) -> Self {
        Self {
            from,
            to: from + len,
        }
    }

    pub(crate) fn from(from: Time) -> Self {
        Self { from, to: NEVER }
    }

    pub(crate) fn len(&self) -> Time {
        self.to - self.from
    }
}

impl Windows {
    /// `at`, or the end of the window that it lies in.
    pub(crate) fn after(&self, at: Time) -> Time {
        match self.current_or_next(at) {
            Some(window) if window.from <= at => window.to,
            Some(_) | None => at,
        }
    }

    pub(crate) fn contains(&self, at: Time) -> bool {
        self.after(at) != at
    }

    /// The first beginning or end of a window later than `at`.
    pub(crate) fn next_edge(&self, at: Time) -> Time {
        match self.current_or_next(at) {
            Some(window) if window.from > at => window.from,
            Some(window) => window.to,
            None => NEVER,
        }
    }

    pub(crate) fn ends_at(&self, at: Time) -> bool {
        self.0.binary_search_by_key(&at, |window| window.to).is_ok()
    }

    /// Those of which some lies between the two.
    pub(crate) fn between(&self, from: Time, to: Time) -> impl Iterator<Item = &Window> {
        let overlaps = move |window: &&Window| window.to > from && window.from < to;
        self.0.iter().filter(overlaps)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Window> {
        self.0.iter()
    }

    pub(crate) fn add(&mut self, more: impl IntoIterator<Item = Window>) {
        let mut all = std::mem::take(&mut self.0);
        all.extend(more);
        *self = all.into();
    }

    fn current_or_next(&self, at: Time) -> Option<&Window> {
        self.0.get(self.0.partition_point(|window| window.to <= at))
    }
}

impl From<Vec<Window>> for Windows {
    fn from(mut windows: Vec<Window>) -> Self {
        windows.sort_by_key(|window| window.from);
        let mut merged: Vec<Window> = Vec::new();
        for window in windows {
            match merged.last_mut() {
                Some(last) if window.from <= last.to => last.to = last.to.max(window.to),
                Some(_) | None => merged.push(window),
            }
        }
        Self(merged)
    }
}

impl<const N: usize> From<[Window; N]> for Windows {
    fn from(windows: [Window; N]) -> Self {
        windows.to_vec().into()
    }
}

#[test]
fn windows_that_touch_are_one() {
    use crate::script::secs;
    let window = |from, to| Window {
        from: secs(from),
        to: secs(to),
    };
    let windows = Windows::from([window(7, 9), window(1, 3), window(3, 5), window(4, 5)]);
    assert_eq!(windows.0, [window(1, 5), window(7, 9)]);
    assert_eq!(
        [0, 1, 4, 5, 8, 9].map(|at| windows.after(secs(at))),
        [0, 5, 5, 5, 9, 9].map(secs)
    );
    assert_eq!(
        [0, 1, 5, 8, 9].map(|at| windows.next_edge(secs(at))),
        [secs(1), secs(5), secs(7), secs(9), NEVER]
    );
    assert!(windows.ends_at(secs(5)) && !windows.ends_at(secs(3)));
    assert_eq!(windows.between(secs(4), secs(7)).count(), 1);
}
