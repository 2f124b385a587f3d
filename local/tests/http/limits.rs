//! Rate limits: what they cost, what they cost when the database is slow, and what counts as a guess.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::json;
use switchyard_api::{ApiSettings, RateLimit};
use switchyard_harness::app::{Answer, App, PASSWORD};
use switchyard_harness::store::Backend;

use crate::start_with;

const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 1));
const COUNTED: &str = "rate_windows";

/// Turns each scenario into a test on every backend, with these limits of an address and of a user. The time limit of
/// counting is the default, or long where a busy machine must not change the number of calls.
macro_rules! on_every_backend {
    ($($scenario:ident: $address:expr, $user:expr, $timeout:expr;)+) => {
        $crate::limits::on_every_backend!(@ sqlite Sqlite $([$scenario $address, $user, $timeout])+);
        $crate::limits::on_every_backend!(@ postgres Postgres $([$scenario $address, $user, $timeout])+);
        $crate::limits::on_every_backend!(@ dynamodb DynamoDb $([$scenario $address, $user, $timeout])+);
    };
    (@ $module:ident $backend:ident $([$scenario:ident $address:expr, $user:expr, $timeout:expr])+) => {
        mod $module {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    let settings = settings($address, $user, $timeout);
                    super::$scenario(start_with(Backend::$backend, settings).await).await;
                }
            )+
        }
    };
}

use on_every_backend;

const DEFAULT: Duration = Duration::from_millis(150);
const LONG: Duration = Duration::from_secs(20);

async fn requests_beyond_a_limit_are_recorded_once(app: App) {
    let login = json!({"email": "nobody@example.org", "password": "wrong"});
    for status in [401, 401, 401, 429, 429, 429] {
        assert_eq!(app.post("/auth/login").json(login.clone()).from(HERE).await.status, status);
    }
    let mut entries = crate::audited::entries(&app, None).await;
    entries.retain(|entry| entry.action == "access.rate_limited");
    let [entry] = &entries[..] else { panic!("expected one entry: {entries:?}") };
    assert_eq!((entry.actor.as_str(), entry.address.as_deref()), ("anonymous", Some("203.0.113.1")));
    assert_eq!(entry.details["policy"], "address:login");
}

on_every_backend! {
    requests_beyond_a_limit_are_recorded_once: "3/15m", "off", LONG;
    a_slow_counter_delays_one_request_and_refuses_none: "100/15m", "39/15m", DEFAULT;
    guesses_are_counted_by_the_instance_while_the_counter_is_slow: "3/15m", "off", DEFAULT;
    the_first_few_requests_of_a_user_cost_no_call_and_the_others_a_part_of_one: "off", "1000/15m", LONG;
    a_guess_costs_one_call: "100/15m", "off", LONG;
    refreshes_that_succeed_are_not_counted_and_those_that_fail_are: "100/15m", "off", LONG;
    operations_where_something_can_be_guessed_are_counted_each_by_itself: "2/15m", "off", LONG;
}

fn settings(address: &str, user: &str, rate_limit_timeout: Duration) -> ApiSettings {
    let limit = |text: &str| text.parse::<RateLimit>().unwrap();
    let (rate_limit, rate_limit_user) = (limit(address), limit(user));
    ApiSettings { rate_limit, rate_limit_user, rate_limit_timeout, ..ApiSettings::default() }
}

/// The limit of the policy `name` in an answer: what is left, and in how many seconds it is full again.
fn limit(answer: &Answer, name: &str) -> (u32, u64) {
    let entries: Vec<_> =
        answer.headers.get_all("ratelimit").iter().map(|entry| entry.to_str().unwrap()).collect();
    let prefix = format!("\"{name}\";r=");
    let entry = entries.iter().find_map(|entry| entry.strip_prefix(&prefix));
    let (left, seconds) = entry.unwrap_or_else(|| panic!("{entries:?}")).split_once(";t=").unwrap();
    (left.parse().unwrap(), seconds.parse().unwrap())
}

async fn guess(app: &App) -> Answer {
    let body = json!({ "email": "nobody@example.com", "password": "wrong" });
    app.post("/auth/login").from(HERE).json(body).await
}

async fn refresh(app: &App, token: &str) -> Answer {
    app.post("/auth/refresh").from(HERE).json(json!({ "refresh_token": token })).await
}

