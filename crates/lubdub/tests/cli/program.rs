//! The program in an environment of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A run of lubdub, before it runs: no environment, in a directory of its own.
pub(crate) struct Lubdub {
    pub(crate) command: Command,
    directory: PathBuf,
}

/// What came of a run.
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) const USAGE: Option<i32> = Some(64);
pub(crate) const CONFIGURATION: Option<i32> = Some(78);
pub(crate) const MINIMUM: [&str; 4] = [
    "--listen",
    "127.0.0.1:0",
    "--upstream",
    "ws://127.0.0.1:9000",
];
pub(crate) const MINIMAL_FILE: &str = "\
[listen.public]
address = \"127.0.0.1:0\"
[upstream.chat]
url = \"ws://127.0.0.1:9000\"
";

impl Lubdub {
    /// A run in a directory that is named after the test.
    pub(crate) fn new(test: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("cli")
            .join(test);
        if directory.exists() {
            fs::remove_dir_all(&directory).expect("an old directory goes");
        }
        fs::create_dir_all(&directory).expect("a new directory");
        let mut command = Command::new(env!("CARGO_BIN_EXE_lubdub"));
        command.env_clear().current_dir(&directory);
        Self { command, directory }
    }

    /// With a file in its directory.
    pub(crate) fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.directory.join(name), text).expect("a new file");
        self
    }

    /// With a variable in its environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// In a directory below its own.
    pub(crate) fn below(mut self, name: &str) -> Self {
        let below = self.directory.join(name);
        fs::create_dir_all(&below).expect("a new directory");
        self.command.current_dir(below);
        self
    }

    pub(crate) fn run(mut self, args: &[&str]) -> Outcome {
        let output = self
            .command
            .args(args)
            .stdin(Stdio::null())
            .output()
            .expect("lubdub runs");
        Outcome {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

impl Outcome {
    pub(crate) fn expect_ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stderr, "");
        self.stdout
    }

    /// The mistakes that it names, a line each.
    pub(crate) fn expect_mistakes(self) -> Vec<String> {
        assert_eq!(self.code, CONFIGURATION, "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "");
        self.stderr
            .lines()
            .skip(1)
            .map(|line| line.trim().to_owned())
            .collect()
    }
}

pub(crate) fn check(args: &[&'static str]) -> Vec<&'static str> {
    [&["check"], args].concat()
}
