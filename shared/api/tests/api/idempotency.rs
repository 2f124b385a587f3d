use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use switchyard_api::IdempotencyRecord;
use switchyard_database::Scan;

use crate::harness::{Answer, Ask, TestApi, assert_error, post};

fn pay(key: &str, amount: u32) -> Ask {
    post("/payments/a").bearer("ada").header("idempotency-key", key).json(json!({ "amount_minor": amount }))
}

impl TestApi {
    fn payments(&self) -> usize {
        self.probe.payments.load(Ordering::SeqCst)
    }
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

#[tokio::test]
async fn the_same_request_gets_the_first_answer_byte_for_byte() {
    let api = TestApi::new().await;
    let first = api.send(pay("k-1", 5)).await;
    assert_eq!((first.status.as_u16(), is_replayed(&first)), (201, false));
    let again = api.send(pay("k-1", 5)).await;
    assert!(is_replayed(&again));
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.header("content-type"), "application/json");
    assert_eq!(api.payments(), 1);
}

#[tokio::test]
async fn an_answer_is_repeated_until_the_key_that_sealed_it_is_gone() {
    const OLD: &str = "old-key-old-key-old-key-old-key-";
    const NEW: &str = "new-key-new-key-new-key-new-key-";
    let api = TestApi::new().await.with_keys(OLD);
    let first = api.send(pay("k-1", 5)).await;
    let rotated = api.with_keys(&format!("{NEW},{OLD}"));
    let again = rotated.send(pay("k-1", 5)).await;
    assert_eq!((is_replayed(&again), &again.body), (true, &first.body));
    assert_error(&rotated.send(pay("k-1", 6)).await, 422, "IDEMPOTENCY_KEY_REUSED");
    assert_error(&api.with_keys(NEW).send(pay("k-1", 5)).await, 409, "IDEMPOTENCY_ANSWER_LOST");
    assert_eq!(api.payments(), 1);
}

#[tokio::test]
async fn an_error_that_depends_on_the_request_alone_is_replayed_too() {
    let api = TestApi::new().await;
    let first = api.send(pay("k-1", 0)).await;
    assert_error(&first, 409, "CONFLICT");
    let again = api.send(pay("k-1", 0)).await;
    assert_eq!((is_replayed(&again), &again.body), (true, &first.body));
    assert_eq!(api.payments(), 1);
}

#[tokio::test]
async fn another_request_with_the_same_key_is_refused() {
    let api = TestApi::new().await;
    assert_eq!(api.send(pay("k-1", 5)).await.status, 201);
    assert_error(&api.send(pay("k-1", 6)).await, 422, "IDEMPOTENCY_KEY_REUSED");
    let elsewhere = post("/payments/b").bearer("ada").header("idempotency-key", "k-1");
    assert_error(
        &api.send(elsewhere.json(json!({ "amount_minor": 5 }))).await,
        422,
        "IDEMPOTENCY_KEY_REUSED",
    );
    assert_eq!(api.payments(), 1);
}

#[tokio::test]
async fn a_key_belongs_to_one_caller_on_one_route() {
    let api = TestApi::new().await;
    assert_eq!(api.send(pay("k-1", 5)).await.json()["number"], 1);
    let bob = post("/payments/a").bearer("bob").header("idempotency-key", "k-1");
    assert_eq!(api.send(bob.json(json!({ "amount_minor": 5 }))).await.json()["number"], 2);
    let note = post("/notes").bearer("ada").header("idempotency-key", "k-1").json(json!({ "text": "a" }));
    let note = api.send(note).await;
    assert_eq!((note.status.as_u16(), is_replayed(&note)), (201, false));
}

#[tokio::test]
async fn a_key_can_be_required_and_is_honoured_on_every_post() {
    let api = TestApi::new().await;
    let without = post("/payments/a").bearer("ada").json(json!({ "amount_minor": 5 }));
    assert_error(&api.send(without).await, 400, "IDEMPOTENCY_KEY_REQUIRED");
    let note = || post("/notes").bearer("ada").header("idempotency-key", "k").json(json!({ "text": "a" }));
    let (first, again) = (api.send(note()).await, api.send(note()).await);
    assert_eq!((&first.body, is_replayed(&again)), (&again.body, true));
}

#[tokio::test]
async fn a_malformed_key_is_refused() {
    let api = TestApi::new().await;
    let answer = api.send(pay("a b", 5)).await;
    assert_eq!(answer.details(), json!({ "Idempotency-Key": "must be 1 to 255 visible ASCII characters" }));
    assert_eq!(api.send(pay("\"k-1\"", 5)).await.json(), api.send(pay("k-1", 5)).await.json());
}

