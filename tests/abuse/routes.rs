//! Paths that mean another one to whoever resolves them: a route is chosen by the bytes of the path, and
//! by nothing that they may come to (RFC 3986 6.2.2).
//!
//! So a route is no wall around the paths under it: the upstream of another one may hear of them, in
//! a spelling that it takes for theirs.

use lubdub_testkit::binary::Binary;
use lubdub_testkit::http::Request;
use lubdub_testkit::peer::Upstream;
use lubdub_testkit::way;

/// Who hears of this target, of an upstream for all that is under `/admin` and one for the rest.
async fn heard_by<'a>(
    lubdub: &Binary,
    [admin, rest]: [&'a Upstream; 2],
    target: &str,
) -> &'a Upstream {
    let mut client = lubdub.dial().connect().await;
    client.ask(&Request::get(target)).await;
    let (hearer, mut upstream) = tokio::select! {
        upstream = admin.accept() => (admin, upstream),
        upstream = rest.accept() => (rest, upstream),
    };
    let head = upstream.expect_head().await;
    assert_eq!(head.first_line, format!("GET {target} HTTP/1.1"));
    hearer
}

#[tokio::test]
async fn a_route_is_chosen_by_the_path_as_it_came() {
    if way::is_unix() {
        // Upstreams are told apart by their addresses.
        return;
    }
    let upstreams = [Upstream::listen(), Upstream::listen()];
    let [admin, rest] = &upstreams;
    let lubdub = Binary::start_with(&[
        &format!("upstream.admin.url=http://{}", admin.address()),
        &format!("upstream.rest.url=http://{}", rest.address()),
        "route.admin.path_prefix=/admin",
        "route.admin.upstream=admin",
        "route.rest.upstream=rest",
    ])
    .await;
    for (target, hearer) in [
        ("/admin", admin),
        ("/admin/a?b=/c", admin),
        ("/admin/../a", admin),
        ("/a/../admin", rest),
        ("/./admin", rest),
        ("//admin", rest),
        ("/%61dmin", rest),
        ("/ADMIN", rest),
        ("/admin;a", rest),
        ("/admin%2fa", rest),
        ("/a?/../admin", rest),
    ] {
        let heard = heard_by(&lubdub, [admin, rest], target).await;
        assert_eq!(heard.address(), hearer.address(), "{target}");
    }
}
