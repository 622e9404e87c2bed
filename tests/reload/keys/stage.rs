//! The real program with a file of its own, of which one key after the other changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::{Dial, Peer, Upstream};
use serde_json::{Value, json};

/// What is declared of a key.
#[derive(Debug)]
pub(super) struct Declared {
    /// What a reload does with it, in the words of the answer.
    pub(super) applies: String,
    is_per_route: bool,
}

/// A key, in its table or for one route.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) key: &'static str,
    /// What is put in front of it.
    pub(super) route: &'static str,
}

/// A lubdub and its file.
pub(super) struct Stage {
    pub(super) lubdub: Binary,
    pub(super) upstreams: Upstream,
    /// The file, as keys and values.
    settings: BTreeMap<String, String>,
    file: PathBuf,
    declared: BTreeMap<String, Declared>,
}

/// Every key, as the reference has it, which is made from the declaration.
pub(super) fn declared() -> BTreeMap<String, Declared> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/config.md");
    let page = fs::read_to_string(page).expect("the reference is there");
    let mut declared = BTreeMap::new();
    let mut table = "";
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            table = heading;
        }
        let cells: Vec<&str> = line.split(" | ").collect();
        let name = cells[0].strip_prefix("| `");
        if let (Some(name), [_, _, _, per_route, applies, _]) = (name, &cells[..]) {
            let key = format!("{table}.{}", name.trim_end_matches('`'));
            let of_key = Declared {
                applies: (*applies).to_owned(),
                is_per_route: !per_route.trim().is_empty(),
            };
            declared.insert(key, of_key);
        }
    }
    assert!(declared.len() > 50, "the reference can be read");
    declared
}

// === impl Declared ===

impl Declared {
    /// What can stand in front of the key.
    pub(super) fn places(&self) -> Vec<&'static str> {
        match self.is_per_route {
            true => vec!["", "route.main."],
            false => vec![""],
        }
    }
}

// === impl Place ===

impl Place {
    /// The whole key, with names.
    pub(super) fn key(self) -> String {
        format!("{}{}", self.route, self.key.replace("NAME", "main"))
    }

    /// A file of its own.
    pub(super) fn file(self, name: &str) -> PathBuf {
        let place = self.key().replace('.', "-");
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("key-{place}-{name}"))
    }

    /// A lubdub with these settings, before an upstream.
    pub(super) async fn stage(self, settings: &[(&str, &str)]) -> Stage {
        Stage::start(self, Upstream::listen(), settings).await
    }

    /// A lubdub with these settings and this value.
    pub(super) async fn stage_at(self, value: &str, settings: &[(&str, &str)]) -> Stage {
        let key = self.key();
        self.stage(&[settings, &[(&*key, value)]].concat()).await
    }
}

// === impl Stage ===

impl Stage {
    pub(super) async fn start(place: Place, upstreams: Upstream, set: &[(&str, &str)]) -> Self {
        let url = format!("ws://{}", upstreams.address());
        let all = [
            ("listen.main.address", "127.0.0.1:0"),
            ("upstream.main.url", &*url),
            ("route.main.upstream", "main"),
            ("admin.address", "127.0.0.1:0"),
        ];
        let all = all.iter().chain(set);
        let all = all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let settings = all.collect();
        let file = place.file("lubdub.toml");
        write(&file, &settings);
        let lubdub = match place.key {
            // Flags would be stronger than the file.
            "log.format" => Binary::start_from_alone(&file).await,
            _ => Binary::start_from(&file).await,
        };
        Self {
            lubdub,
            upstreams,
            settings,
            file,
            declared: declared(),
        }
    }

    /// Changes the value of a key, and has the file read again.
    pub(super) async fn set(&mut self, place: Place, value: &str) {
        self.set_all(&[(&*place.key(), value)]).await;
    }

    /// The same for several keys, which are all that is told of.
    pub(super) async fn set_all(&mut self, set: &[(&str, &str)]) {
        let (status, said) = self.try_set(set).await;
        assert_eq!(status, 200, "{set:?}: {said}");
        let told = said["changes"].as_array().expect("changes").iter();
        let told: BTreeMap<_, _> = told
            .map(|it| (text(&it["key"]), text(&it["applies"])))
            .collect();
        let expected = set.iter().map(|(key, _)| {
            let declared = self.declared_of(key);
            ((*key).to_owned(), declared.applies.clone())
        });
        assert_eq!(told, expected.collect(), "what the answer says");
    }

