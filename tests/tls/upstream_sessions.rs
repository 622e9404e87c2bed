//! TLS sessions with upstreams are resumed, each with its own, and are forgotten with the trust that they
//! were made by.

use lubdub_testkit::backend::{Demands, Identity, TLS12, TLS13, TlsBackend};

use crate::upstreams::{Stage, pass, reload};

#[tokio::test]
async fn a_session_is_resumed_by_the_next_connection_to_the_same_upstream() {
    let server = Identity::self_signed("localhost", |_| {});
    let mut stage = Stage::new("sessions");
    stage.write("ca.pem", server.pem());
    let mut backends = Vec::new();
    for (version, versions) in [("12", TLS12), ("13", TLS13)] {
        let demands = Demands {
            versions,
            ..Demands::default()
        };
        let backend = TlsBackend::start(&server, &demands).await;
        for name in ["one", "other"] {
            let name = format!("{name}{version}");
            stage.upstream(&name, backend.address(), &["ca = \"ca.pem\""]);
        }
        backends.push((version, backend));
    }
    let lubdub = stage.lubdub().await;
    for (version, backend) in &mut backends {
        // The other is at the same address, and has the same name and the same authority.
        for name in ["one", "other"] {
            let path = format!("/{name}{version}");
            pass(&lubdub, &path).await;
            assert!(!backend.meet().await.is_resumed, "{path}");
            for _ in 0..3 {
                pass(&lubdub, &path).await;
                assert!(backend.meet().await.is_resumed, "{path}");
            }
        }
    }
}

#[tokio::test]
async fn sessions_outlive_a_reload_unless_it_changes_the_trust() {
    let server = Identity::self_signed("localhost", |_| {});
    let client = Identity::self_signed("lubdub.example", |_| {});
    let another = Identity::self_signed("another.example", |_| {});
    let mut stage = Stage::new("sessions_and_reloads");
    stage.write("ca.pem", server.pem());
    stage.write("both.pem", &format!("{}{}", server.pem(), another.pem()));
    for (name, identity) in [("client", &client), ("another", &another)] {
        stage.write(&format!("{name}.pem"), identity.pem());
        stage.write(&format!("{name}.key"), identity.key_pem());
    }
    let mut backend = TlsBackend::start(&server, &Demands::default()).await;
    let shows = |name: &str| {
        [
            "ca = \"ca.pem\"".to_owned(),
            format!("certificate = \"{name}.pem\""),
            format!("key = \"{name}.key\""),
        ]
    };
    let with = |more: &str| ["ca = \"ca.pem\"".to_owned(), more.to_owned()];
    let plain = ["ca = \"ca.pem\"".to_owned()];
    let both = ["ca = \"both.pem\"".to_owned()];
    let (client, another) = (shows("client"), shows("another"));
    let (requests, blind) = (
        with("limits.requests = 7"),
        with("insecure_skip_verify = true"),
    );
    stage.upstream("main", backend.address(), &["ca = \"ca.pem\""]);
    let lubdub = stage.lubdub().await;
    pass(&lubdub, "/main").await;
    assert!(!backend.meet().await.is_resumed);

    let changes: [(&str, &[String], bool); 8] = [
        ("nothing", &plain, true),
        ("something else", &requests, true),
        ("one more authority", &both, false),
        ("one less", &plain, false),
        ("a certificate of lubdub's", &client, false),
        ("another one", &another, false),
        ("no verification", &blind, false),
        ("verification again", &plain, false),
    ];
    for (times, (what, settings, is_resumed)) in changes.into_iter().enumerate() {
        let settings: Vec<_> = settings.iter().map(String::as_str).collect();
        stage.clear();
        stage.upstream("main", backend.address(), &settings);
        stage.configure();
        reload(&lubdub, times + 1).await;
        pass(&lubdub, "/main").await;
        assert_eq!(backend.meet().await.is_resumed, is_resumed, "{what}");
        pass(&lubdub, "/main").await;
        assert!(backend.meet().await.is_resumed, "{what}, the second time");
    }
}
