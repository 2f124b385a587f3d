//! Many clients at once.

use std::collections::BTreeMap;
use std::future::IntoFuture as _;

use futures::future::join_all;
use serde_json::json;
use switchyard_harness::app::{Answer, App, Call, PASSWORD};

crate::on_every_backend!(
    of_a_hundred_registrations_of_one_address_one_wins,
    of_a_hundred_changes_of_one_state_one_wins,
    of_two_admins_who_demote_each_other_at_once_one_remains,
    fifty_clients_with_one_idempotency_key_create_one_account,
    a_hundred_wrong_passwords_at_once_lock_the_account_after_five,
);

/// Sends all requests at the same time.
async fn at_once(calls: impl IntoIterator<Item = Call>) -> Vec<Answer> {
    let sent: Vec<_> = calls.into_iter().map(|call| tokio::spawn(call.into_future())).collect();
    join_all(sent).await.into_iter().map(Result::unwrap).collect()
}

/// The number of answers with each status.
fn counted(answers: &[Answer]) -> BTreeMap<u16, usize> {
    let mut counts = BTreeMap::new();
    for answer in answers {
        *counts.entry(answer.status).or_default() += 1;
    }
    counts
}

async fn of_a_hundred_registrations_of_one_address_one_wins(app: App) {
    let body = |n| json!({"email": "ada@example.com", "password": PASSWORD, "name": format!("Ada {n}")});
    let answers = at_once((0..100).map(|n| app.post("/auth/register").json(body(n)))).await;
    assert_eq!(counted(&answers), BTreeMap::from([(201, 1), (409, 99)]));
    assert!(
        answers.iter().filter(|answer| answer.status == 409).all(|answer| answer.error().1 == "EMAIL_TAKEN")
    );
    let admin = app.admin().await;
    assert_eq!(app.get("/users/stats").by(&admin).await.expect(200)["total"], 2);
}

async fn of_a_hundred_changes_of_one_state_one_wins(app: App) {
    let ada = app.register("Ada").await;
    let path = format!("/users/{}", ada.id);
    let etag = app.get(&path).by(&ada).await.etag();
    let change = |n| app.patch(&path).by(&ada).if_match(&etag).json(json!({"name": format!("Ada {n}")}));
    let answers = at_once((0..100).map(change)).await;
    assert_eq!(counted(&answers), BTreeMap::from([(200, 1), (412, 99)]));
    let won = answers.iter().find(|answer| answer.status == 200).unwrap();
    let read = app.get(&path).by(&ada).await;
    assert_eq!((read.expect(200), read.etag()), (won.json(), won.etag()));
}

async fn of_two_admins_who_demote_each_other_at_once_one_remains(app: App) {
    let (admin, ada) = (app.admin().await, app.register("Ada").await);
    let roles = |id| format!("/users/{id}/roles");
    app.put(&roles(ada.id)).by(&admin).json(json!({"roles": ["admin"]})).await.expect(200);
    let ada = app.sign_in(&ada.email).await;
    let demote = json!({"roles": ["customer"]});
    let answers = at_once([
        app.put(&roles(ada.id)).by(&admin).json(demote.clone()),
        app.put(&roles(admin.id)).by(&ada).json(demote),
    ])
    .await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).map(Answer::error).collect();
    // The admin who is demoted first may no longer demote the other.
    let [last_admin, too_late] = [(409, "LAST_ADMIN".to_owned()), (403, "FORBIDDEN".to_owned())];
    assert!(matches!(&refused[..], [one] if *one == last_admin || *one == too_late), "{refused:?}");
}

async fn fifty_clients_with_one_idempotency_key_create_one_account(app: App) {
    let body = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    let register = || app.post("/auth/register").once("key-1").json(body.clone());
    let answers = at_once((0..50).map(|_| register())).await;
    let mut created = answers.iter().filter(|answer| answer.status == 201);
    let first = created.next().unwrap();
    assert!(created.all(|other| other.body == first.body), "the answers differ");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.error(), (409, "IDEMPOTENCY_IN_PROGRESS".to_owned()));
    }
    let replayed = register().await;
    assert_eq!((replayed.status, &replayed.body), (201, &first.body));
    assert_eq!(replayed.header("idempotency-replayed"), Some("true"));
    let admin = app.admin().await;
    assert_eq!(app.get("/users/stats").by(&admin).await.expect(200)["total"], 2);
}

async fn a_hundred_wrong_passwords_at_once_lock_the_account_after_five(app: App) {
    let ada = app.register("Ada").await;
    let guess = |n: u32| json!({"email": ada.email, "password": format!("guess {n}")});
    let answers = at_once((0..100).map(|n| app.post("/auth/login").json(guess(n)))).await;
    assert_eq!(counted(&answers), BTreeMap::from([(401, 5), (423, 95)]));
    let right = json!({"email": ada.email, "password": PASSWORD});
    assert_eq!(app.post("/auth/login").json(right).await.error(), (423, "ACCOUNT_LOCKED".to_owned()));
}
