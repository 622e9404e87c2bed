//! Where on the heap something was taken while something else went on, in the whole process: every
//! thread is counted, that of the proxy's worker among them.
//!
//! A test binary that counts makes [`dhat::Alloc`] its allocator and has one test only: another
//! one, or the harness between two of them, would be counted too. Memory that C code takes is not
//! seen; there is none of it between plain sockets.

use std::fmt;
use std::path::Path;

use serde_json::Value;

/// How many calls tell a place: from the allocator to where the pair's future is polled, and some.
const CALLS: usize = 32;

/// A place in the code that took blocks.
pub(crate) struct Site {
    pub(crate) blocks: u64,
    /// The innermost call first.
    pub(crate) calls: Vec<String>,
}

/// What `work` takes from the heap, by place: nothing, if that is empty.
pub(crate) fn during(work: impl FnOnce()) -> Vec<Site> {
    let file = concat!(env!("CARGO_CRATE_NAME"), ".json");
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    let profiler = dhat::Profiler::builder()
        .file_name(&file)
        .trim_backtraces(Some(CALLS))
        .build();
    work();
    let blocks = dhat::HeapStats::get().total_blocks;
    // Writes the file.
    drop(profiler);
    let sites = sites(&std::fs::read(&file).expect("dhat has written what it saw"));
    let of_sites: u64 = sites.iter().map(|site| site.blocks).sum();
    assert_eq!(of_sites, blocks, "every block that was counted has a place");
    sites
}

/// Reads what dhat has written: program points (`pps`), each with its total of blocks (`tbk`) and
/// its frames (`fs`), which are places in a table (`ftbl`).
fn sites(profile: &[u8]) -> Vec<Site> {
    let profile: Value = serde_json::from_slice(profile).expect("dhat writes JSON");
    let frames = profile["ftbl"].as_array().expect("a table of frames");
    let points = profile["pps"].as_array().expect("program points").iter();
    let call = |place: &Value| {
        let place = place.as_u64().expect("a place in the table") as usize;
        let frame = frames[place].as_str().expect("a frame is text");
        // Without the address, which is another in each run.
        let (_, call) = frame.split_once(": ").unwrap_or(("", frame));
        call.to_owned()
    };
    let sites = points.map(|point| Site {
        blocks: point["tbk"].as_u64().expect("a number of blocks"),
        calls: (point["fs"].as_array().expect("a point has frames").iter())
            .map(call)
            .collect(),
    });
    sites.collect()
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} blocks:", self.blocks)?;
        for call in &self.calls {
            write!(f, "\n    {call}")?;
        }
        writeln!(f)
    }
}
