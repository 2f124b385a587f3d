//! Tests the answers of the routes to valid, invalid and repeated requests.

use serde_json::json;
use switchyard_harness::app::App;
use switchyard_harness::store::Backend;

async fn start() -> App {
    let router = |_: &_, identity: &_| switchyard_fn_admin::router(switchyard_program::jobs(identity));
    App::start(Backend::Sqlite, router).await
}

#[tokio::test]
async fn a_request_for_all_dead_jobs_is_accepted_and_its_job_can_be_watched() {
    let app = start().await;
    let admin = app.admin().await;
    let accepted = app.post("/admin/jobs/dead/retry").by(&admin).json(json!({})).await.expect(202);
    let id = accepted["job_id"].as_str().unwrap();
    assert_eq!(accepted["status_url"], format!("/api/v1/jobs/{id}"));
    let status = app.get(&format!("/jobs/{id}")).by(&admin).await.expect(200);
    assert_eq!((&status["state"], &status["kind"]), (&json!("queued"), &json!("jobs.retry_dead")));
    assert_eq!(status["finished_at"], json!(null));
    let job = app.get(&format!("/admin/jobs/{id}")).by(&admin).await.expect(200);
    assert_eq!(job["payload"], json!({"kind": null, "before": job["payload"]["before"]}));
    assert_eq!(job["cause"]["actor"], json!(admin.id.to_string()));
    assert_eq!(job["due_at"], job["created_at"]);
}

#[tokio::test]
async fn a_request_that_is_repeated_with_its_key_has_one_job() {
    let app = start().await;
    let admin = app.admin().await;
    let ask =
        || app.post("/admin/jobs/dead/discard").by(&admin).once("key").json(json!({"kind": "mail.send"}));
    let first = ask().await.expect(202);
    assert_eq!(ask().await.expect(202), first);
    let jobs = app.get("/admin/jobs").by(&admin).await.expect(200);
    assert_eq!(jobs["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn all_faults_of_a_request_are_reported_at_once() {
    let app = start().await;
    let admin = app.admin().await;
    let answer = app.get("/admin/jobs?state=lost&kind=&limit=0&page=1").by(&admin).await;
    assert_eq!(answer.error(), (400, "VALIDATION_ERROR".to_owned()));
    let states = "must be one of: queued, retrying, running, succeeded, dead, cancelled";
    assert_eq!(
        answer.details(),
        json!({
            "kind": "must have 1 to 64 characters",
            "limit": "must be from 1 to 100",
            "page": "is not a known parameter",
            "state": states,
        })
    );
    let answer = app.post("/admin/jobs/dead/retry").by(&admin).json(json!({"before": "soon", "id": 1})).await;
    assert_eq!(answer.details().as_object().unwrap().len(), 2, "{answer:?}");
}

#[tokio::test]
async fn a_job_is_changed_only_in_the_state_that_the_caller_has_read() {
    let app = start().await;
    let admin = app.admin().await;
    let accepted = app.post("/admin/jobs/dead/retry").by(&admin).json(json!({})).await.expect(202);
    let path = format!("/admin/jobs/{}", accepted["job_id"].as_str().unwrap());
    let etag = app.get(&path).by(&admin).await.etag();
    let cancel = |etag: &str| app.post(&format!("{path}/cancel")).by(&admin).if_match(etag);
    assert_eq!(cancel("\"x\"").await.error(), (412, "PRECONDITION_FAILED".to_owned()));
    assert_eq!(cancel(&etag).await.expect(200)["state"], json!("cancelled"));
    assert_eq!(cancel("*").await.error(), (409, "JOB_FINISHED".to_owned()));
    let discard = app.post(&format!("{path}/discard")).by(&admin).await;
    assert_eq!(discard.error(), (409, "JOB_NOT_DISCARDABLE".to_owned()));
    let retry = || app.post(&format!("{path}/retry")).by(&admin);
    assert_eq!(retry().await.expect(200)["state"], json!("queued"));
    assert_eq!(retry().await.error(), (409, "JOB_NOT_RETRYABLE".to_owned()));
}
