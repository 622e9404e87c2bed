//! The proxies that are compared, and how each is started: by the configuration that its own
//! experts would write (crates/bench/peers).

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Context;

use super::scenario::Scenario;
use super::template::{Values, fill};
use crate::tls::Certificate;

/// Where programs are looked for besides PATH: Debian's place for daemons.
const DAEMONS: &str = "/usr/sbin";
/// The pairs that 20,000 file descriptors carry, with room for what else a proxy opens.
const PAIRS: u32 = 9_900;
/// The file descriptors of one process.
const FILES: u32 = 20_000;

/// A proxy.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    /// Its name on the page; a variant's is that of its family, a hyphen and more.
    pub name: &'static str,
    /// What it says of its version.
    pub version: String,
    program: PathBuf,
    recipe: &'static Recipe,
}

/// How a proxy is started.
#[derive(Debug)]
struct Recipe {
    name: &'static str,
    program: &'static str,
    version_flag: &'static str,
    /// The name of its configuration file, and its template.
    config: Option<(&'static str, &'static str)>,
    /// What this variant adds to the values of the template.
    values: &'static [(&'static str, &'static str)],
    /// Its arguments; `{{config}}` is the configuration file.
    args: &'static [&'static str],
    ability: Ability,
}

/// What a proxy can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ability {
    /// Everything.
    All,
    /// It is a variant that only makes a difference to messages as large as a buffer, or larger.
    OnlyLarge,
    /// It is a variant that only makes a difference to bulk.
    OnlyBulk,
    /// It is there for what is measured in slices.
    OnlySliced,
    /// It is lubdub with two workers on all cores, for what sessions cost then.
    OnlyChurn,
    /// It relays bytes on one thread, and knows of nothing else: what sessions and messages cost at least.
    OnlyPlain,
    /// Messages of moderate size on few connections, without TLS, on one thread: websocat passes on
    /// what is longer than its buffer as several messages, does not end a session by itself, and
    /// takes the longer for each connection the more it has.
    OnlySmallRelay,
}

/// What a proxy is to be started for.
#[derive(Debug)]
pub(super) struct Setting<'a> {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where the backend is.
    pub backend: SocketAddr,
    /// How many threads or processes it works with.
    pub workers: usize,
    /// With what it speaks TLS, if it does.
    pub tls: Option<&'a Certificate>,
    /// How often lubdub pings each side, if not by its default.
    pub ping_every: Option<Duration>,
    /// Where files may be put.
    pub directory: &'a Path,
}

const LUBDUB: Recipe = Recipe {
    name: "lubdub",
    program: "lubdub",
    version_flag: "--version",
    config: Some(("lubdub.toml", include_str!("../../peers/lubdub.toml"))),
    values: &[],
    args: &["--config", "{{config}}"],
    ability: Ability::All,
};
const NGINX: Recipe = Recipe {
    name: "nginx",
    program: "nginx",
    version_flag: "-v",
    config: Some(("nginx.conf", include_str!("../../peers/nginx.conf"))),
    values: &[],
    args: &["-e", "{{directory}}/error.log", "-c", "{{config}}"],
    ability: Ability::All,
};
const HAPROXY: Recipe = Recipe {
    name: "haproxy",
    program: "haproxy",
    version_flag: "-v",
    config: Some(("haproxy.cfg", include_str!("../../peers/haproxy.cfg"))),
    values: &[],
    args: &["-q", "-db", "-f", "{{config}}"],
    ability: Ability::All,
};
const FLOOR: Recipe = Recipe {
    name: "floor-epoll",
    program: "lubdub-bench",
    version_flag: "--version",
    config: None,
    values: &[("kind", "epoll")],
    args: &[
        "floor",
        "--kind",
        "{{kind}}",
        "--listen",
        "{{listen}}",
        "--backend",
        "{{backend}}",
    ],
    ability: Ability::OnlyPlain,
};