async fn a_slow_counter_delays_one_request_and_refuses_none(app: App) {
    let ada = app.register("Ada").await;
    app.get("/auth/me").by(&ada).await.expect(200);
    app.delay_calls(COUNTED, Duration::from_secs(4));
    app.take_calls(COUNTED);
    let start = Instant::now();
    for left in (18..38).rev() {
        let answer = app.get("/auth/me").by(&ada).await;
        answer.expect(200);
        assert_eq!(limit(&answer, "user").0, left);
    }
    let (elapsed, asked) = (start.elapsed(), app.take_calls(COUNTED).len());
    // Every request waited for 4 s, and each call of it that was repeated.
    assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
    assert!((1..=2).contains(&asked), "the counter was asked {asked} times");
    // When it answers again, it is asked again.
    app.delay_calls(COUNTED, Duration::ZERO);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    for left in (16..18).rev() {
        let answer = app.get("/auth/me").by(&ada).await;
        assert_eq!((answer.status, limit(&answer, "user").0), (200, left));
    }
    assert!(!app.take_calls(COUNTED).is_empty());
}

async fn guesses_are_counted_by_the_instance_while_the_counter_is_slow(app: App) {
    app.delay_calls(COUNTED, Duration::from_secs(4));
    let start = Instant::now();
    for left in [2, 1, 0] {
        let answer = guess(&app).await;
        assert_eq!((answer.status, limit(&answer, "address:login").0), (401, left));
    }
    let refused = guess(&app).await;
    assert_eq!(refused.error(), (429, "RATE_LIMITED".to_owned()));
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    let (left, seconds) = limit(&refused, "address:login");
    assert_eq!(left, 0);
    assert_eq!(refused.header("retry-after"), Some(seconds.to_string().as_str()));
    app.wait(Duration::from_secs(seconds));
    assert_eq!(guess(&app).await.status, 401);
}

async fn the_first_few_requests_of_a_user_cost_no_call_and_the_others_a_part_of_one(app: App) {
    let ada = app.register("Ada").await;
    let send = async |requests: u32| {
        for _ in 0..requests {
            app.get("/auth/me").by(&ada).await.expect(200);
        }
        app.take_calls(COUNTED)
    };
    assert_eq!(send(10).await, [""; 0]);
    assert_eq!(send(1).await, ["add"]);
    // A portion is as many as were used before, and a twentieth of the quota at most: 10, 20, 40, 50, 50.
    assert_eq!(send(169).await, ["add"; 4]);
    let answer = app.get("/auth/me").by(&ada).await;
    assert_eq!(limit(&answer, "user").0, 819);
}

async fn a_guess_costs_one_call(app: App) {
    for left in [99, 98, 97] {
        let answer = guess(&app).await;
        assert_eq!((answer.status, limit(&answer, "address:login").0), (401, left));
        assert_eq!(app.take_calls(COUNTED), ["add"]);
    }
}

async fn refreshes_that_succeed_are_not_counted_and_those_that_fail_are(app: App) {
    let mut token = app.register("Ada").await.refresh_token;
    for _ in 0..300 {
        let answer = refresh(&app, &token).await;
        assert_eq!(limit(&answer, "address:refresh").0, 100);
        token = answer.expect(200)["refresh_token"].as_str().unwrap().to_owned();
    }
    assert_eq!(app.take_calls(COUNTED), [""; 0]);
    for left in (0..100).rev() {
        let answer = refresh(&app, "made-up").await;
        assert_eq!((answer.status, limit(&answer, "address:refresh").0), (401, left));
    }
    assert_eq!(app.take_calls(COUNTED), ["add"; 100]);
    let refused = refresh(&app, "made-up").await;
    assert_eq!(refused.error(), (429, "RATE_LIMITED".to_owned()));
    let seconds = limit(&refused, "address:refresh").1;
    assert_eq!(refused.header("retry-after"), Some(seconds.to_string().as_str()));
    // Who has the right token is not kept out by somebody at the same address.
    assert_eq!(refresh(&app, &token).await.status, 200);
    app.wait(Duration::from_secs(seconds));
    assert_eq!(refresh(&app, "made-up").await.status, 401);
}

async fn operations_where_something_can_be_guessed_are_counted_each_by_itself(app: App) {
    let ada = app.register("Ada").await;
    for _ in 0..2 {
        assert_eq!(guess(&app).await.status, 401);
    }
    assert_eq!(guess(&app).await.status, 429);
    for left in [1, 0] {
        let answer = refresh(&app, "made-up").await;
        assert_eq!((answer.status, limit(&answer, "address:refresh").0), (401, left));
        let fields = json!({ "email": "grace@example.com", "password": "short", "name": "Grace" });
        let answer = app.post("/auth/register").from(HERE).json(fields).await;
        assert_eq!((answer.status, limit(&answer, "address:register").0), (400, left));
        let change = json!({ "current_password": "wrong", "new_password": PASSWORD });
        let answer = app.post("/auth/password-change").from(HERE).by(&ada).json(change).await;
        assert_eq!((answer.status, limit(&answer, "address:change_password").0), (401, left));
    }
    let change = json!({ "current_password": PASSWORD, "new_password": "another passphrase 42" });
    let answer = app.post("/auth/password-change").from(HERE).by(&ada).json(change).await;
    assert_eq!(answer.status, 429);
}
