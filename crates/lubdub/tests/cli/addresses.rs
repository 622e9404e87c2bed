//! Where lubdub listens, and upstreams that lead back to it.

use std::io::{BufRead, BufReader};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};

use lubdub_testkit::way::Port;

use super::program::{Lubdub, check};

/// A process that is not left behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What comes of running lubdub with these settings: it starts, or it says why not.
fn starts(test: &str, settings: &[String]) -> Result<(), String> {
    let mut lubdub = Lubdub::new(test);
    let command = lubdub.command.args(["--log-format", "json"]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut running = Running(command.stderr(Stdio::piped()).spawn().expect("it runs"));
    let log = BufReader::new(running.0.stderr.take().expect("it is piped"));
    let mut said = String::new();
    let ready = log.lines().map(|line| line.expect("text")).any(|line| {
        said = said.clone() + &line + "\n";
        line.contains("\"ready\"")
    });
    if !ready {
        return Err(said);
    }
    // Each is answered, by whatever socket.
    for setting in settings {
        let Some((_, address)) = setting.split_once(".address=") else {
            continue;
        };
        if let Ok(address) = address.parse::<SocketAddr>() {
            let host = if address.is_ipv4() {
                "127.0.0.1"
            } else {
                "::1"
            };
            TcpStream::connect((host, address.port())).expect("somebody listens");
        }
    }
    Ok(())
}

/// `0.0.0.0:P` beside `[::]:P` passed `check` and did not start: `[::]` had taken IPv4 as well.
#[test]
fn all_of_ipv4_and_all_of_ipv6_share_a_port() {
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return;
    }
    let held = Port::hold().expect("a free port");
    let port = held.address.port();
    let upstream = "upstream.b.url=ws://192.0.2.1:9".to_owned();
    let both = |a: &str, b: &str, admin: &str| {
        vec![
            upstream.clone(),
            format!("listen.a.address={a}:{port}"),
            format!("listen.b.address={b}:{port}"),
            format!("admin.address={admin}"),
        ]
    };
    for (a, b) in [("0.0.0.0", "[::]"), ("[::]", "0.0.0.0")] {
        starts("twins", &both(a, b, "off")).unwrap_or_else(|said| panic!("{a} {b}: {said}"));
    }
    for (listener, admin) in [("0.0.0.0", "[::]"), ("[::]", "0.0.0.0")] {
        let settings = [
            upstream.clone(),
            format!("listen.a.address={listener}:{port}"),
            format!("admin.address={admin}:{port}"),
        ];
        starts("twins_admin", &settings).unwrap_or_else(|said| panic!("{listener}: {said}"));
    }
}

#[test]
fn what_is_within_another_address_is_refused_before_the_kernel_does() {
    let mistakes = Lubdub::new("overlaps")
        .run(&[
            "check",
            "--upstream",
            "ws://192.0.2.1:9",
            "--set",
            "listen.a.address=0.0.0.0:1234",
            "--set",
            "listen.b.address=127.0.0.1:1234",
            "--set",
            "listen.c.address=[::]:1235",
            "--set",
            "listen.d.address=[::1]:1235",
            "--set",
            "admin.address=127.0.0.1:1235",
        ])
        .expect_mistakes();
    let any = "one of them is every address with this port";
    assert_eq!(
        mistakes,
        [
            format!(
                "listen.b.address = \"127.0.0.1:1234\" (--set): overlaps with listen.a.address = \
                 \"0.0.0.0:1234\" (--set): {any}"
            ),
            format!(
                "listen.d.address = \"[::1]:1235\" (--set): overlaps with listen.c.address = \
                 \"[::]:1235\" (--set): {any}"
            ),
            "admin.address = \"127.0.0.1:1235\" (--set): overlaps with listen.c.address = \
             \"[::]:1235\" (--set): [::] takes IPv4 as well, except beside 0.0.0.0"
                .to_owned(),
        ]
    );
}

/// With itself as its upstream one request took twenty thousand descriptors.
#[test]
fn an_upstream_that_is_lubdub_is_refused_by_check_and_by_run() {
    let again = "every request would come back to it, again and again";
    for (listen, upstream) in [
        ("127.0.0.1:1234", "ws://127.0.0.1:1234"),
        ("127.0.0.1:1234", "ws://localhost:1234"),
        ("127.0.0.1:1234", "http://0.0.0.0:1234"),
        ("0.0.0.0:1234", "ws://127.9.9.9:1234"),
        ("[::]:1234", "wss://127.0.0.1:1234"),
        ("127.0.0.1:80", "ws://127.0.0.1"),
    ] {
        for command in ["check", "run"] {
            let args = [command, "--listen", listen, "--upstream", upstream];
            let mistakes = Lubdub::new("own_upstream").run(&args).expect_mistakes();
            assert_eq!(
                mistakes,
                [format!(
                    "upstream.main.url = \"{upstream}\" (--upstream): leads to lubdub itself, \
                     listen.main.address = \"{listen}\" (--listen): {again}"
                )]
            );
        }
    }
    let mistakes = Lubdub::new("own_admin")
        .run(&check(&[
            "--listen",
            "127.0.0.1:1234",
            "--upstream",
            "ws://localhost:9901",
        ]))
        .expect_mistakes();
    assert_eq!(
        mistakes,
        [
            "upstream.main.url = \"ws://localhost:9901\" (--upstream): leads to lubdub itself, \
             admin.address = \"127.0.0.1:9901\" (default): every client could ask it what only \
             operators may"
        ]
    );
}

#[test]
fn an_upstream_elsewhere_with_the_same_port_passes() {
    for (listen, upstream) in [
        ("127.0.0.1:1234", "ws://127.0.0.2:1234"),
        ("0.0.0.0:1234", "ws://192.0.2.1:1234"),
        ("[::]:1234", "ws://[2001:db8::1]:1234"),
        // It may come to be known later, and is looked at then.
        ("0.0.0.0:1234", "ws://nobody.invalid:1234"),
    ] {
        let args = ["check", "--listen", listen, "--upstream", upstream];
        Lubdub::new("other_upstream").run(&args).expect_ok();
    }
}
