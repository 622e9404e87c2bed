//! Readiness: a thin, level-triggered epoll, so that one read per wake-up is enough and nothing is
//! forgotten, and a timer that is exact where epoll's own timeout counts whole milliseconds.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// How many events are taken at once.
const BATCH: usize = 256;

/// Watches sockets, each known by a number of the caller's choice.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
}

/// What is asked about a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Whether something can be read.
    Read,
    /// Whether something can be written.
    Write,
    /// Both.
    Both,
}

/// A socket that has something to say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    /// The number under which it is watched.
    pub token: usize,
    /// Something can be read, if only an end or an error.
    pub readable: bool,
    /// Something can be written.
    pub writable: bool,
}

/// Wakes a poller at an instant.
#[derive(Debug)]
pub(crate) struct Alarm {
    timer: OwnedFd,
}

// === impl Poller ===

impl Poller {
    /// A poller that watches nothing.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        })
    }

    /// Begins to watch.
    pub(crate) fn add(
        &self,
        source: impl AsFd,
        token: usize,
        interest: Interest,
    ) -> io::Result<()> {
        Ok(epoll::add(
            &self.epoll,
            source,
            EventData::new_u64(token as u64),
            interest.flags(),
        )?)
    }

    /// Watches for something else.
    pub(crate) fn modify(
        &self,
        source: impl AsFd,
        token: usize,
        interest: Interest,
    ) -> io::Result<()> {
        Ok(epoll::modify(
            &self.epoll,
            source,
            EventData::new_u64(token as u64),
            interest.flags(),
        )?)
    }

    /// Watches no longer.
    pub(crate) fn remove(&self, source: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, source)?)
    }

    /// Waits until something is ready or the time is over, and puts what is ready into `ready`.
    pub(crate) fn wait(&self, ready: &mut Vec<Ready>, limit: Option<Duration>) -> io::Result<()> {
        ready.clear();
        // Rounded up, or the last millisecond would be spent in a spin.
        let limit = limit.map(|limit| timespec(limit + Duration::from_micros(999)));
        let mut events = [MaybeUninit::uninit(); BATCH];
        let events = match epoll::wait(&self.epoll, &mut events, limit.as_ref()) {
            Ok((events, _)) => events,
            Err(rustix::io::Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        ready.extend(events.iter().map(|event| {
            // Copied out, since the kernel's struct is packed.
            let flags = event.flags;
            Ready {
                token: event.data.u64() as usize,
                readable: flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR),
                writable: flags.intersects(EventFlags::OUT),
            }
        }));
        Ok(())
    }
}

// === impl Interest ===

impl Interest {
    fn flags(self) -> EventFlags {
        match self {
            Self::Read => EventFlags::IN,
            Self::Write => EventFlags::OUT,
            Self::Both => EventFlags::IN | EventFlags::OUT,
        }
    }
}

// === impl Alarm ===

impl Alarm {
    /// An alarm that is not set, watched by `poller` under `token`.
    pub(crate) fn new(poller: &Poller, token: usize) -> io::Result<Self> {
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        poller.add(&timer, token, Interest::Read)?;
        Ok(Self { timer })
    }

    /// Rings `after` this time, and until it is set again.
    pub(crate) fn set(&self, after: Duration) -> io::Result<()> {
        // A zero would switch it off.
        self.arm(after.max(Duration::from_nanos(1)))
    }

    /// Rings no more.
    pub(crate) fn clear(&self) -> io::Result<()> {
        self.arm(Duration::ZERO)
    }

    fn arm(&self, after: Duration) -> io::Result<()> {
        timerfd_settime(
            &self.timer,
            TimerfdTimerFlags::empty(),
            &Itimerspec {
                it_interval: timespec(Duration::ZERO),
                it_value: timespec(after),
            },
        )?;
        Ok(())
    }
}

/// The time from `now` to `then`; nothing if that has passed.
pub(crate) fn until(then: Instant, now: Instant) -> Duration {
    then.saturating_duration_since(now)
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
