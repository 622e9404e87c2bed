//! Unix sockets in a configuration.

use crate::program::Lubdub;

/// Everything that is wrong with these settings.
fn mistakes(test: &str, settings: &[&str]) -> Vec<String> {
    let mut arguments = vec!["check", "--upstream", "ws://127.0.0.1:9"];
    for setting in settings {
        arguments.extend(["--set", setting]);
    }
    Lubdub::new(test).run(&arguments).expect_mistakes()
}

#[test]
fn what_is_no_place_for_a_socket_is_named() {
    let long = format!("unix:/run/{}", "x".repeat(110));
    for (address, wrong) in [
        ("unix:run/in.sock", "must be a path from the root"),
        ("unix:@lubdub", "is an abstract name"),
        ("unix:/run/lubdub/", "names a directory"),
        (
            &long,
            "is 115 bytes long, and a socket's path has 107 at most",
        ),
        (
            "/run/in.sock",
            "or a unix socket, such as \"unix:/run/lubdub/in.sock\"",
        ),
    ] {
        let listen = format!("listen.main.address={address}");
        let admin = format!("admin.address={address}");
        let mistakes = mistakes("unix-place", &[&listen, &admin]);
        assert_eq!(mistakes.len(), 2, "{mistakes:#?}");
        for (mistake, key) in mistakes
            .iter()
            .zip(["listen.main.address", "admin.address"])
        {
            assert!(
                mistake.starts_with(&format!("{key} = \"{address}\" (--set)")),
                "{mistake}"
            );
            assert!(mistake.contains(wrong), "{mistake}");
        }
    }
    let run = |url: &str| {
        let listen = ["check", "--listen", "127.0.0.1:1", "--upstream", url];
        Lubdub::new("unix-upstream").run(&listen).expect_mistakes()
    };
    assert!(run("unix:app.sock")[0].contains("must be a path from the root"));
    assert!(run("wss+unix:/run/app.sock")[0].contains("needs upstream.main.server_name"));
}

#[test]
fn who_may_connect_is_said_of_unix_sockets_only_and_as_chmod_takes_it() {
    let found = mistakes(
        "unix-mode",
        &[
            "listen.a.address=unix:/run/a.sock",
            "listen.a.mode=0888",
            "listen.b.address=unix:/run/b.sock",
            "listen.b.group=nobody-has-this-name",
            "listen.c.address=127.0.0.1:1",
            "listen.c.mode=0660",
            "listen.d.address=unix:/run/d.sock",
            "listen.d.mode=04755",
            "admin.group=0",
            "handover.mode=0600",
        ],
    );
    let expected = [
        (
            "listen.a.mode = \"0888\"",
            "must be permissions in octal digits",
        ),
        (
            "listen.b.group = \"nobody-has-this-name\"",
            "is no group of this machine",
        ),
        (
            "listen.c.mode = \"0660\"",
            "is for unix sockets only, and listen.c.address is none",
        ),
        (
            "listen.d.mode = \"04755\"",
            "must be permissions in octal digits",
        ),
        (
            "admin.group = 0",
            "is for unix sockets only, and admin.address is none",
        ),
        (
            "handover.mode = \"0600\"",
            "is for unix sockets only, and handover.socket is none",
        ),
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (key, wrong) in expected {
        let is_told = |mistake: &String| mistake.starts_with(key) && mistake.contains(wrong);
        assert!(found.iter().any(is_told), "{key}: {wrong} in {found:#?}");
    }
}

#[test]
fn lubdub_has_each_path_once_and_is_no_upstream_of_its_own() {
    let found = mistakes(
        "unix-twice",
        &[
            "listen.a.address=unix:/run/a.sock",
            "listen.b.address=unix:/run//a.sock",
            "admin.address=unix:/run/admin.sock",
            "handover.socket=/run/admin.sock",
        ],
    );
    assert_eq!(
        found,
        [
            "listen.b.address = \"unix:/run//a.sock\" (--set): is also listen.a.address (--set)",
            "handover.socket = \"/run/admin.sock\" (--set): is also admin.address (--set)",
        ]
    );
    let circle = Lubdub::new("unix-circle").run(&[
        "check",
        "--listen",
        "unix:/run/a.sock",
        "--upstream",
        "unix:///run/a.sock",
    ]);
    let found = circle.expect_mistakes();
    assert!(
        found[0].contains("leads to lubdub itself, listen.main.address"),
        "{found:#?}"
    );
}

#[test]
fn a_summary_says_who_may_connect() {
    let said = Lubdub::new("unix-summary")
        .run(&[
            "check",
            "--listen",
            "unix:/run/in.sock",
            "--upstream",
            "unix:/run/app.sock",
            "--set",
            "listen.main.mode=0660",
            "--set",
            "listen.main.group=0",
            "--set",
            "admin.address=unix:/run/admin.sock",
        ])
        .expect_ok();
    for line in [
        "listen main: unix:/run/in.sock, mode 0660, group 0",
        "upstream main: unix:/run/app.sock",
        "admin: unix:/run/admin.sock, mode 0600, without a token",
    ] {
        assert!(
            said.lines().any(|said| said == line),
            "no {line:?} in {said}"
        );
    }
}
