//! Files that the configuration names: where a path leads.
//!
//! A relative path in a file begins where that file is, so that the two can be moved together and
//! lubdub be started from anywhere. In a variable or a flag it begins in the working directory.

use std::path::{Path, PathBuf};

use super::error::Wrong;
use super::leaf::Leaf;
use super::origin::Origin;
use super::{read, reading};

/// The path that `leaf` names.
///
/// # Errors
/// If it is none, or is relative and nothing is there: then the place is said where it was looked for.
pub(super) fn path(leaf: &Leaf) -> Result<PathBuf, Wrong> {
    let found = place(leaf)?;
    if Path::new(read::text(&leaf.value)?).is_absolute() {
        return Ok(found);
    }
    let begins = match &leaf.origin {
        Origin::File(_) => "where the file is that names it",
        Origin::Default | Origin::Variable(_) | Origin::Flag(_) => "in the working directory",
    };
    // What is there and cannot be looked at has a reason that is told when it is read.
    if reading::is_missing(&found) {
        return Err(Wrong(format!(
            "is not there; it was looked for at {}, since a relative path begins {begins}",
            absolute(&found)
        )));
    }
    Ok(found)
}

/// The path that `leaf` names, whether something is there or not.
///
/// # Errors
/// If it is none.
pub(super) fn place(leaf: &Leaf) -> Result<PathBuf, Wrong> {
    let path = Path::new(read::text(&leaf.value)?);
    Ok(match &leaf.origin {
        Origin::File(file) if path.is_relative() => Path::new(file).with_file_name("").join(path),
        Origin::File(_) | Origin::Default | Origin::Variable(_) | Origin::Flag(_) => {
            path.to_owned()
        }
    })
}

/// The path that `leaf` names for a unix socket.
///
/// # Errors
/// If it is none, or longer than the kernel takes.
pub(super) fn socket(leaf: &Leaf) -> Result<PathBuf, Wrong> {
    /// `sun_path` of unix(7), with the zero at its end.
    const MOST: usize = 107;
    let path = place(leaf)?;
    let len = path.as_os_str().len();
    match len {
        0 => Err(Wrong::new("must be a path, or \"off\"")),
        _ if len > MOST => Err(Wrong(format!(
            "is too long for a unix socket: {} has {len} bytes, and {MOST} are the most",
            path.display()
        ))),
        _ => Ok(path),
    }
}

/// Where `path` is, for messages.
pub(super) fn absolute(path: &Path) -> String {
    let absolute = std::path::absolute(path);
    absolute.as_deref().unwrap_or(path).display().to_string()
}
