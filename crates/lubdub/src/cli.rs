//! The command line: what can be asked of the program, and what it says about the configuration.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

use crate::commands::close::Close;
use crate::commands::coherent::Coherent;
use crate::commands::completions::Shell;
use crate::commands::drain::Drain;
use crate::commands::ends::Ends;
use crate::commands::healthcheck;
use crate::commands::manual::Page;
use crate::commands::pairs::Pairs;
use crate::commands::patience;
use crate::commands::probe::Probe;
use crate::commands::reload::Reload;
use crate::commands::status::Shown;
use crate::commands::target::Target;
use crate::commands::top::Top;
use crate::commands::upgrade::Upgrade;
use crate::config::{self, FileSource, FlagValue, Origin, Sources, parse_duration};
use crate::version;

/// The variable that names the configuration file.
const CONFIG_VARIABLE: &str = "LUBDUB_CONFIG";
/// The name of what `--listen` and `--upstream` make.
const MAIN: &str = "main";
/// How to begin, and what comes back.
const AFTER_HELP: &str = "\
Two flags are a whole configuration; `lubdub config example` prints a file to begin with:
  lubdub --listen 0.0.0.0:8080 --upstream ws://127.0.0.1:9000

Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong configuration.";
/// What `reload` adds to the exit codes.
const RELOAD_HELP: &str = "\
What is read is what that lubdub was started with: its file, its variables, its flags.

Exit codes: 0 applied or upgraded (with --dry-run: possible), 1 refused or no answer, 64 wrong usage.";
/// What `probe` adds to the exit codes.
const PROBE_EXIT: &str = "\
If the last ping has no pong at the end of its --timeout, late ones are waited for, for as long again, but at
least 2s and at most 10s: a slow backend needs other settings than a silent one.

Exit codes: 0 if every ping was answered in time and with its own payload, or by the pong to a later one;
1 if not; 64 wrong usage.";

/// What a drain does.
const DRAIN_HELP: &str = "\
With none of the choices the whole of lubdub is drained: /readyz says 503, new pairs are refused, and that
stands until --cancel. A choice drains only the pairs that are there now; new ones come in as before.

Exit codes: 0 done, 1 failed or called off while it was watched, 64 wrong usage, 78 wrong configuration.";

/// A transparent, heartbeat-injecting reverse proxy for WebSocket.
#[derive(Debug, Parser)]
#[command(name = "lubdub", version = version::VERSION, long_version = version::LONG)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Cli {
    /// What to do; run if nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// What is said about the configuration.
    #[command(flatten)]
    pub options: Options,
}

/// What to do.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Run the proxy (the default)
    Run {
        /// Take the place of the lubdub that listens at handover.socket, without ending a pair
        #[arg(long)]
        take_over: bool,
    },
    /// Show what lubdub does, with a backend and clients of its own, two of which freeze
    Demo {
        /// End after this time, such as 20s, instead of with Ctrl-C
        #[arg(long = "for", value_name = "DURATION", value_parser = parse_duration)]
        lasting: Option<Duration>,
    },
    /// Check the configuration: name every mistake, and warn of what will not do in practice
    Check {
        /// Check this file: short for --config
        #[arg(value_name = "FILE", conflicts_with = "config")]
        file: Option<PathBuf>,
        /// Treat warnings as mistakes: exit with 78
        #[arg(long)]
        deny_warnings: bool,
    },
    /// Print configuration
    Config {
        /// Which configuration.
        #[command(subcommand)]
        which: Which,
    },
    /// Connect to a backend and ping it: does it answer, and how fast?
    #[command(after_help = PROBE_EXIT)]
    Probe(Coherent<Probe>),
    /// Ask a running lubdub whether it is ready: exit 0 or 1, for containers
    Healthcheck {
        /// Ask this URL instead of the configured admin listener; /readyz unless it has a path
        #[arg(long, value_name = "URL", value_parser = healthcheck::url)]
        url: Option<Target>,
        /// For the answer
        #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = patience)]
        timeout: Duration,
    },
    /// How is a running lubdub: what is used of its budgets, its upstreams, its certificates?
    Status(Shown),
    /// Who is connected to a running lubdub, and how well?
    Pairs(Pairs),
    /// Why did the latest pairs of a running lubdub end?
    Ends(Ends),
    /// Watch a running lubdub on this terminal
    Top(Top),
    /// Have a running lubdub end one pair
    Close(Close),
    /// Have a running lubdub say farewell to all of its pairs or to some, evenly over a time
    #[command(after_help = DRAIN_HELP)]
    Drain(Coherent<Drain>),
    /// Have a running lubdub read its configuration again, as SIGHUP does; no pair ends
    #[command(after_help = RELOAD_HELP)]
    Reload(Reload),
    /// Have a running lubdub replaced by the program on disk, as SIGUSR2 does; no pair ends
    Upgrade(Upgrade),
    /// Say more about a warning of `check`, and what to do about it
    Explain {
        /// Its name; all of them, in a line each, without one
        #[arg(value_name = "WARNING", value_parser = PossibleValuesParser::new(config::warnings()))]
        warning: Option<String>,
    },
    /// Print a script that completes commands and flags in a shell
    Completions {
        /// For this shell
        shell: Shell,
    },
    /// Print a manual page
    Man {
        /// Which.
        #[command(flatten)]
        command: Coherent<Page>,
    },
}

