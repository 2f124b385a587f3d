//! Sessions: refreshing and ending them.

use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use switchyard_harness::app::{Answer, App};

crate::on_every_backend!(
    a_refresh_token_yields_the_next,
    a_refresh_token_used_twice_ends_its_family,
    many_refreshes_of_one_token_at_once_have_the_same_successor,
    a_session_ends_thirty_days_after_its_last_refresh,
    logging_out_ends_only_this_session,
    logging_out_everywhere_ends_all_sessions,
);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn refresh(app: &App, token: &Value) -> Answer {
    app.post("/auth/refresh").json(json!({"refresh_token": token})).await
}

async fn a_refresh_token_yields_the_next(app: App) {
    let ada = app.register("Ada").await;
    let mut token = json!(ada.refresh_token);
    for _ in 0..3 {
        let next = refresh(&app, &token).await.expect(200)["refresh_token"].clone();
        assert_ne!(next, token);
        token = next;
    }
}

async fn a_refresh_token_used_twice_ends_its_family(app: App) {
    let ada = app.register("Ada").await;
    let elsewhere = app.sign_in(&ada.email).await;
    let stolen = json!(ada.refresh_token);
    let next = refresh(&app, &stolen).await.expect(200)["refresh_token"].clone();
    app.wait(Duration::from_secs(10));
    assert_eq!(refresh(&app, &stolen).await.error(), (401, "REFRESH_TOKEN_REUSED".to_owned()));
    // It is unknown which client is the user, so the latest token is no longer valid either, and nothing more is written.
    let write = app.patch("/auth/me").by(&ada).json(json!({"name": "Eve"})).await;
    assert_eq!(write.error(), (401, "UNAUTHENTICATED".to_owned()));
    assert_eq!(refresh(&app, &next).await.status, 401);
    assert_eq!(
        refresh(&app, &json!(elsewhere.refresh_token)).await.status,
        200,
        "the other session ended too"
    );

    let log = app.get(&format!("/users/{}/audit-log", ada.id)).by(&ada).await.expect(200);
    let actions: Vec<_> =
        log["data"].as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert!(actions.contains(&json!("session.refresh_token_reused")), "{actions:?}");
}

async fn many_refreshes_of_one_token_at_once_have_the_same_successor(app: App) {
    let ada = app.register("Ada").await;
    let token = json!(ada.refresh_token);
    let answers = join_all((0..32).map(|_| {
        let call = app.post("/auth/refresh").json(json!({"refresh_token": token}));
        tokio::spawn(call.into_future())
    }))
    .await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.unwrap().expect(200)).collect();
    for answer in &answers {
        assert_eq!(answer["refresh_token"], answers[0]["refresh_token"]);
    }
    assert_eq!(refresh(&app, &answers[0]["refresh_token"]).await.status, 200);
}

async fn a_session_ends_thirty_days_after_its_last_refresh(app: App) {
    let ada = app.register("Ada").await;
    app.wait(29 * DAY);
    let next = refresh(&app, &json!(ada.refresh_token)).await.expect(200)["refresh_token"].clone();
    app.wait(30 * DAY);
    assert_eq!(refresh(&app, &next).await.error(), (401, "REFRESH_TOKEN_INVALID".to_owned()));
}

async fn logging_out_ends_only_this_session(app: App) {
    let ada = app.register("Ada").await;
    let elsewhere = app.sign_in(&ada.email).await;
    assert_eq!(app.post("/auth/logout").by(&ada).await.status, 204);
    assert_eq!(
        refresh(&app, &json!(ada.refresh_token)).await.error(),
        (401, "REFRESH_TOKEN_INVALID".to_owned())
    );
    assert_eq!(refresh(&app, &json!(elsewhere.refresh_token)).await.status, 200);
    let write = async |person| app.patch("/auth/me").by(person).json(json!({"name": "Ada"})).await.status;
    assert_eq!((write(&ada).await, write(&elsewhere).await), (401, 200));
    assert_eq!(app.post("/auth/logout").by(&ada).await.status, 204, "logging out again failed");
    app.wait(Duration::from_secs(60 * 60));
    let by_token = json!({"refresh_token": elsewhere.refresh_token});
    let late = app.post("/auth/logout").by(&elsewhere).json(by_token).await;
    assert_eq!(late.status, 204, "an access token that has expired is no obstacle");
    assert_eq!(refresh(&app, &json!(elsewhere.refresh_token)).await.status, 401);
}

async fn logging_out_everywhere_ends_all_sessions(app: App) {
    let ada = app.register("Ada").await;
    let elsewhere = app.sign_in(&ada.email).await;
    let grace = app.register("Grace").await;
    assert_eq!(app.post("/auth/logout-all").by(&ada).await.status, 204);
    for token in [&ada.refresh_token, &elsewhere.refresh_token] {
        assert_eq!(refresh(&app, &json!(token)).await.error(), (401, "REFRESH_TOKEN_INVALID".to_owned()));
    }
    assert_eq!(refresh(&app, &json!(grace.refresh_token)).await.status, 200);
}
