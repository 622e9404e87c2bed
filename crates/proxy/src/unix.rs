//! Unix sockets that listen: who may connect to one, what may stand in its way, and the file by which it is
//! reached.
//!
//! A file that nobody listens at any more is replaced. What is no socket, and what somebody listens at, is left
//! alone. The file goes when its listener closes, unless another process has the socket by then, or the path leads
//! to another file.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use tracing::warn;

use crate::address::Address;

/// Who may connect to a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// The permissions of its file: who may write to it may connect.
    pub mode: u32,
    /// The group that it belongs to; `None` for what the system chooses.
    pub group: Option<u32>,
}

/// Which file it is, whatever its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    device: u64,
    inode: u64,
}

/// The file by which a Unix socket is reached. It is removed when this is dropped, if it is this process's.
#[derive(Debug)]
pub struct SocketFile {
    path: Arc<Path>,
    id: FileId,
    is_ours: AtomicBool,
    /// Who may connect once it is ours.
    wanted: Mutex<Option<Permissions>>,
}

/// What is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    Nothing,
    /// A socket that nobody listens at.
    Stale,
}

/// Binds a socket, in place of one that nobody listens at any more. It does not listen yet, so that nobody can
/// connect.
///
/// # Errors
/// If there is something else, or no file can be made there for `permissions`.
pub fn bind(path: &Arc<Path>, permissions: Permissions) -> io::Result<(OwnedFd, SocketFile)> {
    if look(path)? == There::Stale {
        fs::remove_file(path).map_err(|error| because(&error, "cannot remove the stale socket"))?;
    }
    let socket = socket()?;
    socket
        .bind(&SockAddr::unix(path)?)
        .map_err(|error| cannot_make(path, &error))?;
    let file = SocketFile::new(path, FileId::of(path)?, true);
    file.set_permissions(permissions)?;
    Ok((socket.into(), file))
}

/// Binds a socket that listens with this backlog, in place of that of a process which gives it up. It is made beside it
/// and moved there: there is no moment without a socket, and none with a wider mode.
///
/// # Errors
/// If something is there that is no socket, or no file can be made there for `permissions`.
pub fn replace(
    path: &Arc<Path>,
    permissions: Permissions,
    backlog: i32,
) -> io::Result<(OwnedFd, SocketFile)> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(no_socket());
    }
    let beside: Arc<Path> = beside(path).into();
    let (socket, made) = bind(&beside, permissions)?;
    SockRef::from(&socket).listen(backlog)?;
    // Until it has moved it is removed with whatever goes wrong.
    fs::rename(&beside, path)?;
    made.set_ours(false);
    Ok((socket, SocketFile::new(path, made.id(), true)))
}

/// Whether [`bind`] could. Nothing that is there is touched.
///
/// # Errors
/// Why not, as far as it can be told.
pub fn could_be_bound(path: &Path) -> io::Result<()> {
    look(path)?;
    let beside = beside(path);
    // Where there is no room for another name it is only known that the directory is there.
    let Ok(address) = SockAddr::unix(&beside) else {
        return Ok(());
    };
    socket()?
        .bind(&address)
        .map_err(|error| cannot_make(path, &error))?;
    fs::remove_file(&beside)
}

/// Connects to whoever listens at `path`, without waiting: [`io::ErrorKind::WouldBlock`] says that as many wait
/// there as may. The socket is non-blocking.
///
/// # Errors
/// What the operating system says.
pub(crate) fn connect(path: &Path) -> io::Result<OwnedFd> {
    let socket = socket()?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(socket.into())
}

fn socket() -> io::Result<Socket> {
    Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)
}

/// What is at `path`, if a socket may be made there.
fn look(path: &Path) -> io::Result<There> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = directory(path);
            return match fs::metadata(directory) {
                Ok(_) => Ok(There::Nothing),
                Err(error) => Err(because(
                    &error,
                    format_args!("the directory {} cannot be used", directory.display()),
                )),
            };
        }
        Err(error) => return Err(because(&error, "cannot look at what is there")),
    };
    if !found.file_type().is_socket() {
        return Err(no_socket());
    }
    match connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(There::Stale),
        // It has gone this moment.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(There::Nothing),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(because(
            &error,
            "a socket is there, and it cannot be told whether somebody listens; it is left alone",
        )),
        Ok(_) | Err(_) => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process listens there",
        )),
    }
}

/// A name in the same directory that nobody else has.
fn beside(path: &Path) -> PathBuf {
    path.with_file_name(format!(".lubdub-{}", std::process::id()))
}

