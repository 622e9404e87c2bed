//! Reading files without being held up by them.
//!
//! A reload reads files while lubdub serves, and one at a time. A pipe that nobody writes to, or a file of a server
//! that does not answer any more (NFS), would keep all later reloads waiting for ever.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use tokio::time::Instant;

/// The longest file that is read, unless somebody knows better: many times what any of ours has.
pub(crate) const MOST: u64 = 16 << 20;
/// The longest file of all: a list of a million revoked certificates.
pub(crate) const LONGEST: u64 = 64 << 20;
/// So long a file may take. What is on a disk takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same while another one hangs: it is mostly the same server that does not answer.
const LESS_PATIENCE: Duration = Duration::from_millis(500);
/// So many files may hang at a time. Each keeps a thread, which nothing can end.
const HANGING: usize = 16;

/// Those that hang.
static HUNG: Mutex<Vec<Hung>> = Mutex::new(Vec::new());

#[derive(Debug)]
struct Hung {
    path: PathBuf,
    is_over: Arc<AtomicBool>,
}

/// What is in the file at `path`. A pipe is read to its end.
///
/// # Errors
/// If it cannot be read, is longer than `most`, or takes too long.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let of_file = path.to_owned();
    bounded(path, move |patience| read_here(&of_file, most, patience))?
}

/// The same of a regular file; `None` is for pipes and devices, which can be read once.
///
/// # Errors
/// As those of [`read`].
pub(crate) fn read_again(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let of_file = path.to_owned();
    bounded(path, move |patience| {
        let is_file = of_file.metadata()?.is_file();
        is_file
            .then(|| read_here(&of_file, most, patience))
            .transpose()
    })?
}

/// The same as text, of up to [`MOST`] bytes.
///
/// # Errors
/// As those of [`read`], or if it is not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    let text = String::from_utf8(read(path, MOST)?);
    text.map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// Whether nothing is at `path`, as far as can be said.
pub(crate) fn is_missing(path: &Path) -> bool {
    let of_file = path.to_owned();
    let exists = bounded(path, move |_| of_file.try_exists());
    matches!(exists, Ok(Ok(false)))
}

/// Does `work`, which is about `path`, on a thread of its own, as long as it does not take too long.
fn bounded<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce(Duration) -> T + Send + 'static,
) -> io::Result<T> {
    let patience = {
        let hung = hung();
        if hung.iter().any(|it| it.path == path) {
            return Err(too_late("an earlier attempt to read it still hangs"));
        }
        match hung.len() {
            0 => PATIENCE,
            HANGING.. => return Err(too_late("too many other files hang")),
            _ => LESS_PATIENCE,
        }
    };
    bounded_by(path, patience, move || work(patience))
}

fn bounded_by<T: Send + 'static>(
    path: &Path,
    patience: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    /// So that who waits for a pipe can say so himself.
    const MARGIN: Duration = Duration::from_millis(500);
    let (tell, told) = mpsc::channel();
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    thread::Builder::new()
        .name("lubdub-read".to_owned())
        .spawn(move || {
            let done = work();
            over.store(true, SeqCst);
            // Who asked may not wait any more.
            let _ = tell.send(done);
        })?;
    match told.recv_timeout(patience + MARGIN) {
        Ok(done) => Ok(done),
        Err(RecvTimeoutError::Timeout) => {
            hung().push(Hung {
                path: path.to_owned(),
                is_over,
            });
            Err(too_late(&format!(
                "its file system has not answered for {patience:?}"
            )))
        }
        Err(RecvTimeoutError::Disconnected) => Err(io::Error::other("the reading broke off")),
    }
}

/// Those that still hang.
fn hung() -> MutexGuard<'static, Vec<Hung>> {
    let mut hung = HUNG.lock().unwrap_or_else(PoisonError::into_inner);
    hung.retain(|it| !it.is_over.load(SeqCst));
    hung
}