/// All that is known.
static RECIPES: [Recipe; 13] = [
    LUBDUB,
    // The same once more: what differs between the two is the error of the measurement.
    Recipe {
        name: "lubdub-again",
        ability: Ability::OnlySliced,
        ..LUBDUB
    },
    Recipe {
        name: "lubdub-2w",
        values: &[("workers", "2")],
        ability: Ability::OnlyChurn,
        ..LUBDUB
    },
    FLOOR,
    Recipe {
        name: "floor-tokio",
        values: &[("kind", "tokio")],
        ..FLOOR
    },
    NGINX,
    Recipe {
        name: "nginx-16k",
        values: &[("buffer", "16k"), ("busy", "32k")],
        ..NGINX
    },
    Recipe {
        name: "nginx-32k",
        values: &[("buffer", "32k"), ("busy", "64k")],
        ability: Ability::OnlyLarge,
        ..NGINX
    },
    HAPROXY,
    Recipe {
        name: "haproxy-64k",
        values: &[("buffer", "65536")],
        ability: Ability::OnlyLarge,
        ..HAPROXY
    },
    Recipe {
        name: "haproxy-splice",
        values: &[("splice", "")],
        ability: Ability::OnlyBulk,
        ..HAPROXY
    },
    Recipe {
        name: "envoy",
        program: "envoy",
        version_flag: "--version",
        config: Some(("envoy.yaml", include_str!("../../peers/envoy.yaml"))),
        values: &[],
        args: &[
            "--disable-hot-restart",
            "--log-level",
            "error",
            "--concurrency",
            "{{workers}}",
            "-c",
            "{{config}}",
        ],
        ability: Ability::All,
    },
    Recipe {
        name: "websocat",
        program: "websocat",
        version_flag: "--version",
        config: None,
        values: &[],
        // With a heartbeat of its own, as lubdub has.
        args: &[
            "--binary",
            "-q",
            "--exit-on-eof",
            "--ping-interval=30",
            "--ping-timeout=60",
            "ws-l:{{listen}}",
            "ws://{{backend}}/",
        ],
        ability: Ability::OnlySmallRelay,
    },
];

// === impl Peer ===

impl Peer {
    /// lubdub, and all other proxies of this machine.
    pub(super) fn find(lubdub: &Path) -> anyhow::Result<Vec<Self>> {
        let mut peers = Vec::new();
        for recipe in &RECIPES {
            let program = match recipe.program {
                "lubdub" => Some(lubdub.to_owned()),
                "lubdub-bench" => Some(std::env::current_exe()?),
                program => find_program(program),
            };
            if let Some(program) = program {
                peers.push(Self {
                    name: recipe.name,
                    version: version(&program, recipe.version_flag)
                        .with_context(|| format!("cannot run {}", program.display()))?,
                    program,
                    recipe,
                });
            }
        }
        Ok(peers)
    }

    /// Whether it can do what a scenario asks for.
    pub(super) fn takes_part(&self, scenario: &Scenario, workers: usize) -> bool {
        if scenario.only_lubdub() && self.name != "lubdub" {
            return false;
        }
        match self.recipe.ability {
            Ability::All => true,
            Ability::OnlyLarge => scenario.is_large(),
            Ability::OnlyBulk => scenario.is_bulk(),
            Ability::OnlySliced => scenario.is_sliced(),
            Ability::OnlyChurn => scenario.is_churn() && !scenario.tls && workers == 1,
            Ability::OnlyPlain => scenario.is_sliced() && !scenario.tls && workers == 1,
            Ability::OnlySmallRelay => workers == 1 && !scenario.tls && scenario.is_small_relay(),
        }
    }

    /// Whether it is worth its time in slices: websocat is many times dearer than the others.
    pub(super) fn is_sliced(&self) -> bool {
        self.recipe.ability != Ability::OnlySmallRelay
    }

    /// Whether it sits on all cores, whoever else does.
    pub(super) fn uses_all_cores(&self) -> bool {
        self.recipe.ability == Ability::OnlyChurn
    }

