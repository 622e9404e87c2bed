//! The file, and the layers above it.

use super::program::{Lubdub, MINIMAL_FILE, MINIMUM, check};

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
        mistakes[0].starts_with("none.toml (LUBDUB_CONFIG): No such file")
            && mistakes[0].ends_with("/missing_file_of_variable/none.toml"),
        "{mistakes:?}"
    );
}

#[test]
fn check_takes_the_file_without_a_flag_as_well() {
    let lubdub = || Lubdub::new("positional").file("lubdub.toml", MINIMAL_FILE);
    lubdub().run(&["check", "lubdub.toml"]).expect_ok();
    let missing = lubdub().run(&["check", "none.toml"]).expect_mistakes();
    assert!(
        missing[0].starts_with("none.toml (--config): No such file"),
        "{missing:?}"
    );
    let both = lubdub().run(&["check", "lubdub.toml", "-c", "lubdub.toml"]);
    assert_eq!(both.code, Some(64), "{}", both.stderr);
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
