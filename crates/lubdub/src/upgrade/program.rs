//! The program that an upgrade starts: what stands now where this process was started from.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::{env, io};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

use super::starter::{self, STARTER};

/// What tells a new process that its standard input is a predecessor; the value is the predecessor's pid.
pub(super) const PREDECESSOR: &str = "LUBDUB_PREDECESSOR";

/// How this process was started. Nobody can change it from outside later.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    path: Result<PathBuf, NoProgram>,
    arguments: Vec<OsString>,
    /// What this process runs, if that could be seen.
    image: Result<Image, Arc<io::Error>>,
}

/// A program's file, as far as it tells one program from another. What runs keeps its inode, so that no other
/// file has the same one meanwhile; and the content may have been written over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Image {
    device: u64,
    inode: u64,
    len: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
}

/// The program, as it was started to take over.
#[derive(Debug)]
pub(super) struct Started {
    /// The new process, or the one that has started it.
    child: Child,
    by: By,
}

/// Whose child a new process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Of this process.
    This,
    /// Of a [`starter`](mod@super::starter).
    Starter,
}

/// Why it is not known what to start.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum NoProgram {
    #[error("it cannot be seen whether the program on disk is another one: {path}: {error}")]
    Unseen {
        path: PathBuf,
        error: Arc<io::Error>,
    },
    #[error("lubdub was started without a name of its program")]
    Nameless,
    #[error(
        "the program was started as {0:?}, and nothing of that name was in PATH then; start lubdub by an absolute path"
    )]
    NotFound(OsString),
}

// === impl Program ===

impl Program {
    /// What this process runs, also when it stands on disk no more.
    pub(super) const THIS: &str = "/proc/self/exe";

    /// Of this process, as things are at its start: names in PATH are looked up now, and relative paths
    /// begin here. Links are not resolved: a new version is often a new target of one.
    pub(crate) fn of_this_process() -> Self {
        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_default();
        Self {
            path: locate(&name, env::var_os("PATH").as_deref()),
            arguments: arguments.collect(),
            image: Image::at(Path::new(Self::THIS)).map_err(Arc::new),
        }
    }

    /// Whether what stands on disk now is another program than the one that runs.
    ///
    /// # Errors
    /// If that cannot be seen.
    pub(crate) fn is_another(&self) -> Result<bool, NoProgram> {
        let unseen = |path: &Path, error: &Arc<io::Error>| NoProgram::Unseen {
            path: path.to_owned(),
            error: Arc::clone(error),
        };
        let path = self.path()?;
        let own = (self.image.as_ref()).map_err(|error| unseen(Path::new(Self::THIS), error))?;
        let found = Image::at(path).map_err(|error| unseen(path, &Arc::new(error)))?;
        Ok(found != *own)
    }

    /// Where it is.
    ///
    /// # Errors
    /// If it was not found when this process started.
    pub(crate) fn path(&self) -> Result<&Path, NoProgram> {
        self.path.as_deref().map_err(Clone::clone)
    }

    /// Starts it with this process's own arguments and environment, and `predecessor` as its standard
    /// input.
    pub(super) fn start(&self, predecessor: OwnedFd) -> anyhow::Result<Started> {
        let pid = std::process::id().to_string();
        let by = match starter::is_needed() {
            true => By::Starter,
            false => By::This,
        };
        let mut command = match by {
            By::This => self.command(self.path()?),
            By::Starter => {
                let mut command = self.command(Path::new(Self::THIS));
                command.arg0(starter::NAME).arg(self.path()?);
                // What it starts is of the same group, and can be ended with it.
                command.env(STARTER, &pid).process_group(0);
                command
            }
        };
        command
            .args(&self.arguments)
            .env(PREDECESSOR, pid)
            .stdin(Stdio::from(predecessor));
        let child = command.spawn().map_err(|error| self.cannot(&error))?;
        Ok(Started { child, by })
    }

    /// Has it check the configuration that it would start with.
    ///
    /// # Errors
    /// What it says against it, or that it cannot be asked.
    pub(super) async fn check(&self) -> anyhow::Result<()> {
        let mut command = self.command(self.path()?);
        // It may stand anywhere among the arguments, and stands for `run` as well.
        let is_run = |argument: &&OsString| *argument == "run" || *argument == "--take-over";
        let arguments = self.arguments.iter().filter(|it| !is_run(it));
        command.arg("check").args(arguments).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command.kill_on_drop(true);
        let child = command.spawn().map_err(|error| self.cannot(&error))?;
        let ended = child.wait_with_output().await?;
        if ended.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&ended.stderr);
        anyhow::bail!(
            "its check says no ({}): {}",
            written(ended.status),
            said.trim()
        )
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(environment(env::vars_os()));
        command
    }

    fn cannot(&self, error: &io::Error) -> anyhow::Error {
        let path = self.path.as_deref().unwrap_or_else(|_| Path::new(""));
        anyhow::anyhow!(cannot_start(path, error))
    }
}

/// That a program cannot be started, for people.
pub(super) fn cannot_start(path: &Path, error: &io::Error) -> String {
    format!("{} cannot be started: {error}", path.display())
}

// === impl Image ===

