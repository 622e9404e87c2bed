//! Files that the configuration names: where a path leads.
//!
//! A relative path in a file begins where that file is, so that the two can be moved together and
//! lubdub be started from anywhere. In a variable or a flag it begins in the working directory.

use std::path::{Path, PathBuf};

use super::error::Wrong;
use super::leaf::Leaf;
use super::origin::Origin;
use super::read;

/// The path that `leaf` names.
///
/// # Errors
/// If it is none, or is relative and nothing is there: then the place is said where it was looked for.
pub(super) fn path(leaf: &Leaf) -> Result<PathBuf, Wrong> {
    let path = Path::new(read::text(&leaf.value)?);
    if path.is_absolute() {
        return Ok(path.to_owned());
    }
    let (found, begins) = match &leaf.origin {
        Origin::File(file) => (
            Path::new(file).with_file_name("").join(path),
            "where the file is that names it",
        ),
        Origin::Default | Origin::Variable(_) | Origin::Flag(_) => {
            (path.to_owned(), "in the working directory")
        }
    };
    // What is there and cannot be looked at has a reason that is told when it is read.
    if found.try_exists().is_ok_and(|exists| !exists) {
        return Err(Wrong(format!(
            "is not there; it was looked for at {}, since a relative path begins {begins}",
            absolute(&found)
        )));
    }
    Ok(found)
}

/// Where `path` is, for messages.
pub(super) fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path);
    absolute.as_deref().unwrap_or(path).display().to_string()
}
