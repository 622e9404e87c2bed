//! The program in a place of its own, where it can be replaced as an installation does.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::binary;

/// A directory of its own, gone with the test.
#[derive(Debug)]
pub struct Installed(PathBuf);

// === impl Installed ===

impl Installed {
    /// # Panics
    /// If there can be no such directory.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("lubdub-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&place);
        fs::create_dir(&place).expect("a new directory");
        Self(place)
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A copy of the program, which can be replaced.
    ///
    /// # Panics
    /// If the program is not built.
    #[must_use]
    pub fn program(&self) -> PathBuf {
        let copy = self.0.join("lubdub");
        if fs::hard_link(binary::path(), &copy).is_err() {
            fs::copy(binary::path(), &copy).expect("the program is there");
        }
        copy
    }

    /// Puts the same program in its place, as another file.
    ///
    /// # Panics
    /// If it cannot.
    pub fn install_again(&self) {
        let content = fs::read(binary::path()).expect("the program is there");
        self.put(&content, 0o755);
    }

    /// Puts a file in the place of the program, as an installation does.
    ///
    /// # Panics
    /// If it cannot.
    pub fn put(&self, content: &[u8], mode: u32) {
        let new = self.0.join("new");
        fs::write(&new, content).expect("a new file");
        fs::set_permissions(&new, fs::Permissions::from_mode(mode)).expect("it is ours");
        fs::rename(new, self.0.join("lubdub")).expect("it is ours");
    }

    /// Another file.
    ///
    /// # Panics
    /// If it cannot be written.
    #[must_use]
    pub fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, content).expect("a new file");
        path
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