    /// The names of all that are known.
    pub(super) fn names() -> Vec<&'static str> {
        RECIPES.iter().map(|recipe| recipe.name).collect()
    }

    /// All that is known, as if it were on this machine.
    #[cfg(test)]
    pub(super) fn all() -> Vec<Self> {
        (RECIPES.iter())
            .map(|recipe| Self {
                name: recipe.name,
                version: String::new(),
                program: PathBuf::new(),
                recipe,
            })
            .collect()
    }

    /// The command that starts it. Its configuration is written.
    pub(super) fn command(&self, setting: &Setting<'_>) -> anyhow::Result<Command> {
        let mut values = setting.values();
        for (name, value) in self.recipe.values {
            values.insert(name, (*value).to_owned());
        }
        if let Some((file, template)) = self.recipe.config {
            let path = setting.directory.join(file);
            let text = fill(template, &values).with_context(|| format!("in {file}"))?;
            fs::write(&path, text)?;
            values.insert("config", path.display().to_string());
        }
        let mut command = Command::new(&self.program);
        for arg in self.recipe.args {
            command.arg(fill(arg, &values)?);
        }
        Ok(command)
    }
}

// === impl Setting ===

impl Setting<'_> {
    fn values(&self) -> Values {
        let mut values = Values::from([
            ("listen", self.listen.to_string()),
            ("listen_host", self.listen.ip().to_string()),
            ("listen_port", self.listen.port().to_string()),
            ("backend", self.backend.to_string()),
            ("backend_host", self.backend.ip().to_string()),
            ("backend_port", self.backend.port().to_string()),
            ("workers", self.workers.to_string()),
            ("files", FILES.to_string()),
            ("pairs", PAIRS.to_string()),
            ("directory", self.directory.display().to_string()),
        ]);
        if let Some(files) = self.tls {
            values.insert("tls", String::new());
            values.insert("cert", files.cert.display().to_string());
            values.insert("key", files.key.display().to_string());
            values.insert("both", files.both.display().to_string());
        }
        if let Some(interval) = self.ping_every {
            values.insert("interval", format!("{}ms", interval.as_millis()));
        }
        values
    }
}

/// The family of a name: of a variant, what stands before its hyphen.
pub(super) fn family(name: &str) -> &str {
    name.split('-').next().unwrap_or(name)
}

fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from(DAEMONS)])
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
}

/// The first line of what a program says of its version, wherever it says it.
fn version(program: &Path, flag: &str) -> anyhow::Result<String> {
    let output = Command::new(program)
        .arg(flag)
        .stdin(Stdio::null())
        .output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().map(str::trim).find(|line| !line.is_empty());
    // Some tell where they are, or what they were built from, in the same line.
    let line = line
        .unwrap_or("unknown")
        .replace(&format!("{}", program.display()), "");
    Ok(line
        .split(" - ")
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_can_be_filled_in_plain_and_with_tls() {
        let certificate = Certificate {
            cert: "cert.pem".into(),
            key: "key.pem".into(),
            both: "both.pem".into(),
        };
        for recipe in &RECIPES {
            for tls in [None, Some(&certificate)] {
                let setting = Setting {
                    listen: "127.0.0.1:1".parse().unwrap(),
                    backend: "127.0.0.1:2".parse().unwrap(),
                    workers: 3,
                    tls,
                    ping_every: None,
                    directory: Path::new("somewhere"),
                };
                let mut values = setting.values();
                values.extend(
                    (recipe.values.iter()).map(|(name, value)| (*name, (*value).to_owned())),
                );
                values.insert("config", "config".to_owned());
                if let Some((_, template)) = recipe.config {
                    let text = fill(template, &values).unwrap();
                    assert!(text.contains("127.0.0.1"), "{text}");
                    assert_eq!(
                        text.contains("cert.pem") || text.contains("both.pem"),
                        tls.is_some()
                    );
                }
                for arg in recipe.args {
                    fill(arg, &values).unwrap();
                }
            }
        }
    }

    #[test]
    fn a_variant_belongs_to_its_family() {
        assert_eq!(family("nginx-16k"), "nginx");
        assert_eq!(family("envoy"), "envoy");
    }
}
