//! Who serves a connection: the workers share them, and whoever has fewest accepts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use lubdub_testkit::binary::Binary;
use lubdub_testkit::peer::{Upstream, expect_alive};

const LISTENS: &str = "0A";

/// The sockets of each worker at lubdub's listener, as the kernel knows them: those of clients, and the listening one.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct AtWorker {
    clients: BTreeSet<u64>,
    listens: bool,
}

/// The state of each socket that has this port.
fn sockets(port: u16) -> BTreeMap<u64, String> {
    let table = fs::read_to_string("/proc/net/tcp").expect("the table of sockets");
    let rows = table.lines().skip(1).map(|row| {
        let fields: Vec<_> = row.split_whitespace().collect();
        let inode = fields[9].parse().expect("an inode");
        (
            fields[1].ends_with(&format!(":{port:04X}")),
            inode,
            fields[3],
        )
    });
    rows.filter(|&(is_local, ..)| is_local)
        .map(|(_, inode, state)| (inode, state.to_owned()))
        .collect()
}

/// Every event queue of the process that has any of them. One that has two descriptors is one.
fn workers(lubdub: &Binary) -> BTreeSet<AtWorker> {
    let sockets = sockets(lubdub.address().port());
    let process = format!("/proc/{}", lubdub.pid());
    let link = |fd: &str| {
        let link = fs::read_link(format!("{process}/fd/{fd}")).ok();
        link.map(|link| link.to_string_lossy().into_owned())
            .unwrap_or_default()
    };
    let mut found = BTreeSet::new();
    for fd in fs::read_dir(format!("{process}/fd")).expect("the descriptors") {
        let fd = fd
            .expect("a descriptor")
            .file_name()
            .into_string()
            .expect("a number");
        if link(&fd) != "anon_inode:[eventpoll]" {
            continue;
        }
        let queue = fs::read_to_string(format!("{process}/fdinfo/{fd}")).unwrap_or_default();
        let watched = queue.lines().filter_map(|line| line.strip_prefix("tfd:"));
        let mut at = AtWorker::default();
        for watched in watched {
            let link = link(watched.split_whitespace().next().expect("a descriptor"));
            let inode = link
                .strip_prefix("socket:[")
                .and_then(|rest| rest.strip_suffix(']'));
            let Some(inode) = inode.and_then(|inode| inode.parse().ok()) else {
                continue;
            };
            match sockets.get(&inode).map(String::as_str) {
                Some(LISTENS) => at.listens = true,
                Some(_) => _ = at.clients.insert(inode),
                None => {}
            }
        }
        if at != AtWorker::default() {
            found.insert(at);
        }
    }
    found
}

/// Each connection that was another worker's than the one who accepts woke both of them.
#[tokio::test]
async fn the_worker_with_the_fewest_pairs_accepts_and_no_pair_is_left_out() {
    let upstreams = Upstream::listen();
    let lubdub = Binary::start(&upstreams, &["runtime.workers=2"]).await;
    let mut pairs = Vec::new();
    // A worker is known by whom it has: a pair does not move.
    let mut moves = 0;
    let mut last: Option<BTreeSet<u64>> = None;
    for count in 1..=60 {
        pairs.push(lubdub.pair(&upstreams).await);
        let workers = workers(&lubdub);
        let all = workers.iter().map(|worker| worker.clients.len());
        assert_eq!(all.clone().sum::<usize>(), count, "{workers:?}");
        let (most, fewest) = (all.clone().max().unwrap_or(0), all.min().unwrap_or(0));
        let fewest = if workers.len() == 1 { 0 } else { fewest };
        if count <= 16 {
            assert!(most - fewest <= 1, "of {count}: {most} and {fewest}");
        }
        assert!(
            most <= fewest + 5 + fewest / 16,
            "of {count}: {most} and {fewest}"
        );
        let listening: Vec<_> = workers.iter().filter(|worker| worker.listens).collect();
        let [listening] = listening[..] else {
            panic!("one worker listens: {workers:?}");
        };
        let stays = last.is_none_or(|last| last.is_subset(&listening.clients));
        moves += usize::from(!stays);
        last = Some(listening.clients.clone());
    }
    assert!((1..60 / 4).contains(&moves), "{moves} moves");
    for pair in &mut pairs {
        expect_alive(pair).await;
    }
}
