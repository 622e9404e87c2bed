//! Certificates of clients: who comes in with which, what the log says of the others, and what upstreams hear.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lubdub_proxy::tls::Clients;
use lubdub_testkit::certs::{Certs, ClientCert};
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::proxy::{ProxyBox, RunningProxy};
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};

use crate::files::Files;

const FAILED: &str = "TLS handshake failed";
const SUBJECT: &str = "x-client-subject";
/// A list as `openssl ca` writes it where nothing is said of its version.
const VERSION_1: &str = "-----BEGIN X509 CRL-----
MIGQMDgwCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBYRcNMjYxMTI5MDkxNjUwWhcN
MjYxMjI5MDkxNjUwWjAKBggqhkjOPQQDAgNIADBFAiA+29pv/uoh1qklws1NS3gz
Adf6Q+YtCqat2B0hjKxi/gIhALCG08wdg8gK8Jvx0vWzi0+iRojtKzDZn/Jd2e0+
gDbH
-----END X509 CRL-----
";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn count(proxy: &RunningProxy, reason: &str) -> f64 {
    proxy.metric("tls_handshake_failures_total", &[("reason", reason)])
}

/// lubdub in front of `upstreams`, that takes clients whom `certs` vouches for.
fn required(certs: &Certs, lists: &[&str], upstreams: &Upstream) -> RunningProxy {
    let clients = Clients::Required(certs.authorities(lists));
    let tls = certs.listening_to(clients, Some(SUBJECT));
    ProxyBox::new()
        .with(|proxy| {
            proxy.listener_tls = Some(tls);
            proxy.pool = false;
        })
        .start(upstreams)
}

