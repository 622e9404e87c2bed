//! What is made of the one definition of the command line: completions and manual pages.

use super::program::{Lubdub, USAGE};

const COMMANDS: [&str; 17] = [
    "run",
    "demo",
    "check",
    "explain",
    "config",
    "probe",
    "healthcheck",
    "status",
    "pairs",
    "ends",
    "top",
    "close",
    "drain",
    "reload",
    "upgrade",
    "completions",
    "man",
];

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Lubdub::new("completions")
            .run(&["completions", shell])
            .expect_ok();
        let short = match shell {
            "fish" => "-s c -l config",
            _ => "-c",
        };
        for word in
            COMMANDS
                .into_iter()
                .chain(["deny-warnings", "subprotocol", "upgrade-if-new", short])
        {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    let outcome = Lubdub::new("completions").run(&["completions", "csh"]);
    assert_eq!(outcome.code, USAGE);
}

#[test]
fn the_manual_names_every_command_and_has_a_page_for_each() {
    let page = Lubdub::new("man").run(&["man"]).expect_ok();
    assert!(page.contains(".TH lubdub 1"), "{page}");
    for command in COMMANDS {
        assert!(
            page.contains(&format!("lubdub\\-{command}(1)")),
            "{command}"
        );
        let own = Lubdub::new("man").run(&["man", command]).expect_ok();
        assert!(own.contains(&format!(".TH lubdub-{command} 1")), "{own}");
        assert!(
            own.contains("\\fB\\-c\\fR, \\fB\\-\\-config\\fR"),
            "{command}: {own}"
        );
    }
    let nested = Lubdub::new("man")
        .run(&["man", "config", "effective"])
        .expect_ok();
    assert!(nested.contains(".TH lubdub-config-effective 1"), "{nested}");

    for unknown in [&["nothing"][..], &["effective"], &["run", "nothing"]] {
        let outcome = Lubdub::new("man").run(&[&["man"], unknown].concat());
        assert_eq!(outcome.code, USAGE, "{unknown:?}: {}", outcome.stderr);
        let words = format!("there is no command '{}'", unknown.join(" "));
        assert!(outcome.stderr.contains(&words), "{}", outcome.stderr);
    }
}

#[test]
fn help_knows_every_command_and_how_to_begin() {
    let help = Lubdub::new("help").run(&["--help"]).expect_ok();
    for command in COMMANDS {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
    }
    let listed = help
        .split_once("Commands:\n")
        .and_then(|(_, rest)| rest.split_once("\n\n"));
    let (listed, _) = listed.expect("commands are listed");
    let listed = listed
        .lines()
        .map_while(|line| line.split_whitespace().next());
    let unknown: Vec<_> = listed
        .filter(|command| *command != "help" && !COMMANDS.contains(command))
        .collect();
    assert!(unknown.is_empty(), "not looked at here: {unknown:?}");
    assert!(help.contains("lubdub --listen 0.0.0.0:8080 --upstream ws://127.0.0.1:9000"));
    for command in COMMANDS {
        let help = Lubdub::new("help").run(&[command, "--help"]).expect_ok();
        assert!(help.contains("-c, --config <PATH>"), "{command}: {help}");
    }
}
