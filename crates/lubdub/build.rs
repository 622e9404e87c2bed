//! Tells the program which commit it was built from.
//!
//! `LUBDUB_REVISION` in the build's environment wins (packages and images are often built without
//! a git directory); else git is asked; else it is "unknown".

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=LUBDUB_REVISION");
    // Every commit and checkout appends to this file. Cargo would rerun a script that names a
    // missing file at every build, so it is named only if it is there.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"])
        && Path::new(&log).exists()
    {
        println!("cargo:rerun-if-changed={log}");
    }
    let revision = std::env::var("LUBDUB_REVISION")
        .ok()
        .filter(|revision| !revision.is_empty())
        .or_else(|| git(&["rev-parse", "--short", "HEAD"]))
        .unwrap_or_else(|| "unknown".to_owned());
    println!("cargo:rustc-env=LUBDUB_REVISION={revision}");
}

/// The first line that git answers, if there is a git and it has an answer.
fn git(args: &[&str]) -> Option<String> {
    let output = Command::new("git").args(args).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    let line = answer.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}