#[tokio::test]
async fn a_request_is_not_run_again_while_it_still_runs() {
    let api = TestApi::new().await;
    let (first, second) = tokio::join!(api.send(pay("k-1", 60)), async {
        api.probe.begun.notified().await;
        let second = api.send(pay("k-1", 60)).await;
        let other = api.send(pay("k-1", 61)).await;
        assert_error(&other, 422, "IDEMPOTENCY_KEY_REUSED");
        api.probe.resume.notify_one();
        second
    });
    assert_error(&second, 409, "IDEMPOTENCY_IN_PROGRESS");
    assert_eq!(second.header("retry-after"), "1");
    assert_eq!(first.status, 201);
    assert_eq!(api.send(pay("k-1", 60)).await.body, first.body);
    assert_eq!(api.payments(), 1);
}

#[tokio::test]
async fn a_client_that_disconnected_finds_the_answer_later() {
    let api = TestApi::new().await;
    {
        let asking = api.send(pay("k-1", 60));
        tokio::pin!(asking);
        tokio::select! {
            _ = &mut asking => panic!("the request ended before it was resumed"),
            () = api.probe.begun.notified() => {}
        }
    } // the connection is closed
    api.probe.resume.notify_one();
    let answer = loop {
        let answer = api.send(pay("k-1", 60)).await;
        if answer.status != 409 {
            break answer;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((answer.status.as_u16(), is_replayed(&answer)), (201, true));
    assert_eq!(api.payments(), 1);
}

#[tokio::test]
async fn a_crash_does_not_reserve_the_key_forever() {
    let api = TestApi::new().await;
    let crashed = async {
        tokio::select! {
            _ = api.send(pay("k-1", 60)) => panic!("the request ended before it was resumed"),
            () = api.probe.begun.notified() => {}
        }
    };
    crashed.await; // it never continues, as after a crash
    assert_error(&api.send(pay("k-1", 60)).await, 409, "IDEMPOTENCY_IN_PROGRESS");
    api.clock.advance(Duration::from_secs(54));
    assert_error(&api.send(pay("k-1", 60)).await, 409, "IDEMPOTENCY_IN_PROGRESS");
    api.clock.advance(Duration::from_secs(1)); // the time-out of 25 seconds, plus the margin of 30
    let (answer, ()) = tokio::join!(api.send(pay("k-1", 60)), async {
        api.probe.begun.notified().await;
        api.probe.resume.notify_waiters();
    });
    assert_eq!((answer.status.as_u16(), answer.json()["number"].as_u64()), (201, Some(2)));
    assert_eq!(api.send(pay("k-1", 60)).await.body, answer.body);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_stopped_and_can_be_repeated() {
    let api = TestApi::with(|settings| settings.request_timeout = Duration::from_millis(100)).await;
    assert_error(&api.send(pay("k-1", 60)).await, 503, "UNAVAILABLE");
    api.probe.resume.notify_one(); // the first request is gone, so the next one receives this
    assert_error(&api.send(pay("k-1", 60)).await, 409, "IDEMPOTENCY_IN_PROGRESS");
    api.clock.advance(Duration::from_millis(30_100));
    let answer = api.send(pay("k-1", 60)).await;
    assert_eq!((answer.status.as_u16(), answer.json()["number"].as_u64()), (201, Some(2)));
    assert_eq!((is_replayed(&answer), api.payments()), (false, 2));
}

#[tokio::test]
async fn an_answer_that_depends_on_other_circumstances_is_not_stored() {
    let api = TestApi::new().await;
    for (amount, status) in [(504, 503), (429, 429)] {
        let before = api.payments();
        let key = format!("k-{amount}");
        assert_eq!(api.send(pay(&key, amount)).await.status.as_u16(), status);
        let again = api.send(pay(&key, amount)).await;
        assert_eq!((again.status.as_u16(), is_replayed(&again), api.payments()), (status, false, before + 2));
    }
    let erase = |token| post("/erase").bearer(token).header("idempotency-key", "k");
    assert_error(&api.send(erase("bob")).await, 403, "STEP_UP_REQUIRED");
    assert!(!is_replayed(&api.send(erase("bob")).await));
}

#[tokio::test]
async fn a_request_that_may_have_taken_effect_does_not_run_again_before_its_lease_expires() {
    let api = TestApi::new().await;
    for (amount, status) in [(500, 500), (502, 503), (13, 500)] {
        let before = api.payments();
        let key = format!("k-{amount}");
        assert_eq!(api.send(pay(&key, amount)).await.status.as_u16(), status);
        assert_error(&api.send(pay(&key, amount)).await, 409, "IDEMPOTENCY_IN_PROGRESS");
        assert_eq!(api.payments(), before + 1);
        api.clock.advance(Duration::from_secs(55)); // the time-out of 25 seconds, plus the margin of 30
        assert_eq!(api.send(pay(&key, amount)).await.status.as_u16(), status);
        assert_eq!(api.payments(), before + 2);
    }
}

#[tokio::test]
async fn a_refusal_that_the_client_can_correct_does_not_use_up_the_key() {
    let api = TestApi::new().await;
    let keyed = || post("/payments/a").bearer("ada").header("idempotency-key", "k-1");
    assert_error(&api.send(keyed().body("{\"amount_minor\": 5}")).await, 415, "UNSUPPORTED_MEDIA_TYPE");
    let text = keyed().header("content-type", "text/plain").body("{\"amount_minor\": 5}");
    assert_error(&api.send(text).await, 415, "UNSUPPORTED_MEDIA_TYPE");
    let answer = api.send(pay("k-1", 5)).await;
    assert_eq!((answer.status.as_u16(), is_replayed(&answer), api.payments()), (201, false, 1));
}

#[tokio::test]
async fn a_condition_is_part_of_the_request() {
    let api = TestApi::new().await;
    assert_eq!(api.send(pay("k-1", 5).header("if-match", "\"1\"")).await.status, 201);
    assert!(is_replayed(&api.send(pay("k-1", 5).header("if-match", "\"1\"")).await));
    for other in
        [pay("k-1", 5), pay("k-1", 5).header("if-match", "\"2\""), pay("k-1", 5).header("if-none-match", "*")]
    {
        assert_error(&api.send(other).await, 422, "IDEMPOTENCY_KEY_REUSED");
    }
}

#[tokio::test]
async fn a_request_whose_answer_is_too_large_to_store_does_not_run_again() {
    let api = TestApi::new().await;
    let answer = api.send(pay("k-1", 1_000_000)).await;
    assert_eq!((answer.status.as_u16(), answer.body.len() > 300_000), (201, true));
    let again = api.send(pay("k-1", 1_000_000)).await;
    assert_eq!(again.json()["error"]["code"], "IDEMPOTENCY_ANSWER_LOST");
    assert_eq!((again.status.as_u16(), is_replayed(&again), api.payments()), (409, true, 1));
}

#[tokio::test]
async fn an_answer_is_stored_for_a_day() {
    let api = TestApi::new().await;
    let first = api.send(pay("k-1", 5)).await;
    api.clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    assert_eq!(api.send(pay("k-1", 5)).await.body, first.body);
    api.clock.advance(Duration::from_secs(1));
    assert_eq!(api.send(pay("k-1", 5)).await.json()["number"], 2);
}

fn login() -> Ask {
    let credentials = json!({ "email": "ada@example.com", "password": "secret" });
    post("/login").at_address("203.0.113.9").header("idempotency-key", "login-1").json(credentials)
}

#[tokio::test]
async fn cookies_are_part_of_an_answer() {
    let api = TestApi::new().await;
    let first = api.send(login()).await;
    let again = api.send(login()).await;
    let cookies = |answer: &Answer| answer.headers.get_all("set-cookie").iter().cloned().collect::<Vec<_>>();
    assert_eq!(cookies(&again), ["refresh=r-token", "theme=dark"]);
    assert_eq!((cookies(&first), &first.body), (cookies(&again), &again.body));
}

#[tokio::test]
async fn an_answer_is_replayed_only_for_the_same_cookie() {
    let api = TestApi::new().await;
    let refresh = |cookie: &str| post("/refresh").header("idempotency-key", "1").header("cookie", cookie);
    let first = api.send(refresh("theme=dark; refresh=r-token")).await;
    assert_eq!(first.json()["access_token"], "token 1 for Some(\"r-token\")");
    let again = api.send(refresh("theme=light; refresh=r-token")).await;
    assert_eq!(
        (is_replayed(&again), &again.body),
        (true, &first.body),
        "cookies that the route does not read make no difference"
    );
    for stranger in ["theme=dark", "refresh=", "refresh=x-token"] {
        assert_error(&api.send(refresh(stranger)).await, 422, "IDEMPOTENCY_KEY_REUSED");
    }
}

#[tokio::test]
async fn the_store_alone_does_not_reveal_an_answer() {
    let api = TestApi::new().await;
    let answer = api.send(login()).await;
    assert_eq!(answer.json()["access_token"], "token 1 of ada@example.com");
    let scan = Scan::new(<IdempotencyRecord as switchyard_database::Entity>::COLLECTION);
    let page = api.db.collection::<IdempotencyRecord>().scan(&scan).await.unwrap();
    let [record] = &page.items[..] else { panic!("expected one record") };
    let stored = serde_json::to_string(&record.document().body).unwrap();
    let sealed = record.document().body["answer"].as_str().unwrap();
    for secret in ["token", "ada", "secret", "login-1", "r-token"] {
        assert!(!stored.contains(secret), "{secret} in {stored}");
    }
    assert!(sealed.len() > 100);
}

#[tokio::test]
async fn a_bad_token_is_refused_before_the_key_is_read() {
    let api = TestApi::new().await;
    assert_eq!(api.send(pay("k-1", 5)).await.status, 201);
    let expired = post("/payments/a").bearer("expired").header("idempotency-key", "k-1");
    assert_error(&api.send(expired.json(json!({ "amount_minor": 5 }))).await, 401, "TOKEN_EXPIRED");
}

#[tokio::test]
async fn without_a_token_the_answer_is_401_before_the_key_is_read() {
    let api = TestApi::new().await;
    let stranger = post("/payments/a").header("idempotency-key", "a b").json(json!({ "amount_minor": 5 }));
    assert_error(&api.send(stranger).await, 401, "UNAUTHENTICATED");
}

#[tokio::test]
async fn a_key_is_ignored_if_there_is_no_operation() {
    let api = TestApi::new().await;
    for (path, status, code) in [("/text/7", 405, "METHOD_NOT_ALLOWED"), ("/nowhere", 404, "NOT_FOUND")] {
        let ask = || post(path).header("idempotency-key", "k-1");
        api.send(ask()).await;
        let again = api.send(ask()).await;
        assert_error(&again, status, code);
        assert!(!is_replayed(&again), "{path}");
    }
}

#[tokio::test]
async fn a_public_operation_replays_its_answer_whatever_the_token() {
    let api = TestApi::new().await;
    let first = api.send(login().bearer("expired")).await;
    for again in [login().bearer("expired"), login().bearer("forged"), login()] {
        let again = api.send(again).await;
        assert_eq!((is_replayed(&again), &again.body), (true, &first.body));
    }
}

#[tokio::test]
async fn another_instance_replays_the_answer_too() {
    let api = TestApi::new().await;
    let first = api.send(pay("k-1", 5)).await;
    let other = api.another(|_| {});
    assert_eq!(other.send(pay("k-1", 5)).await.body, first.body);
}

#[tokio::test]
async fn of_many_requests_with_one_key_only_one_runs() {
    let api = TestApi::new().await;
    let answers = futures::future::join_all((0..20).map(|_| api.send(pay("k-1", 5)))).await;
    assert_eq!(api.payments(), 1);
    let numbers: Vec<Value> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| answer.json()["number"].clone())
        .collect();
    assert!(!numbers.is_empty() && numbers.iter().all(|number| number == 1));
    assert!(answers.iter().all(|answer| matches!(answer.status.as_u16(), 201 | 409)));
}

#[tokio::test]
async fn an_answer_is_given_again_only_to_who_sends_the_same_secret_header() {
    let api = TestApi::new().await;
    let create = |token: Option<&str>| {
        let ask = post("/carts").header("idempotency-key", "1");
        token.map_or(ask.header("x-other", "1"), |token| {
            post("/carts").header("idempotency-key", "1").header("x-cart-token", token)
        })
    };
    let first = api.send(create(Some("cart-token"))).await;
    assert_eq!(first.json(), json!({ "number": 1, "earlier": 10, "owner": null }));
    let again = api.send(create(Some("cart-token")).header("x-other", "1")).await;
    assert_eq!((is_replayed(&again), &again.body), (true, &first.body));
    for other in [Some("another"), Some(""), None] {
        assert_error(&api.send(create(other)).await, 422, "IDEMPOTENCY_KEY_REUSED");
    }
    let twice = create(Some("cart-token")).header("x-cart-token", "another");
    assert_error(&api.send(twice).await, 422, "IDEMPOTENCY_KEY_REUSED");
}