fn no_socket() -> io::Error {
    let wrong = "something that is no socket is there; it is left alone";
    io::Error::new(io::ErrorKind::AlreadyExists, wrong)
}

fn directory(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

fn cannot_make(path: &Path, error: &io::Error) -> io::Error {
    let directory = directory(path).display();
    because(
        error,
        format_args!("cannot make a socket in the directory {directory}"),
    )
}

fn because(error: &io::Error, what: impl std::fmt::Display) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

// === impl Permissions ===

impl Default for Permissions {
    /// For the user of this process alone.
    fn default() -> Self {
        Self {
            mode: 0o600,
            group: None,
        }
    }
}

impl Permissions {
    /// Has the file at `path` be so. Without a group it is of the one that it would be made with.
    ///
    /// # Errors
    /// If the operating system does not let us.
    fn give(self, path: &Path) -> io::Result<()> {
        let Self { mode, group } = self;
        let before = fs::symlink_metadata(path)
            .map_err(|error| because(&error, format_args!("cannot give it mode {mode:04o}")))?;
        let group = match group {
            Some(group) => group,
            None => group_of_new(path)?,
        };
        if group != before.gid() {
            // Nobody is to come in by the mode that was meant for the other group.
            let narrow = before.mode() & mode & 0o7777;
            set_mode(path, narrow)?;
            if let Err(error) = chown(path, None, Some(group)) {
                set_mode(path, before.mode() & 0o7777)?;
                let may_not = match error.kind() == io::ErrorKind::PermissionDenied {
                    true => ", of which lubdub's user is no member",
                    false => "",
                };
                let what = format_args!("cannot give it to group {group}{may_not}");
                return Err(because(&error, what));
            }
        }
        set_mode(path, mode)
    }
}

/// The group of a file that is made at `path`: that of this process, unless its directory hands its own on.
fn group_of_new(path: &Path) -> io::Result<u32> {
    const SET_GROUP_ID: u32 = 0o2000;
    let directory = fs::metadata(directory(path))?;
    Ok(match directory.mode() & SET_GROUP_ID {
        0 => rustix::process::getegid().as_raw(),
        _ => directory.gid(),
    })
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(|error| because(&error, format_args!("cannot give it mode {mode:04o}")))
}

// === impl FileId ===

impl FileId {
    /// The file that is at `path`; a symbolic link is one itself.
    fn of(path: &Path) -> io::Result<Self> {
        fs::symlink_metadata(path).map(|found| Self::new(&found))
    }

    /// The file that `path` leads to.
    pub(crate) fn behind(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|found| Self::new(&found))
    }

    fn new(found: &fs::Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
        }
    }
}

// === impl SocketFile ===

impl SocketFile {
    /// The file of a socket that another process has made, and still has.
    #[must_use]
    pub fn of_another(path: &Arc<Path>, id: FileId) -> Self {
        Self::new(path, id, false)
    }

    fn new(path: &Arc<Path>, id: FileId, is_ours: bool) -> Self {
        Self {
            path: Arc::clone(path),
            id,
            is_ours: AtomicBool::new(is_ours),
            wanted: Mutex::default(),
        }
    }

    /// Which file it is.
    #[must_use]
    pub fn id(&self) -> FileId {
        self.id
    }

    /// Whether it is this process that says who may connect, and removes it.
    pub fn set_ours(&self, is_ours: bool) {
        self.is_ours.store(is_ours, Relaxed);
        let wanted = self.wanted().take_if(|_| is_ours);
        if let Some(Err(error)) = wanted.map(|wanted| wanted.give(&self.path)) {
            let address = Address::Unix(Arc::clone(&self.path));
            warn!(%address, %error, "who may connect could not be changed");
        }
    }

    /// From now on these may connect; from when on it is ours, as long as it is another process's: that one may
    /// have to go on with it.
    ///
    /// # Errors
    /// If the operating system does not let us.
    pub fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        if self.is_ours.load(Relaxed) {
            return permissions.give(&self.path);
        }
        *self.wanted() = Some(permissions);
        Ok(())
    }

    fn wanted(&self) -> MutexGuard<'_, Option<Permissions>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the file if it is ours, and the path still leads to it. To be called while the socket still listens:
    /// nobody else takes the path as long as somebody does.
    pub fn remove(&self) {
        if self.is_ours.swap(false, Relaxed) && FileId::of(&self.path).ok() == Some(self.id) {
            // What cannot be removed is found stale by the next process.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}
