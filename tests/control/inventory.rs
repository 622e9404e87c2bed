//! What there is of a proxy, and how much of it is in use, as whoever shows it to an operator is told.

use lubdub_proxy::{BudgetUse, Control};
use lubdub_testkit::eventually;
use lubdub_testkit::proxy::ProxyBox;
use lubdub_testkit::rig::Rig;

fn budget(control: &Control, name: &str) -> BudgetUse {
    let budgets = control.budgets().into_iter();
    let mut found: Vec<_> = budgets.filter(|budget| budget.name == name).collect();
    assert_eq!(found.len(), 1, "{name}: {found:?}");
    found.remove(0)
}

fn used(control: &Control) -> [usize; 5] {
    let names = ["pairs", "connections", "handshakes", "waiting", "requests"];
    names.map(|name| budget(control, name).used)
}

#[tokio::test]
async fn a_pair_is_seen_in_every_budget_that_it_is_counted_in_and_in_no_other() {
    let proxy = ProxyBox::new().with(|proxy| {
        proxy.limits.pairs = 7;
        proxy.route_pairs = Some(5);
        proxy.waiting = 3;
    });
    let Rig {
        proxy,
        client,
        upstream,
    } = Rig::open(proxy).await;
    let control = proxy.control();
    eventually("the handshake is over", || {
        used(&control) == [1, 1, 0, 0, 0]
    })
    .await;
    let pairs = budget(&control, "pairs");
    assert_eq!((pairs.max, pairs.key, pairs.of), (7, "limits.pairs", None));
    assert_eq!(pairs.at_the_end, "further upgrades are refused");
    let of_route = budget(&control, "route_pairs");
    assert_eq!((of_route.used, of_route.max), (1, 5));
    assert_eq!(of_route.of.as_deref(), Some("main"));
    let waiting = budget(&control, "waiting");
    assert_eq!(waiting.max, 3);
    assert_eq!(waiting.of.as_deref(), Some("main"));
    let upstreams = budget(&control, "upstream_connections");
    assert_eq!((upstreams.used, upstreams.key), (1, "limits.connections"));

    let [listener] = &control.listeners()[..] else {
        panic!("there is one listener");
    };
    assert_eq!((&*listener.name, listener.connections), ("main", 1));
    let [route] = &control.routes()[..] else {
        panic!("there is one route");
    };
    assert_eq!(
        (&*route.name, &*route.upstream, route.pairs),
        ("main", "main", 1)
    );
    assert_eq!(control.upstreams()[0].pairs, 1);
    assert_eq!(control.lingering_pairs(), 0);

    drop((client, upstream));
    proxy.expect_no_pairs().await;
    eventually("nothing is in use", || used(&control) == [0; 5]).await;
    assert_eq!(control.routes()[0].pairs, 0);
    assert_eq!(control.upstreams()[0].pairs, 0);
    assert_eq!(control.listeners()[0].connections, 0);
}

/// What has no end is no budget.
#[tokio::test]
async fn a_route_without_a_bound_has_no_budget() {
    let Rig {
        proxy,
        client: _client,
        upstream: _upstream,
    } = Rig::open(ProxyBox::new()).await;
    let budgets = proxy.control().budgets();
    assert!(budgets.iter().all(|budget| budget.name != "route_pairs"));
}
