//! The program as its operators meet it: real runs with an environment of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A run of lubdub, before it runs: no environment, in a directory of its own.
struct Lubdub {
    command: Command,
    directory: PathBuf,
}

/// What came of a run.
struct Outcome {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

const USAGE: Option<i32> = Some(64);
const CONFIGURATION: Option<i32> = Some(78);
const MINIMUM: [&str; 4] = [
    "--listen",
    "127.0.0.1:0",
    "--upstream",
    "ws://127.0.0.1:9000",
];
const MINIMAL_FILE: &str = "\
[listen.public]
address = \"127.0.0.1:0\"
[upstream.chat]
url = \"ws://127.0.0.1:9000\"
";

impl Lubdub {
    /// A run in a directory that is named after the test.
    fn new(test: &str) -> Self {
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
    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.directory.join(name), text).expect("a new file");
        self
    }

    /// With a variable in its environment.
    fn variable(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// In a directory below its own.
    fn below(mut self, name: &str) -> Self {
        let below = self.directory.join(name);
        fs::create_dir_all(&below).expect("a new directory");
        self.command.current_dir(below);
        self
    }

    fn run(mut self, args: &[&str]) -> Outcome {
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
    fn expect_ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stderr, "");
        self.stdout
    }

    /// The mistakes that it names, a line each.
    fn expect_mistakes(self) -> Vec<String> {
        assert_eq!(self.code, CONFIGURATION, "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "");
        self.stderr
            .lines()
            .skip(1)
            .map(|line| line.trim().to_owned())
            .collect()
    }
}

fn check(args: &[&'static str]) -> Vec<&'static str> {
    [&["check"], args].concat()
}

// === Mistakes ===

#[test]
fn a_mistake_names_key_value_and_origin_whatever_the_origin() {
    let wrong = "needs a unit (ms, s, m, h or d), as in \"5s\", or \"off\"";

    let file = format!("{MINIMAL_FILE}[keepalive.client]\ninterval = \"5\"\n");
    let from_file = Lubdub::new("mistake_in_file")
        .file("lubdub.toml", &file)
        .run(&["check", "--config", "lubdub.toml"])
        .expect_mistakes();
    assert_eq!(
        from_file,
        [format!(
            "keepalive.client.interval = \"5\" (lubdub.toml): {wrong}"
        )]
    );

    let from_variable = Lubdub::new("mistake_in_variable")
        .variable("LUBDUB__KEEPALIVE__CLIENT__INTERVAL", "5")
        .run(&check(&MINIMUM))
        .expect_mistakes();
    assert_eq!(
        from_variable,
        [format!(
            "keepalive.client.interval = \"5\" (LUBDUB__KEEPALIVE__CLIENT__INTERVAL): {wrong}"
        )]
    );

    let from_flag = Lubdub::new("mistake_in_set")
        .run(&check(
            &[&MINIMUM[..], &["--set", "keepalive.client.interval=5"]].concat(),
        ))
        .expect_mistakes();
    assert_eq!(
        from_flag,
        [format!(
            "keepalive.client.interval = \"5\" (--set): {wrong}"
        )]
    );

    let from_listen = Lubdub::new("mistake_in_listen")
        .run(&["check", "--listen", "localhost", "--upstream", "ws://h"])
        .expect_mistakes();
    let [mistake] = &from_listen[..] else {
        panic!("{from_listen:?}")
    };
    assert!(mistake.starts_with("listen.main.address = \"localhost\" (--listen): must be"));
}

#[test]
fn a_number_without_a_unit_is_told_about_units() {
    let file = format!("{MINIMAL_FILE}[timeouts]\nconnect = 5\n");
    let mistakes = Lubdub::new("number_for_duration")
        .file("lubdub.toml", &file)
        .run(&["check", "--config", "lubdub.toml"])
        .expect_mistakes();
    assert_eq!(
        mistakes,
        ["timeouts.connect = 5 (lubdub.toml): needs a unit (ms, s, m, h or d), as in \"5s\""]
    );
}

#[test]
fn mistakes_of_all_layers_are_reported_at_once() {
    let file = format!("{MINIMAL_FILE}[timeouts]\nconect = \"5s\"\nclose = \"0s\"\n");
    let outcome = Lubdub::new("several_mistakes")
        .file("lubdub.toml", &file)
        .variable("LUBDUB__LOG__LEVEL", "loud")
        .variable("LUBDUB__LIMITS__HANDSHAKES", "0")
        .run(&[
            "check",
            "--config",
            "lubdub.toml",
            "--set",
            "close.to_client.drain=1006",
        ]);
    assert!(
        outcome
            .stderr
            .starts_with("lubdub: the configuration has 5 mistakes\n")
    );
    let mut mistakes = outcome.expect_mistakes();
    mistakes.sort();
    assert_eq!(
        mistakes,
        [
            "close.to_client.drain = 1006 (--set): close code 1006 is only reported to \
             applications and must never be sent",
            "limits.handshakes = 0 (LUBDUB__LIMITS__HANDSHAKES): must be a whole number above zero",
            "log.level = \"loud\" (LUBDUB__LOG__LEVEL): must be one of \"error\", \"warn\", \
             \"info\", \"debug\", \"trace\"",
            "timeouts.close = \"0s\" (lubdub.toml): must be longer than zero",
            "timeouts.conect = \"5s\" (lubdub.toml): unknown key; did you mean timeouts.connect?",
        ]
    );
}

#[test]
fn an_unknown_variable_is_refused_with_a_suggestion() {
    let mistakes = Lubdub::new("unknown_variable")
        .variable("LUBDUB__KEEPALVIE__CLIENT__INTERVAL", "5s")
        .variable("LUBDUB__", "x")
        .run(&check(&MINIMUM))
        .expect_mistakes();
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    assert!(
        mistakes[0].contains("(LUBDUB__): unknown key"),
        "{mistakes:?}"
    );
    assert_eq!(
        mistakes[1],
        "keepalvie (LUBDUB__KEEPALVIE__CLIENT__INTERVAL): unknown key; did you mean keepalive?"
    );
}

// === The file ===

#[test]
fn a_file_that_was_asked_for_must_be_there() {
    let flag = Lubdub::new("missing_file").run(&["check", "--config", "none.toml"]);
    let mistakes = flag.expect_mistakes();
    let [mistake] = &mistakes[..] else {
        panic!("{mistakes:?}")
    };
    assert!(
        mistake.starts_with("none.toml (--config): No such file"),
        "{mistake}"
    );

    let variable = Lubdub::new("missing_file_of_variable")
        .variable("LUBDUB_CONFIG", "none.toml")
        .run(&check(&MINIMUM));
    let mistakes = variable.expect_mistakes();
    assert!(
        mistakes[0].starts_with("none.toml (LUBDUB_CONFIG): No such file"),
        "{mistakes:?}"
    );
}

#[test]
fn parent_directories_are_not_searched() {
    let lubdub = Lubdub::new("parents").file("lubdub.toml", MINIMAL_FILE);
    let mistakes = lubdub
        .below("below")
        .run(&["check", "--config", "lubdub.toml"]);
    assert!(mistakes.expect_mistakes()[0].starts_with("lubdub.toml (--config): No such file"));

    let lubdub = Lubdub::new("parents").file("lubdub.toml", MINIMAL_FILE);
    lubdub
        .below("below")
        .run(&["check", "--config", "../lubdub.toml"])
        .expect_ok();
}

#[test]
fn a_file_that_is_not_toml_is_shown_with_the_line() {
    let mistakes = Lubdub::new("not_toml")
        .file("lubdub.toml", "[log]\nlevel = info\n")
        .run(&["check", "--config", "lubdub.toml"])
        .expect_mistakes();
    assert!(
        mistakes[0].starts_with("lubdub.toml (--config): "),
        "{mistakes:?}"
    );
    assert!(
        mistakes.iter().any(|line| line.contains("level = info")),
        "{mistakes:?}"
    );
}

#[test]
fn the_variable_names_the_file_and_layers_are_merged_by_key() {
    let file = format!(
        "{MINIMAL_FILE}[keepalive.client]\ninterval = \"7s\"\ntimeout = \"8s\"\nmode = \"idle\"\n"
    );
    let effective = Lubdub::new("layers")
        .file("my.toml", &file)
        .variable("LUBDUB_CONFIG", "my.toml")
        .variable("LUBDUB__KEEPALIVE__CLIENT__TIMEOUT", "9s")
        .variable("LUBDUB__KEEPALIVE__CLIENT__MODE", "interval")
        .run(&["config", "effective", "--set", "keepalive.client.mode=idle"])
        .expect_ok();
    let section = effective.split("[keepalive.client]\n").nth(1).unwrap();
    let section = section.split("\n\n").next().unwrap();
    assert_eq!(
        section,
        "boundary_wait = \"5s\"  # default\n\
         enforce = \"always\"    # default\n\
         evidence = \"any\"      # default\n\
         interval = \"7s\"       # my.toml\n\
         jitter = 0.1          # default\n\
         mode = \"idle\"         # --set\n\
         timeout = \"9s\"        # LUBDUB__KEEPALIVE__CLIENT__TIMEOUT"
    );
}

// === What is printed ===

#[test]
fn two_flags_are_a_whole_configuration() {
    let summary = Lubdub::new("two_flags").run(&check(&MINIMUM)).expect_ok();
    for line in [
        "ok",
        "listen main: ws://127.0.0.1:0",
        "route main: */ to main",
        "upstream main: ws://127.0.0.1:9000",
    ] {
        assert!(
            summary.lines().any(|said| said == line),
            "{line}\n{summary}"
        );
    }
}

#[test]
fn two_flags_replace_the_listeners_upstreams_and_routes_below() {
    let file =
        format!("{MINIMAL_FILE}[route.chat]\nupstream = \"chat\"\n[log]\nlevel = \"debug\"\n");
    let effective = Lubdub::new("replaced")
        .file("lubdub.toml", &file)
        .variable("LUBDUB__UPSTREAM__OTHER__URL", "nonsense")
        .run(
            &[
                &["config", "effective", "--config", "lubdub.toml"],
                &MINIMUM[..],
            ]
            .concat(),
        )
        .expect_ok();
    for gone in ["chat", "public", "other"] {
        assert!(!effective.contains(gone), "{gone}\n{effective}");
    }
    for line in [
        "address = \"127.0.0.1:0\"  # --listen",
        "url = \"ws://127.0.0.1:9000\"  # --upstream",
        "upstream = \"main\"  # default",
        "level = \"debug\"  # lubdub.toml",
    ] {
        assert!(effective.contains(line), "{line}\n{effective}");
    }
}

#[test]
fn the_effective_configuration_is_a_file_with_the_same_effect() {
    let first = Lubdub::new("effective")
        .variable("LUBDUB__LIMITS__PAIRS", "100")
        .variable("LUBDUB__FORWARDED__TRUST", "10.0.0.0/8")
        .run(&[&["config", "effective"], &MINIMUM[..]].concat())
        .expect_ok();
    let again = Lubdub::new("effective_again")
        .file("lubdub.toml", &first)
        .run(&["config", "effective", "--config", "lubdub.toml"])
        .expect_ok();
    let values = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| {
                line.split("  #")
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_owned()
            })
            .collect()
    };
    assert_eq!(values(&first), values(&again));
}

#[test]
fn the_defaults_are_a_file_that_changes_nothing() {
    let defaults = Lubdub::new("defaults")
        .run(&["config", "defaults"])
        .expect_ok();
    let with = Lubdub::new("defaults_file")
        .file("lubdub.toml", &defaults)
        .run(&[&["check", "--config", "lubdub.toml"], &MINIMUM[..]].concat())
        .expect_ok();
    let without = Lubdub::new("no_file").run(&check(&MINIMUM)).expect_ok();
    assert_eq!(with, without);
}

#[test]
fn the_example_runs_as_it_is() {
    let example = Lubdub::new("example")
        .run(&["config", "example"])
        .expect_ok();
    let summary = Lubdub::new("example_file")
        .file("lubdub.toml", &example)
        .run(&["check", "--config", "lubdub.toml"])
        .expect_ok();
    assert!(summary.contains("route chat: */ to chat"), "{summary}");
}

#[test]
fn the_version_is_short_or_long() {
    let short = Lubdub::new("version").run(&["-V"]).expect_ok();
    assert_eq!(short, format!("lubdub {}\n", env!("CARGO_PKG_VERSION")));
    let long = Lubdub::new("long_version").run(&["--version"]).expect_ok();
    let revision = long
        .strip_prefix(&format!("lubdub {} (", env!("CARGO_PKG_VERSION")))
        .and_then(|rest| rest.strip_suffix(")\n"));
    assert!(
        revision.is_some_and(|revision| !revision.is_empty()),
        "{long}"
    );
}

#[test]
fn wrong_usage_is_64() {
    for args in [
        &["--nonsense"][..],
        &["nonsense"],
        &["--set", "novalue"],
        &["config"],
    ] {
        let outcome = Lubdub::new("usage").run(args);
        assert_eq!(outcome.code, USAGE, "{args:?}: {}", outcome.stderr);
        assert_eq!(outcome.stdout, "");
    }
    assert!(
        Lubdub::new("help")
            .run(&["--help"])
            .expect_ok()
            .contains("--config")
    );
}

#[test]
fn nothing_to_run_is_a_wrong_configuration() {
    let mistakes = Lubdub::new("nothing").run(&[]).expect_mistakes();
    assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    assert!(mistakes[0].starts_with("listen: there is no listener"));
    assert!(mistakes[1].starts_with("upstream: there is no upstream"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let mut lubdub = Lubdub::new("broken_pipe");
    let mut child = lubdub
        .command
        .args(["config", "reference"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Whether this comes before or after the writing, it must not matter.
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

// === Files that the configuration names ===

const TLS: &str = "\
[listen.public]
address = \"127.0.0.1:0\"
[listen.public.tls.certificate.main]
cert = \"cert.pem\"
key = \"key.pem\"
[upstream.chat]
url = \"wss://chat.example\"
ca = \"cert.pem\"
";

/// A certificate and its key, as PEM.
fn certificate() -> (String, String) {
    let made =
        rcgen::generate_simple_self_signed(["chat.example".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

#[test]
fn certificates_are_loaded() {
    let (cert, key) = certificate();
    let summary = Lubdub::new("tls")
        .file("lubdub.toml", TLS)
        .file("cert.pem", &cert)
        .file("key.pem", &key)
        .run(&["check", "--config", "lubdub.toml"])
        .expect_ok();
    assert!(
        summary.contains("listen public: wss://127.0.0.1:0"),
        "{summary}"
    );
    assert!(
        summary.contains("upstream chat: wss://chat.example:443"),
        "{summary}"
    );
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let ((cert, _), (_, key)) = (certificate(), certificate());
    let mistakes = Lubdub::new("tls_mismatch")
        .file("lubdub.toml", TLS)
        .file("cert.pem", &cert)
        .file("key.pem", &key)
        .run(&["check", "--config", "lubdub.toml"])
        .expect_mistakes();
    assert_eq!(
        mistakes,
        ["listen.public.tls.certificate.main: the key does not belong to the certificate"]
    );
}

#[test]
fn files_that_do_not_hold_what_they_should_are_named() {
    let (cert, _) = certificate();
    let mistakes = Lubdub::new("tls_wrong_files")
        .file("lubdub.toml", TLS)
        .file("key.pem", &cert)
        .run(&[
            "check",
            "--config",
            "lubdub.toml",
            "--set",
            "admin.token_file=none",
        ])
        .expect_mistakes();
    let expected = [
        "listen.public.tls.certificate.main.cert = \"cert.pem\" (lubdub.toml): cannot be read",
        "listen.public.tls.certificate.main.key = \"key.pem\" (lubdub.toml): names a file without \
         a private key",
        "upstream.chat.ca = \"cert.pem\" (lubdub.toml): cannot be read",
        "admin.token_file = \"none\" (--set): cannot be read",
    ];
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:#?}");
    for (mistake, expected) in mistakes.iter().zip(expected) {
        assert!(mistake.starts_with(expected), "{mistake}");
    }
}

#[test]
fn a_listener_with_tls_takes_one_certificate() {
    let more = "[listen.public.tls.certificate.other]\ncert = \"cert.pem\"\nkey = \"key.pem\"\n";
    for (test, file, count) in [
        ("tls_two", format!("{TLS}{more}"), 2),
        (
            "tls_none",
            format!("{MINIMAL_FILE}[listen.public.tls]\n"),
            0,
        ),
    ] {
        let (cert, _) = certificate();
        let mistakes = Lubdub::new(test)
            .file("lubdub.toml", &file)
            .file("cert.pem", &cert)
            .run(&["check", "--config", "lubdub.toml"])
            .expect_mistakes();
        assert_eq!(
            mistakes,
            [format!(
                "listen.public.tls.certificate: must have exactly one certificate, not {count}"
            )]
        );
    }
}