impl Image {
    fn at(path: &Path) -> io::Result<Self> {
        let found = path.metadata()?;
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
            len: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
        })
    }
}

// === impl Started ===

impl Started {
    /// It has taken over. If it is to be a child of the service manager's, it is one from here on.
    pub(super) async fn let_go(mut self) {
        if self.by == By::Starter {
            // Not the group. If it has ended already, that is what was wanted.
            let _ = self.child.start_kill();
            let _ = self.child.wait().await;
        }
    }

    /// Ends it.
    pub(super) fn kill(&mut self) {
        // If it has ended meanwhile, that is what was wanted.
        if self.by == By::Starter
            && let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok())
            && let Some(group) = Pid::from_raw(pid)
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.start_kill();
    }

    /// Waits for its end.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }
}

/// What the next process inherits: all but what was meant for this one alone.
fn environment(
    own: impl Iterator<Item = (OsString, OsString)>,
) -> impl Iterator<Item = (OsString, OsString)> {
    own.filter(|(name, _)| {
        let name = name.to_string_lossy();
        name != "WATCHDOG_PID"
            && !name.starts_with("LISTEN_")
            && name != PREDECESSOR
            && name != STARTER
    })
}

/// How a process ended, for messages.
pub(super) fn written(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        // "signal: 9 (SIGKILL)"
        None => status.to_string(),
    }
}

/// The absolute path of what `name` names to a shell.
fn locate(name: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, NoProgram> {
    if name.is_empty() {
        return Err(NoProgram::Nameless);
    }
    let not_found = || NoProgram::NotFound(name.to_owned());
    if name.as_encoded_bytes().contains(&b'/') {
        return std::path::absolute(name).map_err(|_| not_found());
    }
    let folders = path.map(env::split_paths).into_iter().flatten();
    let mut found = folders.map(|folder| folder.join(name));
    let found = found
        .find(|file| is_executable(file))
        .ok_or_else(not_found)?;
    std::path::absolute(found).map_err(|_| not_found())
}

fn is_executable(file: &Path) -> bool {
    file.metadata()
        .is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_name_is_looked_up_in_path_and_a_path_is_made_absolute() {
        let path = Some(OsStr::new("/nowhere:/bin:/usr/bin"));
        let shell = locate(OsStr::new("sh"), path).unwrap();
        assert!(shell.is_absolute() && shell.ends_with("sh"), "{shell:?}");
        assert_eq!(
            locate(OsStr::new("/opt/lubdub"), None).unwrap(),
            Path::new("/opt/lubdub")
        );
        let here = locate(OsStr::new("./lubdub"), None).unwrap();
        assert_eq!(here, env::current_dir().unwrap().join("lubdub"));
    }

    #[test]
    fn what_is_not_there_is_said_to_be_so() {
        let wrong = locate(OsStr::new("no-such-program"), Some(OsStr::new("/bin")));
        assert!(matches!(wrong, Err(NoProgram::NotFound(name)) if name == "no-such-program"));
        let wrong = locate(OsStr::new(""), None);
        assert!(matches!(wrong, Err(NoProgram::Nameless)));
    }

    #[test]
    fn another_program_is_another_file_or_other_content() {
        let place = env::temp_dir().join(format!("lubdub-image-{}", std::process::id()));
        fs::create_dir_all(&place).unwrap();
        let path = place.join("lubdub");
        fs::write(&path, "one").unwrap();
        let program = Program {
            path: Ok(path.clone()),
            arguments: Vec::new(),
            image: Image::at(&path).map_err(Arc::new),
        };
        assert!(!program.is_another().unwrap());
        // It is opened under another name, and keeps its inode as a program that runs does.
        fs::hard_link(&path, place.join("runs")).unwrap();
        fs::write(place.join("new"), "two").unwrap();
        fs::rename(place.join("new"), &path).unwrap();
        assert!(program.is_another().unwrap());
        fs::rename(place.join("runs"), &path).unwrap();
        assert!(!program.is_another().unwrap());
        fs::write(&path, "three").unwrap();
        assert!(program.is_another().unwrap());
        fs::remove_file(&path).unwrap();
        let error = program.is_another().unwrap_err().to_string();
        assert!(
            error.contains("cannot be seen") && error.contains("lubdub"),
            "{error}"
        );
        let this = Program::of_this_process();
        assert!(!this.is_another().unwrap());
        fs::remove_dir_all(place).unwrap();
    }

    #[test]
    fn what_was_meant_for_this_process_alone_is_not_inherited() {
        let own = [
            "PATH",
            "WATCHDOG_PID",
            "WATCHDOG_USEC",
            "NOTIFY_SOCKET",
            "LISTEN_PID",
            "LISTEN_FDS",
            "LISTEN_FDNAMES",
            PREDECESSOR,
            STARTER,
            "LUBDUB__LOG__LEVEL",
        ];
        let own = own.map(|name| (name.into(), "1".into()));
        let inherited: Vec<_> = environment(own.into_iter()).map(|(name, _)| name).collect();
        assert_eq!(
            inherited,
            [
                "PATH",
                "WATCHDOG_USEC",
                "NOTIFY_SOCKET",
                "LUBDUB__LOG__LEVEL"
            ]
        );
    }
}