    /// The same, whatever comes of it: the status and the answer.
    pub(super) async fn try_set(&mut self, set: &[(&str, &str)]) -> (u16, Value) {
        for (key, value) in set {
            let (key, value) = ((*key).to_owned(), (*value).to_owned());
            self.settings.insert(key, value);
        }
        self.reload().await
    }

    /// A reload is refused with the key, and says what can change it.
    pub(super) async fn needs_an_upgrade(&mut self, place: Place, value: &str) {
        let (status, said) = self.try_set(&[(&*place.key(), value)]).await;
        assert_eq!((status, &said["outcome"]), (422, &json!("refused")));
        let mistake = said["mistakes"][0].as_str().expect("a mistake");
        assert!(mistake.starts_with(place.key), "{mistake}");
        let way = "an upgrade can: lubdub upgrade";
        assert!(mistake.ends_with(way), "{mistake}");
    }

    /// Changes the file, which is not read yet.
    pub(super) fn put(&mut self, key: &str, value: &str) {
        self.settings.insert(key.to_owned(), value.to_owned());
    }

    /// Has the file read again without this key.
    pub(super) async fn unset(&mut self, keys: &[&str]) -> (u16, Value) {
        for key in keys {
            self.settings.remove(*key);
        }
        self.reload().await
    }

    async fn reload(&self) -> (u16, Value) {
        write(&self.file, &self.settings);
        let (status, said) = self.lubdub.change("/api/v1/reload", "{}").await;
        (
            status,
            serde_json::from_str(&said).unwrap_or_else(|_| json!(said)),
        )
    }

    fn declared_of(&self, key: &str) -> &Declared {
        let alone = key.strip_prefix("route.main.");
        let candidates = self.declared.iter().filter(|(path, _)| {
            let path = path.replace("NAME", "main");
            path == key || Some(&*path) == alone
        });
        let mut candidates: Vec<_> = candidates.collect();
        // `route.NAME.limits.pairs` is not `limits.pairs` for one route.
        candidates.sort_by_key(|(path, of_key)| !(path.contains("NAME") || of_key.is_per_route));
        candidates.first().expect("it is a key").1
    }

    // --- what goes through it

    pub(super) fn dial(&self) -> Dial {
        self.lubdub.dial()
    }

    pub(super) async fn pair(&self) -> (Peer, Peer) {
        self.lubdub.pair(&self.upstreams).await
    }

    /// A client that asks for this.
    pub(super) async fn ask(&self, request: &Request) -> Peer {
        let mut client = self.dial().connect().await;
        client.ask(request).await;
        client
    }

    /// An upgrade that is answered with this status.
    pub(super) async fn refused(&self, status: u16) {
        let mut client = self.ask(&Request::upgrade("/")).await;
        client.expect_answer(status).await;
    }

    /// The upstream's next connection brings a request, which it answers.
    pub(super) async fn answers(&self) -> Peer {
        let mut upstream = self.upstreams.accept().await;
        answer(&mut upstream).await;
        upstream
    }

    /// Orders a drain, of all that there is.
    pub(super) async fn drain(&self) -> Value {
        self.lubdub.changed("/api/v1/drain", &json!({})).await
    }
}

/// Answers the next request.
pub(super) async fn answer(upstream: &mut Peer) {
    upstream.expect_head().await;
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    upstream.send(ok).await;
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("none").to_owned()
}

/// Writes the file: what is no number, list or truth is text. So are permissions (`0640`).
fn write(file: &Path, settings: &BTreeMap<String, String>) {
    let line = |(key, value): (&String, &String)| {
        let is_octal = value.len() > 1 && value.starts_with('0') && !value.contains('.');
        let is_number = value.parse::<f64>().is_ok() && !is_octal;
        let is_bare = value.starts_with('[') || is_number || value.parse::<bool>().is_ok();
        match is_bare {
            true => format!("{key} = {value}\n"),
            false => format!("{key} = {value:?}\n"),
        }
    };
    let text: String = settings.iter().map(line).collect();
    fs::write(file, text).expect("a file of the test's own");
}
