//! The starter: a process between this one and the program that an upgrade starts, where a service manager
//! has started this one.
//!
//! systemd waits for the end of a service's main process only if that is a child of systemd's own.
//! Otherwise `systemctl stop` kills it in the same moment, and with it every pair. A process whose parent ends
//! becomes a child of systemd. So the parent of the new program is a process of its own, which ends
//! when all has been handed over: the predecessor may have to stay for hours.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

use lubdub_proxy::handover;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getpid, getppid, kill_process, set_parent_process_death_signal,
    setrlimit,
};

use super::program::{PREDECESSOR, cannot_start};

/// What tells a process that it is one; the value is the pid of the process that wants it.
pub(super) const STARTER: &str = "LUBDUB_STARTER";
/// What it is called.
pub(super) const NAME: &str = "lubdub-starter";

/// Whether the new process must not be a child of this one.
pub(super) fn is_needed() -> bool {
    env::var_os("NOTIFY_SOCKET").is_some_and(|name| !name.is_empty())
}

/// Whether this is the main process of a service of systemd's that cannot say which process follows it.
pub(super) fn is_service_unheard() -> bool {
    // systemd 248 and later: the process that it has started itself.
    let of_systemd = env::var_os("SYSTEMD_EXEC_PID");
    of_systemd.is_some_and(|pid| *pid == *std::process::id().to_string()) && !is_needed()
}

/// Starts the program that its arguments name, and ends as that does, if this process is a starter.
pub(crate) fn be_starter() -> Option<ExitCode> {
    let wanted_by = env::var_os(STARTER)?;
    let is_wanted = || is_parent(getppid(), &wanted_by);
    if !is_wanted() {
        // It was meant for a process before this one.
        return None;
    }
    // Without the predecessor it is of no use. That one may have died a moment ago.
    let ends_with_it = set_parent_process_death_signal(Some(Signal::KILL));
    if ends_with_it.is_err() || !is_wanted() {
        return Some(ExitCode::FAILURE);
    }
    Some(start(env::args_os().skip(1).collect()))
}

fn is_parent(parent: Option<Pid>, pid: &OsString) -> bool {
    parent.is_some_and(|parent| *pid == *parent.as_raw_nonzero().to_string())
}

fn start(arguments: Vec<OsString>) -> ExitCode {
    let [path, arguments @ ..] = &*arguments else {
        return ExitCode::FAILURE;
    };
    let mut command = Command::new(path);
    let own = std::process::id().to_string();
    command.args(arguments).env_remove(STARTER);
    let spawned = command.env(PREDECESSOR, own).spawn();
    let input = std::io::stdin();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            if let Ok(predecessor) = input.as_fd().try_clone_to_owned() {
                let reason = cannot_start(Path::new(path), &error);
                // If it has gone, there is nobody to be told.
                let _ = handover::refuse(&predecessor.into(), reason);
            }
            return ExitCode::FAILURE;
        }
    };
    // The connection ends with the new process.
    let nothing = File::open("/dev/null").map(rustix::stdio::dup2_stdin);
    if !matches!(nothing, Ok(Ok(()))) {
        let _ = child.kill();
    }
    child.wait().map_or(ExitCode::FAILURE, end_as)
}

/// Ends as another process has.
fn end_as(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal().and_then(Signal::from_named_raw) {
        // What there is to be seen is in the memory of the other one.
        let none = Rlimit {
            current: Some(0),
            maximum: Some(0),
        };
        let _ = setrlimit(Resource::Core, none);
        let _ = kill_process(getpid(), signal);
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
