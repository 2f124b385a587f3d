use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::Method;
use serde_json::json;
use switchyard_api::{ApiSettings, RateWindow};
use switchyard_database::{Entity, Scan};

use crate::harness::{Answer, Ask, TestApi, ask, assert_error, get, post};

fn login(address: &str) -> Ask {
    post("/login").at_address(address).json(json!({ "email": "a", "password": "wrong" }))
}

fn limits(address: &str, user: &str) -> impl Fn(&mut ApiSettings) {
    let (address, user) = (address.parse().unwrap(), user.parse().unwrap());
    move |settings| {
        settings.rate_limit = address;
        settings.rate_limit_user = user;
    }
}

/// In how many seconds the limit is full again.
fn resets_in(answer: &Answer) -> u64 {
    let (_, seconds) = answer.header("ratelimit").split_once(";t=").unwrap();
    seconds.parse().unwrap()
}

fn remaining(answer: &Answer) -> u32 {
    let (_, rest) = answer.header("ratelimit").split_once("r=").unwrap();
    rest.split(';').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_address_is_refused_once_its_quota_is_used_up() {
    let api = TestApi::with(limits("3/15m", "off")).await;
    for left in [2, 1, 0] {
        let answer = api.send(login("203.0.113.9")).await;
        assert_error(&answer, 401, "INVALID_CREDENTIALS");
        assert_eq!(answer.header("ratelimit-policy"), "\"address:login\";q=3;w=900");
        assert_eq!(remaining(&answer), left);
    }
    let answer = api.send(login("203.0.113.9")).await;
    assert_error(&answer, 429, "RATE_LIMITED");
    // The window depends on the address, and stays the same.
    let seconds = resets_in(&answer);
    assert!((1..=900).contains(&seconds), "{seconds}");
    assert_eq!(answer.header("retry-after"), seconds.to_string());
    api.clock.advance(Duration::from_secs(seconds - 1));
    let answer = api.send(login("203.0.113.9")).await;
    assert_error(&answer, 429, "RATE_LIMITED");
    assert_eq!((answer.header("retry-after"), resets_in(&answer)), ("1", 1));
    assert_error(&api.send(login("203.0.113.10")).await, 401, "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn a_new_window_brings_a_new_quota() {
    let api = TestApi::with(limits("1/15m", "off")).await;
    assert_error(&api.send(login("203.0.113.9")).await, 401, "INVALID_CREDENTIALS");
    assert_error(&api.send(login("203.0.113.9")).await, 429, "RATE_LIMITED");
    let refused = api.send(login("203.0.113.9")).await;
    api.clock.advance(Duration::from_secs(resets_in(&refused)));
    assert_error(&api.send(login("203.0.113.9")).await, 401, "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn windows_of_different_addresses_turn_at_different_times() {
    let api = TestApi::with(limits("1/15m", "off")).await;
    let mut ends = BTreeSet::new();
    for number in 0..20 {
        ends.insert(resets_in(&api.send(login(&format!("203.0.113.{number}"))).await));
    }
    assert!(ends.len() > 10, "{ends:?}");
}

#[tokio::test]
async fn a_limit_applies_to_all_instances_together() {
    let one = TestApi::with(limits("3/15m", "off")).await;
    let other = one.another(limits("3/15m", "off"));
    for api in [&one, &other, &one] {
        assert_error(&api.send(login("203.0.113.9")).await, 401, "INVALID_CREDENTIALS");
    }
    assert_error(&other.send(login("203.0.113.9")).await, 429, "RATE_LIMITED");
    assert_error(&one.send(login("203.0.113.9")).await, 429, "RATE_LIMITED");
}

#[tokio::test]
async fn ipv6_addresses_of_one_network_share_a_quota() {
    let api = TestApi::with(limits("1/15m", "off")).await;
    assert_error(&api.send(login("2001:db8::1")).await, 401, "INVALID_CREDENTIALS");
    assert_error(&api.send(login("2001:db8::2")).await, 429, "RATE_LIMITED");
    assert_error(&api.send(login("2001:db8:0:1::1")).await, 401, "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn routes_that_are_not_marked_are_not_counted_by_address() {
    let api = TestApi::with(limits("1/15m", "off")).await;
    for _ in 0..3 {
        let answer = api.send(get("/whoami").at_address("203.0.113.9")).await;
        assert_eq!((answer.status.as_u16(), answer.has_header("ratelimit")), (200, false));
    }
}

#[tokio::test]
async fn a_user_is_counted_on_every_operation_for_users() {
    let api = TestApi::with(limits("off", "3/1m")).await;
    for (path, left) in [("/whoami", 2), ("/notes", 1), ("/whoami", 0)] {
        let answer = api.send(get(path).bearer("ada")).await;
        assert_eq!((answer.status.as_u16(), remaining(&answer)), (200, left));
    }
    assert_error(&api.send(get("/whoami").bearer("ada")).await, 429, "RATE_LIMITED");
    assert_eq!(api.send(get("/whoami").bearer("bob")).await.status, 200);
    assert_eq!(api.send(get("/whoami")).await.status, 200);
}

#[tokio::test]
async fn a_user_is_counted_nowhere_else() {
    let api = TestApi::with(limits("off", "1/1m")).await;
    assert_eq!(remaining(&api.send(ask(Method::HEAD, "/whoami").bearer("ada")).await), 0);
    assert_error(&api.send(get("/whoami").bearer("ada")).await, 429, "RATE_LIMITED");
    for (request, status) in [(get("/text/1"), 200), (get("/nothing"), 404), (post("/whoami"), 405)] {
        let answer = api.send(request.bearer("ada")).await;
        assert_eq!((answer.status.as_u16(), answer.has_header("ratelimit")), (status, false));
    }
}

#[tokio::test]
async fn a_large_quota_is_exact_although_it_is_taken_in_portions() {
    let api = TestApi::with(limits("off", "200/15m")).await;
    for left in (0..200).rev() {
        let answer = api.send(get("/whoami").bearer("ada")).await;
        assert_eq!((answer.status.as_u16(), remaining(&answer)), (200, left));
    }
    assert_error(&api.send(get("/whoami").bearer("ada")).await, 429, "RATE_LIMITED");
}

#[tokio::test]
async fn several_instances_never_grant_more_than_the_quota() {
    let one = TestApi::with(limits("off", "100/15m")).await;
    let instances = [one.another(limits("off", "100/15m")), one.another(limits("off", "100/15m")), one];
    let mut granted = 0;
    for round in 0..300 {
        let answer = instances[round % 3].send(get("/whoami").bearer("ada")).await;
        granted += u32::from(answer.status == 200);
    }
    assert_eq!(granted, 100);
}

#[tokio::test]
async fn each_of_many_concurrent_requests_is_counted() {
    let api = TestApi::with(limits("10/15m", "off")).await;
    let answers = futures::future::join_all((0..40).map(|_| api.send(login("203.0.113.9")))).await;
    let refused = answers.iter().filter(|answer| answer.status == 429).count();
    let counted = answers.iter().filter(|answer| answer.status == 401).count();
    assert_eq!((counted, refused), (10, 30));
}

#[tokio::test]
async fn off_means_off() {
    let api = TestApi::with(limits("off", "off")).await;
    for _ in 0..150 {
        assert!(!api.send(login("203.0.113.9").bearer("ada")).await.has_header("ratelimit"));
    }
}

fn cart(address: &str) -> Ask {
    post("/carts").at_address(address)
}

#[tokio::test]
async fn strangers_are_counted_in_portions_under_a_limit_of_their_own() {
    let api = TestApi::with(limits("1/15m", "off")).await;
    for left in (0..40).rev() {
        let answer = api.send(cart("203.0.113.9")).await;
        assert_eq!((answer.status.as_u16(), remaining(&answer)), (200, left));
        assert_eq!(answer.header("ratelimit-policy"), "\"shop\";q=40;w=900");
    }
    assert_error(&api.send(cart("203.0.113.9")).await, 429, "RATE_LIMITED");
    assert_eq!(api.send(cart("203.0.113.10")).await.status, 200);
    // The limit of log-ins is another one.
    assert_error(&api.send(login("203.0.113.9")).await, 401, "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn portions_cost_less_than_a_write_for_each_request() {
    let api = TestApi::with(|_| {}).await;
    let windows = || async {
        let scan = Scan::new(<RateWindow as Entity>::COLLECTION);
        let page = api.db.collection::<RateWindow>().scan(&scan).await.unwrap();
        page.items.first().map(|window| window.version())
    };
    let mut writes = 0;
    let mut version = None;
    for _ in 0..20 {
        api.send(cart("203.0.113.9")).await;
        let now = windows().await;
        writes += u32::from(now != version);
        version = now;
    }
    // The first one is counted with the second. A portion is a twentieth of 40 requests at most: 1, then 2 at a time.
    assert_eq!(writes, 10);
}

#[tokio::test]
async fn a_setting_replaces_a_declared_limit() {
    let limit = "2/15m".parse().unwrap();
    let shop = [("shop".to_owned(), limit)];
    let api = TestApi::with(|settings| settings.address_limits = shop.into()).await;
    assert_eq!(remaining(&api.send(cart("203.0.113.9")).await), 1);
    assert_eq!(remaining(&api.send(cart("203.0.113.9")).await), 0);
    assert_error(&api.send(cart("203.0.113.9")).await, 429, "RATE_LIMITED");
}

fn refresh(token: &str) -> Ask {
    post("/refresh").at_address("203.0.113.9").header("cookie", &format!("refresh={token}"))
}

#[tokio::test]
async fn of_an_operation_whose_failures_count_successes_are_not_counted_and_not_refused() {
    let one = TestApi::with(limits("3/15m", "off")).await;
    let other = one.another(limits("3/15m", "off"));
    for _ in 0..10 {
        let answer = one.send(refresh("right")).await;
        assert_eq!((answer.status.as_u16(), remaining(&answer)), (200, 3));
        assert_eq!(answer.header("ratelimit-policy"), "\"address:refresh\";q=3;w=900");
    }
    for (api, left) in [(&one, 2), (&other, 1), (&one, 0)] {
        let answer = api.send(refresh("guess")).await;
        assert_error(&answer, 401, "INVALID_CREDENTIALS");
        assert_eq!(remaining(&answer), left);
    }
    for api in [&other, &one] {
        let refused = api.send(refresh("guess")).await;
        assert_error(&refused, 429, "RATE_LIMITED");
        assert_eq!(refused.header("retry-after"), resets_in(&refused).to_string());
        assert_eq!(api.send(refresh("right")).await.status, 200);
    }
    one.clock.advance(Duration::from_secs(900));
    assert_error(&one.send(refresh("guess")).await, 401, "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn a_fault_of_the_request_counts_as_a_failure() {
    let api = TestApi::with(limits("1/15m", "off")).await;
    let malformed = || post("/refresh?page=1").at_address("203.0.113.9");
    assert_error(&api.send(malformed()).await, 400, "VALIDATION_ERROR");
    assert_error(&api.send(malformed()).await, 429, "RATE_LIMITED");
}

#[tokio::test]
async fn an_instance_whose_clock_is_slow_counts_in_the_same_window_after_a_sweep() {
    let fast = TestApi::with(limits("2/15m", "off")).await;
    let seconds = resets_in(&fast.send(login("203.0.113.9")).await);
    fast.clock.advance(Duration::from_secs(seconds));
    let slow = fast.with_clock_behind(Duration::from_secs(30), limits("2/15m", "off"));
    // For the fast one a new window has begun; the old one has not been removed yet.
    assert_eq!(remaining(&fast.send(login("203.0.113.9")).await), 1);
    fast.db.backend().sweep_expired(100).await.unwrap();
    assert_eq!(remaining(&slow.send(login("203.0.113.9")).await), 0);
    assert_error(&slow.send(login("203.0.113.9")).await, 429, "RATE_LIMITED");
}

#[tokio::test]
async fn a_database_that_fails_makes_the_instance_count_alone() {
    let api = TestApi::without_tables(limits("3/15m", "3/15m")).await;
    for left in [2, 1, 0] {
        let answer = api.send(login("203.0.113.9")).await;
        assert_error(&answer, 401, "INVALID_CREDENTIALS");
        assert_eq!(remaining(&answer), left);
        let answer = api.send(get("/whoami").bearer("ada")).await;
        assert_eq!((answer.status.as_u16(), remaining(&answer)), (200, left));
    }
    assert_error(&api.send(login("203.0.113.9")).await, 429, "RATE_LIMITED");
    assert_error(&api.send(login("203.0.113.9")).await, 429, "RATE_LIMITED");
    assert_error(&api.send(login("203.0.113.10")).await, 401, "INVALID_CREDENTIALS");
}