#[tokio::test]
async fn who_does_not_come_in_has_a_line_that_says_why() {
    let (certs, others) = (Certs::generate(), Certs::generate());
    let namesake = certs.namesake();
    let revoked = certs.client("revoked");
    let files = Files::new("who_comes_in");
    files.put("main", &certs);
    files.write("ca.pem", certs.ca_pem());
    files.write("crl.pem", &certs.revoking(&[&revoked]));
    let upstreams = Upstream::listen();
    let setting = |key: &str, value: &str| format!("listen.main.tls.{key}={value}");
    let file = |key: &str, name: &str| setting(key, &files.path(name).display().to_string());
    let settings = [
        setting("client_auth", "required"),
        file("client_ca", "ca.pem"),
        file("client_crl", "crl.pem"),
    ];
    let lubdub = files
        .lubdub_with("off", &upstreams, &["main"], &settings)
        .await;

    let right = certs.client("right");
    let as_client = |client: &ClientCert| certs.connecting_as(client);
    let expired = certs.client_with(|client| {
        client.not_after = (SystemTime::now() - DAY).into();
    });
    let early = certs.client_with(|client| {
        client.not_before = (SystemTime::now() + DAY).into();
    });
    let for_servers = certs.client_with(|client| {
        let usage = rcgen::ExtendedKeyUsagePurpose::ServerAuth;
        client.extended_key_usages = vec![usage];
    });
    let only_h2 = certs.adjusted(Some(&right), rustls::DEFAULT_VERSIONS, |config| {
        config.alpn_protocols = vec![b"h2".to_vec()];
    });
    // Which certificate, how that is counted, what the log says, and what the client is told.
    let cases: [(Arc<ClientConfig>, &str, &str, &str); 9] = [
        (
            certs.connecting(),
            "no_client_certificate",
            "it shows no certificate, and client_auth is \"required\"",
            "CertificateRequired",
        ),
        (
            as_client(&others.client("other")),
            "client_certificate_unknown_ca",
            "its certificate is from nobody in client_ca",
            "UnknownCA",
        ),
        (
            as_client(&namesake.client("namesake")),
            "client_certificate_bad",
            "a signature does not fit: its certificate is from another authority of the same name as one in \
             client_ca, or the client does not have its key",
            "DecryptError",
        ),
        (
            as_client(&expired),
            "client_certificate_expired",
            "its certificate has expired",
            "CertificateExpired",
        ),
        (
            as_client(&early),
            "client_certificate_expired",
            "its certificate is not valid yet; is the clock of this machine right?",
            "CertificateExpired",
        ),
        (
            as_client(&revoked),
            "client_certificate_revoked",
            "its certificate has been revoked",
            "CertificateRevoked",
        ),
        (
            as_client(&for_servers),
            "client_certificate_bad",
            "its certificate is not for clients (extended key usage clientAuth)",
            "UnsupportedCertificate",
        ),
        (
            only_h2,
            "no_application_protocol",
            "it does not speak http/1.1: by ALPN it offers other protocols only, such as h2",
            "NoApplicationProtocol",
        ),
        (
            others.connecting_as(&right),
            "unknown_ca",
            "it does not trust our certificate (alert unknown_ca)",
            "UnknownIssuer",
        ),
    ];
    for (n, (config, failure, reason, alert)) in cases.into_iter().enumerate() {
        let told = lubdub.dial().tls(config).expect_no_tls().await;
        assert!(told.contains(alert), "{failure}: {told}");
        let line = lubdub.expect_logged_times(FAILED, n + 1).await;
        assert_eq!(
            (&line["failure"], &line["reason"], &line["listener"]),
            (&failure.into(), &reason.into(), &"main".into()),
            "{line}"
        );
    }
    let client = lubdub.dial().tls(as_client(&right));
    let _pair = client.pair(&upstreams).await;
    // Nobody asked for anything that is counted as a request.
    let outcomes = lubdub.scrape().await;
    let outcomes = outcomes.nonzero("lubdub_handshakes_total", "outcome");
    assert!(
        outcomes.iter().all(|(outcome, _)| outcome == "upgraded"),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn a_certificate_is_looked_at_whatever_the_version() {
    let (certs, others) = (Certs::generate(), Certs::generate());
    let (right, wrong) = (certs.client("right"), others.client("wrong"));
    for version in [&TLS12, &TLS13] {
        let upstreams = Upstream::listen();
        let proxy = required(&certs, &[], &upstreams);
        let config = |client| certs.adjusted(client, &[version], |_| {});
        proxy.dial().tls(config(None)).expect_no_tls().await;
        proxy.dial().tls(config(Some(&wrong))).expect_no_tls().await;
        let client = proxy.dial().tls(config(Some(&right)));
        let _pair = client.pair(&upstreams).await;
        assert_eq!(count(&proxy, "no_client_certificate"), 1.0, "{version:?}");
        let unknown = count(&proxy, "client_certificate_unknown_ca");
        assert_eq!(unknown, 1.0, "{version:?}");
    }
}

#[tokio::test]
async fn who_has_no_certificate_may_come_in_where_it_is_optional() {
    let (certs, others) = (Certs::generate(), Certs::generate());
    let upstreams = Upstream::listen();
    let clients = Clients::Optional(certs.authorities(&[]));
    let proxy = ProxyBox::new()
        .with(|proxy| proxy.listener_tls = Some(certs.listening_to(clients, Some(SUBJECT))))
        .start(&upstreams);
    let mut anonymous = proxy.dial().tls(certs.connecting()).connect().await;
    anonymous.ask(&Request::upgrade("/")).await;
    let head = upstreams.accept().await.expect_head().await;
    assert_eq!(head.field(SUBJECT), None);

    let known = certs.connecting_as(&certs.client("known"));
    let mut known = proxy.dial().tls(known).connect().await;
    known.ask(&Request::upgrade("/")).await;
    let head = upstreams.accept().await.expect_head().await;
    assert_eq!(head.field(SUBJECT), Some("CN=known"));

    let wrong = certs.connecting_as(&others.client("wrong"));
    proxy.dial().tls(wrong).expect_no_tls().await;
    assert_eq!(count(&proxy, "client_certificate_unknown_ca"), 1.0);
}

#[tokio::test]
async fn where_there_are_lists_each_authority_needs_one() {
    let (certs, others) = (Certs::generate(), Certs::generate());
    let upstreams = Upstream::listen();
    // A list, and it is somebody else's.
    let proxy = required(&certs, &[&others.revoking(&[])], &upstreams);
    let client = certs.connecting_as(&certs.client("client"));
    proxy.dial().tls(client).expect_no_tls().await;
    assert_eq!(count(&proxy, "client_certificate_unknown_ca"), 1.0);
}

/// Every upstream believes the field, and so nobody else may say it: not in any spelling that some backend takes
/// for the same, not in a trailer, and not where it is named in `Connection`.
#[tokio::test]
async fn only_lubdub_says_whose_certificate_a_client_has() {
    let certs = Certs::generate();
    let upstreams = Upstream::listen();
    let proxy = required(&certs, &[], &upstreams);
    let client = certs.connecting_as(&certs.client("device 7, the last"));
    let forged = "X-Client-Subject: CN=root\r\n\
        X_CLIENT_SUBJECT: CN=root\r\n\
        x-client_subject: CN=root\r\n\
        X.Client.Subject: CN=root\r\n";
    let upgrade = Request::upgrade("/").encode();
    let upgrade = String::from_utf8(upgrade).expect("a head is text");
    let upgrade = upgrade.replace("\r\n\r\n", &format!("\r\n{forged}\r\n"));
    let post = format!(
        "POST / HTTP/1.1\r\nHost: lubdub.example\r\nTransfer-Encoding: chunked\r\n\
         Connection: X-Client-Subject\r\nTrailer: x_client_subject\r\n{forged}\r\n\
         0\r\nx_client_subject: CN=root\r\nX-Client-Subject: CN=root\r\n\r\n"
    );
    for request in [upgrade, post] {
        let mut client = proxy.dial().tls(Arc::clone(&client)).connect().await;
        client.send(&request).await;
        let mut upstream = upstreams.accept().await;
        let head = upstream.expect_head().await;
        assert_eq!(head.field(SUBJECT), Some("CN=device 7\\, the last"));
        let fields = head.fields.iter();
        let of_it: Vec<_> = fields.filter(|(_, value)| value.contains("CN=")).collect();
        assert_eq!(of_it.len(), 1, "{head:#?}");
        upstream
            .send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            .await;
        client.expect_answer(400).await;
        drop(client);
        let rest = upstream.expect_all().await;
        let rest = String::from_utf8_lossy(&rest);
        assert!(!rest.contains("root"), "{rest}");
    }
}

#[tokio::test]
async fn a_new_list_holds_for_new_connections_and_live_pairs_go_on() {
    let certs = Certs::generate();
    let (stays, goes) = (certs.client("stays"), certs.client("goes"));
    let (stays, goes) = (
        (certs.connecting_as(&stays), stays),
        (certs.connecting_as(&goes), goes),
    );
    let files = Files::new("new_list");
    files.put("main", &certs);
    files.write("ca.pem", certs.ca_pem());
    files.write("crl.pem", &certs.revoking(&[]));
    let upstreams = Upstream::listen();
    let file = |key: &str, name: &str| {
        let path = files.path(name);
        format!("listen.main.tls.{key}={}", path.display())
    };
    let settings = [
        "listen.main.tls.client_auth=required".to_owned(),
        file("client_ca", "ca.pem"),
        file("client_crl", "crl.pem"),
    ];
    let lubdub = files
        .lubdub_with("10ms", &upstreams, &["main"], &settings)
        .await;
    let pair = |config: &Arc<ClientConfig>| {
        let client = lubdub.dial().tls(Arc::clone(config));
        async { client.pair(&upstreams).await }
    };
    let (mut client, mut upstream) = pair(&goes.0).await;

    // What is no good changes nothing.
    files.replace(
        "crl.pem",
        "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
    );
    let refused = "the files of clients' authorities cannot be used; those before stay in use";
    let line = lubdub.expect_logged(refused).await;
    let reason = line["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("listen.main.tls.client_crl = "), "{line}");
    assert!(reason.contains("no certificate revocation list"), "{line}");
    pair(&goes.0).await;
    files.replace("crl.pem", VERSION_1);
    let line = lubdub.expect_logged_times(refused, 2).await;
    let reason = line["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("it is of version 1"), "{line}");
    let yesterday = SystemTime::now() - DAY;
    files.replace("crl.pem", &certs.revoking_until(&[], yesterday));
    let line = lubdub.expect_logged_times(refused, 3).await;
    let reason = line["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("is out of date since"), "{line}");

    // Nobody can tell whether the authority that is meant has written it.
    files.replace("crl.pem", &certs.namesake().revoking(&[]));
    let renewed = "new authorities of clients are in use";
    lubdub.expect_logged(renewed).await;
    lubdub.dial().tls(Arc::clone(&goes.0)).expect_no_tls().await;
    let line = lubdub.expect_logged(FAILED).await;
    assert_eq!(line["failure"], "client_certificate_unknown_ca", "{line}");
    let reason = line["reason"].as_str().unwrap_or_default();
    let namesake = "the list in client_crl is from another authority of the same name";
    assert!(reason.contains(namesake), "{line}");

    files.replace("crl.pem", &certs.revoking(&[&goes.1]));
    let line = lubdub.expect_logged_times(renewed, 2).await;
    assert_eq!(
        (&line["authorities"], &line["lists"]),
        (&1.into(), &1.into())
    );
    // It has a ticket, and that does not help.
    lubdub.dial().tls(Arc::clone(&goes.0)).expect_no_tls().await;
    let line = lubdub.expect_logged_times(FAILED, 2).await;
    assert_eq!(line["failure"], "client_certificate_revoked", "{line}");
    pair(&stays.0).await;
    client.send_text("still here").await;
    upstream.expect_text("still here").await;
}
