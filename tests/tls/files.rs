//! Files of certificates, and the program that reads them.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use lubdub_testkit::binary::Binary;
use lubdub_testkit::certs::Certs;
use lubdub_testkit::peer::Upstream;

/// A directory of certificates: below the name of each `cert.pem` and `key.pem`.
pub(crate) struct Files {
    root: PathBuf,
    /// How often certificates were put there.
    puts: Cell<usize>,
}

impl Files {
    /// An empty one that is named after the test.
    pub(crate) fn new(test: &str) -> Self {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("renewal")
            .join(test);
        if directory.exists() {
            fs::remove_dir_all(&directory).expect("an old directory goes");
        }
        fs::create_dir_all(&directory).expect("a new directory");
        Self {
            root: directory,
            puts: Cell::new(0),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes a file as it is.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("a file can be written");
    }

    /// Moves a file there in place of the one before, as careful programs do.
    pub(crate) fn replace(&self, name: &str, text: &str) {
        self.write("new", text);
        fs::rename(self.path("new"), self.path(name)).expect("a file can be moved");
    }

    /// Makes a directory with both files of a certificate.
    pub(crate) fn fill(&self, directory: &str, certs: &Certs) {
        fs::create_dir(self.path(directory)).expect("a new directory");
        self.write(&format!("{directory}/cert.pem"), certs.chain_pem());
        self.write(&format!("{directory}/key.pem"), certs.key_pem());
    }

    /// Makes `name` a symbolic link to `to`, in place of the one before.
    pub(crate) fn link(&self, name: &str, to: &str) {
        symlink(to, self.path("new")).expect("a new link");
        fs::rename(self.path("new"), self.path(name)).expect("a link can be moved");
    }

    /// Puts both files of a certificate there, in one moment.
    pub(crate) fn put(&self, name: &str, certs: &Certs) {
        self.puts.set(self.puts.get() + 1);
        let directory = format!("{name}.{}", self.puts.get());
        self.fill(&directory, certs);
        self.link(name, &directory);
    }

    /// lubdub with these certificates, whose files it looks at all the time.
    pub(crate) async fn lubdub(&self, upstreams: &Upstream, names: &[&str]) -> Binary {
        self.lubdub_that_looks("10ms", upstreams, names).await
    }

    /// lubdub with these certificates, whose files it looks at so often.
    pub(crate) async fn lubdub_that_looks(
        &self,
        every: &str,
        upstreams: &Upstream,
        names: &[&str],
    ) -> Binary {
        self.lubdub_with(every, upstreams, names, &[]).await
    }

    /// The same, with these settings besides.
    pub(crate) async fn lubdub_with(
        &self,
        every: &str,
        upstreams: &Upstream,
        names: &[&str],
        more: &[String],
    ) -> Binary {
        let mut settings = vec![format!("listen.main.tls.watch={every}")];
        settings.extend_from_slice(more);
        for name in names {
            let table = format!("listen.main.tls.certificate.{name}");
            let directory = self.path(name);
            let directory = directory.display();
            settings.push(format!("{table}.cert={directory}/cert.pem"));
            settings.push(format!("{table}.key={directory}/key.pem"));
        }
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        Binary::start(upstreams, &settings).await
    }
}
