//! Every POST, sent with an `Idempotency-Key` whose first answer is lost after the effect was committed, as by a crash or by a
//! lost reply of the database. The repetition takes no effect of its own, and gets an answer.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::{HeaderName, Method};
use serde_json::Value;
use switchyard_harness::app::{Answer, App, Call, Person};
use switchyard_kernel::Outcome;

use crate::audited::entries;
use crate::requests::{Permitted, Request, requests};

crate::on_every_backend!(
    a_request_whose_answer_was_lost_takes_effect_once,
    an_answer_that_can_no_longer_be_given_is_refused,
    a_session_of_a_lost_answer_works,
);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Operations that record no effect, because their repetition changes nothing, with the collection that they write to.
const HARMLESS: [(&str, &str); 1] = [("refresh", "sessions")];

fn keyed(app: &App, request: &Request, person: &Person) -> Call {
    request.call(app).by(person).header(IDEMPOTENCY_KEY, "lost")
}

async fn a_request_whose_answer_was_lost_takes_effect_once(app: App) {
    let mut permitted = Permitted::default();
    for request in requests(&app, &app.register("Ada").await).await {
        let id = request.operation.id.clone();
        if request.operation.method != Method::POST {
            continue;
        }
        let owner = app.register(&id).await;
        let request = request.for_owner(&app, &owner).await;
        let person = permitted.person(&app, &request, &owner).await;
        app.wait(Duration::from_secs(1)); // so that the entries of this request are those from now on
        let harmless = HARMLESS.iter().find(|(operation, _)| *operation == id);
        app.lose_reply_to_write(harmless.map_or("request_effects", |(_, collection)| collection));
        let first = keyed(&app, &request, &person).await;
        assert!(app.has_lost_reply(), "{id} records no effect: {first:?}");
        assert_eq!((first.status, first.error().1), (503, "UNAVAILABLE".to_owned()), "{id}: {first:?}");

        // Without a record of the effect, the lease of the first run must expire.
        app.wait(Duration::from_secs(if harmless.is_some() { 60 } else { 0 }));
        let again = keyed(&app, &request, &person).await;
        assert!((200..300).contains(&again.status), "{id}: {again:?}");
        let third = keyed(&app, &request, &person).await;
        assert_eq!((third.status, &third.body), (again.status, &again.body), "{id}");
        let entries = entries(&app, Some(app.db().ambient().now())).await;
        let effects = || entries.iter().filter(|entry| entry.outcome == Outcome::Success);
        let distinct: BTreeSet<_> =
            effects().map(|entry| (&entry.action, &entry.subject, &entry.resource)).collect();
        assert_eq!(effects().count(), distinct.len(), "{id} took effect twice: {entries:?}");
        assert_eq!(distinct.is_empty(), harmless.is_some(), "{id}: {entries:?}");
        if again.status == 201 {
            let entry = entries.first().unwrap();
            let names = [&entry.subject, &entry.resource].map(|name| name.clone().unwrap_or_default());
            let made = id_in(&again);
            assert!(
                names.iter().any(|name| name.ends_with(&made)),
                "{id} answers with {made}, not one of {names:?}"
            );
        }
    }
}

/// The id or the name of what an answer shows.
fn id_in(answer: &Answer) -> String {
    let body: Value = answer.json();
    let shown = [&body["id"], &body["name"], &body["user"]["id"]].into_iter().find_map(Value::as_str);
    shown.unwrap_or_else(|| panic!("the answer has no id: {body}")).to_owned()
}

async fn an_answer_that_can_no_longer_be_given_is_refused(app: App) {
    let admin = app.admin().await;
    let create = || {
        let body = serde_json::json!({"email": "grace@example.com", "name": "Grace"});
        app.post("/users").by(&admin).header(IDEMPOTENCY_KEY, "k").json(body)
    };
    app.lose_reply_to_write("request_effects");
    assert_eq!(create().await.status, 503);
    let list = app.get("/users?q=grace").by(&admin).await.expect(200);
    let grace = list["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(app.delete(&format!("/users/{grace}")).by(&admin).await.status, 204);
    for _ in 0..2 {
        let answer = create().await;
        assert_eq!((answer.status, answer.error().1), (409, "IDEMPOTENCY_ANSWER_LOST".to_owned()));
    }
}

async fn a_session_of_a_lost_answer_works(app: App) {
    let registration = || {
        let body = serde_json::json!({
            "email": "grace@example.com", "password": switchyard_harness::app::PASSWORD, "name": "Grace"
        });
        app.post("/auth/register").header(IDEMPOTENCY_KEY, "k").json(body)
    };
    app.lose_reply_to_write("request_effects");
    assert_eq!(registration().await.status, 503);
    let signed_in = registration().await.expect(201);
    let refresh = |token: &Value| app.post("/auth/refresh").json(serde_json::json!({"refresh_token": token}));
    assert_eq!(refresh(&signed_in["refresh_token"]).await.status, 200);
    let me = app.get("/auth/me").bearer(signed_in["access_token"].as_str().unwrap()).await.expect(200);
    assert_eq!(me["id"], signed_in["user"]["id"]);
}