fn read_here(path: &Path, most: u64, patience: Duration) -> io::Result<Vec<u8>> {
    // To open a pipe waits for who writes to it, and a terminal would become this process's own.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).expect("flags of open(2) are an int");
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let mut text = Vec::new();
    if file.metadata()?.is_file() {
        file.take(most + 1).read_to_end(&mut text)?;
    } else {
        read_as_it_comes(&mut file, most, patience, &mut text)?;
    }
    if text.len() as u64 > most {
        return Err(io::Error::other(format!(
            "it has more than {} MiB",
            most >> 20
        )));
    }
    Ok(text)
}

/// A pipe or a device.
fn read_as_it_comes(
    file: &mut File,
    most: u64,
    patience: Duration,
    text: &mut Vec<u8>,
) -> io::Result<()> {
    let end = Instant::now() + patience;
    let mut part = [0; 8192];
    while text.len() as u64 <= most {
        let left = end.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).expect("a few seconds are a time");
        let mut waited = [PollFd::new(file, PollFlags::IN)];
        if poll(&mut waited, Some(&left))? == 0 {
            let from = if text.is_empty() { "nothing" } else { "no end" };
            return Err(too_late(&format!(
                "it is no regular file, and {from} has come from it for {patience:?}"
            )));
        }
        match file.read(&mut part) {
            Ok(0) => break,
            Ok(len) => text.extend_from_slice(&part[..len]),
            Err(error)
                if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn too_late(wrong: &str) -> io::Error {
    io::Error::new(ErrorKind::TimedOut, wrong)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    /// A pipe with a name, gone with this.
    struct Pipe(PathBuf);

    impl Pipe {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("lubdub-{}-{test}", std::process::id()));
            let _ = fs::remove_file(&path);
            let made = std::process::Command::new("mkfifo").arg(&path).status();
            assert!(made.unwrap().success());
            Self(path)
        }
    }

    impl Drop for Pipe {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[test]
    fn a_pipe_that_nobody_writes_to_is_given_up() {
        let pipe = Pipe::new("silent");
        let error = read_here(&pipe.0, MOST, SOON).unwrap_err().to_string();
        assert_eq!(
            error,
            "it is no regular file, and nothing has come from it for 50ms"
        );
    }

    #[test]
    fn a_pipe_is_read_to_its_end_and_no_longer() {
        let pipe = Pipe::new("spoken");
        let path = pipe.0.clone();
        let read = thread::spawn(move || read_here(&path, MOST, PATIENCE));
        // To open it waits for who reads.
        let mut writer = OpenOptions::new().write(true).open(&pipe.0).unwrap();
        writer.write_all(b"all of it").unwrap();
        drop(writer);
        assert_eq!(read.join().unwrap().unwrap(), b"all of it");
        assert_eq!(read_again(&pipe.0, MOST).unwrap(), None);
        let path = pipe.0.clone();
        let read = thread::spawn(move || read_here(&path, MOST, SOON));
        let mut writer = OpenOptions::new().write(true).open(&pipe.0).unwrap();
        writer.write_all(b"a part of it").unwrap();
        let error = read.join().unwrap().unwrap_err().to_string();
        assert!(
            error.ends_with("no end has come from it for 50ms"),
            "{error}"
        );
    }

    #[test]
    fn a_device_that_does_not_end_is_too_long() {
        let error = read(Path::new("/dev/zero"), MOST).unwrap_err();
        assert_eq!(error.to_string(), "it has more than 16 MiB");
        assert_eq!(read(Path::new("/dev/null"), MOST).unwrap(), b"");
    }

    #[test]
    fn what_hangs_is_left_alone_until_it_hangs_no_more() {
        let path = Path::new("/on/a/server/that/is/dead");
        let (release, hangs) = mpsc::channel::<()>();
        let first = bounded_by(path, SOON, move || hangs.recv());
        let error = first.unwrap_err().to_string();
        assert_eq!(error, "its file system has not answered for 50ms");
        let again = read(path, MOST).unwrap_err().to_string();
        assert_eq!(again, "an earlier attempt to read it still hangs");
        drop(release);
        while hung().iter().any(|it| it.path == path) {
            thread::yield_now();
        }
        let error = read(path, MOST).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