/// Which configuration to print.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Which {
    /// Every key with its default, as a file
    Defaults,
    /// A file to begin with
    Example,
    /// Every key that is in effect, and where it was set
    Effective,
    /// Every key and its meaning, as Markdown
    Reference,
    /// What a file may say, as JSON Schema, for editors and taplo
    Schema,
}

/// What is said about the configuration.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct Options {
    /// Read this TOML file [variable: LUBDUB_CONFIG]
    #[arg(short = 'c', long, value_name = "PATH", global = true)]
    config: Option<PathBuf>,

    /// Listen here and nowhere else, such as 0.0.0.0:8080
    #[arg(long, value_name = "ADDR", global = true)]
    listen: Option<String>,

    /// Send everything to this upstream, such as ws://127.0.0.1:9000
    #[arg(long, value_name = "URL", global = true)]
    upstream: Option<String>,

    /// Set any key, such as keepalive.client.interval=5s; repeatable
    #[arg(long, value_name = "KEY=VALUE", global = true, value_parser = key_and_value)]
    set: Vec<(String, String)>,

    /// Short for --set log.level=LEVEL
    #[arg(long, value_name = "LEVEL", global = true)]
    log_level: Option<String>,

    /// Short for --set log.format=FORMAT
    #[arg(long, value_name = "FORMAT", global = true)]
    log_format: Option<String>,
}

// === impl Options ===

impl Options {
    /// For a command whose own `--upstream` is a name: clap takes it for the flag of all as well.
    pub(crate) fn without_upstream(mut self) -> Self {
        self.upstream = None;
        self
    }

    /// These, with that file where there is one.
    pub(crate) fn or_config(self, file: Option<PathBuf>) -> Self {
        let config = file.or(self.config);
        Self { config, ..self }
    }

    /// All that the configuration is made from, in this environment.
    pub(crate) fn sources(self, variables: Vec<(OsString, OsString)>) -> Sources {
        let from_variable = || {
            let (_, path) = variables.iter().find(|(name, _)| name == CONFIG_VARIABLE)?;
            let named_by = Origin::Variable(CONFIG_VARIABLE.to_owned());
            (!path.is_empty()).then(|| FileSource {
                path: path.into(),
                named_by,
            })
        };
        let file = match self.config {
            Some(path) => Some(FileSource {
                path,
                named_by: Origin::Flag("--config".to_owned()),
            }),
            None => from_variable(),
        };

        let mut flags = Vec::new();
        let mut replaced = Vec::new();
        let mut flag = |flag, key: &str, value| {
            flags.push(FlagValue {
                flag,
                key: key.to_owned(),
                value,
            });
        };
        if let Some(address) = self.listen {
            replaced.push(("listen", "--listen"));
            flag("--listen", &format!("listen.{MAIN}.address"), address);
        }
        if let Some(url) = self.upstream {
            replaced.extend(["upstream", "route"].map(|table| (table, "--upstream")));
            flag("--upstream", &format!("upstream.{MAIN}.url"), url);
        }
        if let Some(level) = self.log_level {
            flag("--log-level", "log.level", level);
        }
        if let Some(format) = self.log_format {
            flag("--log-format", "log.format", format);
        }
        for (key, value) in self.set {
            flag("--set", &key, value);
        }
        Sources {
            file,
            variables,
            flags,
            replaced,
        }
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("must be KEY=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_value_may_hold_an_equals_sign() {
        let pair = |key: &str, value: &str| Ok((key.to_owned(), value.to_owned()));
        assert_eq!(key_and_value("a.b=c=d"), pair("a.b", "c=d"));
        assert_eq!(key_and_value("a="), pair("a", ""));
        assert!(key_and_value("a").is_err());
        assert!(key_and_value("=a").is_err());
    }

    #[test]
    fn the_flag_goes_before_the_variable() {
        let variables = vec![(CONFIG_VARIABLE.into(), "variable.toml".into())];
        let file = |args: &[&str]| {
            let options = Cli::parse_from(args).options;
            options
                .sources(variables.clone())
                .file
                .map(|file| (file.path, file.named_by))
        };
        assert_eq!(
            file(&["lubdub"]),
            Some((
                "variable.toml".into(),
                Origin::Variable(CONFIG_VARIABLE.to_owned())
            ))
        );
        for args in [
            &["check", "--config", "flag.toml"][..],
            &["check", "-c", "flag.toml"],
            &["-c", "flag.toml", "check"],
            &["-cflag.toml"],
        ] {
            assert_eq!(
                file(&[&["lubdub"], args].concat()),
                Some(("flag.toml".into(), Origin::Flag("--config".to_owned()))),
                "{args:?}"
            );
        }
    }
}
