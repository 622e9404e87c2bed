//! Names in the file, and the same names in variables.

use std::path::PathBuf;

use super::*;

/// A file with this text; it is gone with the guard.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("lubdub-{}-{name}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn source(&self) -> Option<FileSource> {
        Some(FileSource {
            path: self.0.clone(),
            named_by: Origin::Flag("--config".to_owned()),
        })
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A name with a hyphen or a capital could not be said by a variable.
#[test]
fn every_name_can_be_said_by_a_variable_and_is_shown_as_the_file_writes_it() {
    let file = File::new(
        "names",
        "[listen.public]\naddress = \"127.0.0.1:0\"\n\
         [upstream.Back-End]\nurl = \"ws://b\"\n\
         [route.chat-v2]\npath_prefix = \"/a\"\nupstream = \"back_end\"\n",
    );
    let variables = [
        ("LUBDUB__ROUTE__CHAT_V2__KEEPALIVE__CLIENT__INTERVAL", "7s"),
        ("LUBDUB__UPSTREAM__BACK_END__LIMITS__WAITING", "0"),
    ];
    let mut sources = Sources {
        file: file.source(),
        variables: variables
            .map(|(name, value)| (name.into(), value.into()))
            .to_vec(),
        ..flags(&[("route.CHAT-V2.path_prefix", "/b")])
    };
    let mistakes = load(&sources, &MACHINE).unwrap_err().to_string();
    assert!(
        mistakes.contains(
            "upstream.Back-End.limits.waiting = 0 (LUBDUB__UPSTREAM__BACK_END__LIMITS__WAITING): "
        ),
        "{mistakes}"
    );
    sources.variables.pop();
    let config = load(&sources, &MACHINE).unwrap();
    let [route] = &config.settings.routes[..] else {
        panic!("{:?}", config.settings.routes)
    };
    assert_eq!((&*route.name, &*route.path_prefix), ("chat-v2", "/b"));
    assert_eq!(&*route.upstream.name, "Back-End");
    let interval = route.terms.keepalive.client.interval();
    assert_eq!(interval, Some(Duration::from_secs(7)));
    let effective = config.effective();
    assert!(!effective.contains("chat_v2"), "{effective}");
}

#[test]
fn two_names_that_no_variable_could_tell_apart_are_refused() {
    let file = File::new(
        "twins",
        "[listen.a]\naddress = \"127.0.0.1:0\"\n\
         [upstream.b]\nurl = \"ws://b\"\n\
         [route.chat-v2]\n[route.chat_v2]\npath_prefix = \"/x\"\n[route.Chat-V2]\n",
    );
    let sources = Sources {
        file: file.source(),
        ..Sources::default()
    };
    let mistakes = load(&sources, &MACHINE).unwrap_err().to_string();
    assert_eq!(
        mistakes.lines().skip(1).collect::<Vec<_>>(),
        ["chat-v2", "chat_v2"].map(|name| format!(
            "  route.{name} ({}): is the same name as Chat-V2: case does not count, and - is as \
             good as _",
            file.0.display()
        ))
    );
}

/// It could not be read, and so was nobody's.
#[test]
fn a_variable_with_a_name_that_is_no_text_is_not_left_out_in_silence() {
    use std::os::unix::ffi::OsStringExt as _;
    let name = std::ffi::OsString::from_vec(b"LUBDUB__LOG__LEVEL\xff".to_vec());
    let sources = Sources {
        variables: vec![(name, "debug".into())],
        ..flags(&[
            ("listen.a.address", "127.0.0.1:0"),
            ("upstream.b.url", "ws://b"),
        ])
    };
    let mistakes = load(&sources, &MACHINE).unwrap_err().to_string();
    assert!(mistakes.contains("its name must be UTF-8"), "{mistakes}");
}

/// The last in the order of bytes won, whatever the other one said.
#[test]
fn two_variables_of_one_key_are_a_mistake() {
    for (one, other) in [
        ("LUBDUB__LOG__LEVEL", "LUBDUB__Log__LEVEL"),
        (
            "LUBDUB__ROUTE__R-X__UPSTREAM",
            "LUBDUB__ROUTE__R_X__UPSTREAM",
        ),
    ] {
        let sources = Sources {
            variables: [other, one].map(|name| (name.into(), "b".into())).into(),
            ..flags(&[
                ("listen.a.address", "127.0.0.1:0"),
                ("upstream.b.url", "ws://b"),
            ])
        };
        let mistakes = load(&sources, &MACHINE).unwrap_err().to_string();
        let expected = format!("{other}: sets the same key as {one}");
        assert!(mistakes.contains(&expected), "{mistakes}");
    }
}

/// It was called a table, and not shown.
#[test]
fn a_date_is_a_value_that_no_key_takes() {
    let file = File::new(
        "date",
        "[listen.a]\naddress = \"127.0.0.1:0\"\n\
         [upstream.b]\nurl = \"ws://b\"\n\
         [keepalive.client]\ninterval = 1979-05-27T07:32:00Z\n",
    );
    let sources = Sources {
        file: file.source(),
        ..Sources::default()
    };
    let mistakes = load(&sources, &MACHINE).unwrap_err().to_string();
    let told = "keepalive.client.interval = \"1979-05-27T07:32:00Z\" (";
    assert!(mistakes.contains(told), "{mistakes}");
}
