//! What the commands make of the answers of a lubdub whose clock is another one, and that has one of each thing.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::thread;

use super::program::Lubdub;

/// In 1970.
const STATUS: &str = r#"{"version":"0.1.0","revision":"x","pid":7,"generation":2,"now":1065.0,"started":0.0,
"uptime_seconds":1065.0,"ready":true,"draining":false,"lingering_pairs":1,"drain":null,
"last_reload":{"outcome":"applied","at":1000.0,"generation":2,"changes":1,"mistakes":[]},
"budgets":[],"listeners":[],"routes":[],"upstreams":[],"certificates":[],
"totals":{"pairs":1,"opened":2,"ended":{"drain":1},"lapses":{
"client":{"unknown":0,"network":0,"application":0},"upstream":{"unknown":0,"network":0,"application":0}}},
"rtt":{"bounds_seconds":[],"client":[],"upstream":[]}}"#;
const ENDS: &str = r#"{"kept":1,"ends":[{"pair":3,"at":1000.0,"listener":"main","route":"main","request":null,
"request_id":null,"cause":"drain","cause_text":"It was drained.","diagnosis":null,"close":null,
"duration_seconds":5.0,"lapsed_after_seconds":null,"hint":null,
"client":{"address":"10.0.0.1:1","peer":"10.0.0.1:1","last_heard_seconds":0.1,"last_rtt_seconds":null,
"pings_sent":0,"pongs_received":0,"bytes":0,"frames":0,"held":false},
"upstream":{"name":"main","address":"10.0.0.2:1","last_heard_seconds":0.1,"last_rtt_seconds":null,
"pings_sent":0,"pongs_received":0,"bytes":0,"frames":0,"held":false}}]}"#;

/// Answers each request with what is at its path.
fn admin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut lines = BufReader::new(stream.try_clone().expect("a second handle")).lines();
            let request = lines.next().expect("a line").expect("text");
            assert!(lines.any(|line| line.expect("text").is_empty()));
            let body = match request.contains("/ends") {
                true => ENDS,
                false => STATUS,
            };
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let answer = head + body;
            stream.write_all(answer.as_bytes()).expect("it is heard");
        }
    });
    address
}

#[test]
fn how_long_ago_something_was_goes_by_the_clock_that_told_of_it() {
    let address = admin().to_string();
    let ends = Lubdub::new("asked_ends").run(&["ends", "--admin", &address]);
    let told = ends.expect_ok();
    let row = told.lines().nth(1).expect("a row");
    assert!(row.starts_with("1m 5s     3  drain"), "{told}");
    assert!(told.ends_with("\n1 of the last 1 end\n"), "{told}");
}

#[test]
fn one_thing_is_not_told_as_many() {
    let address = admin().to_string();
    let status = Lubdub::new("asked_status").run(&["status", "--admin", &address]);
    let told = status.expect_ok();
    for line in [
        "1 pair open, 2 opened, 1 ended; lapses: client 0, upstream 0",
        "1 pair goes on in earlier processes",
        "last reload: applied 1m 5s ago, 1 key changed",
    ] {
        assert!(told.lines().any(|told| told == line), "{line}: {told}");
    }
}
