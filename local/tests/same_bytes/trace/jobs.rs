//! Jobs and their administration.

use serde_json::json;

use super::{address_of, register, sign_in_admin};
use crate::everywhere::Everywhere;

pub(super) async fn replay(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(70)).await;
    let stranger = register(api, "Bystander", address_of(70)).await;
    let body = json!({"kind": "jobs.retry_dead", "before": "2026-03-01T08:30:00Z"});
    let accepted =
        api.ask(202, api.post("/admin/jobs/dead/retry").by(&admin).json(body.clone())).await.json();
    let id = accepted["job_id"].as_str().unwrap();
    api.ask(202, api.post("/admin/jobs/dead/retry").by(&admin).once("jobs").json(body.clone())).await;
    api.ask(202, api.post("/admin/jobs/dead/retry").by(&admin).once("jobs").json(body)).await;
    api.ask(202, api.post("/admin/jobs/dead/discard").by(&admin)).await;
    for body in [json!({"kind": ""}), json!({"before": "soon"}), json!({"state": "dead"}), json!([])] {
        api.ask(400, api.post("/admin/jobs/dead/discard").by(&admin).json(body)).await;
    }

    api.ask(200, api.get(&format!("/jobs/{id}")).by(&admin)).await;
    api.ask(404, api.get(&format!("/jobs/{id}")).by(&stranger)).await;
    api.ask(401, api.get(&format!("/jobs/{id}"))).await;
    api.ask(404, api.get("/jobs/none").by(&admin)).await;
    api.ask(400, api.get(&format!("/jobs/{}", "x".repeat(65))).by(&admin)).await;
    api.ask(200, api.get(&format!("/admin/jobs/{id}")).by(&admin)).await;
    api.ask(403, api.get(&format!("/admin/jobs/{id}")).by(&stranger)).await;
    for (status, query) in [
        (200, ""),
        (200, "?state=queued&limit=1"),
        (200, "?kind=jobs.discard_dead"),
        (200, "?state=dead&kind=none"),
        (400, "?state=lost"),
        (400, "?kind="),
    ] {
        api.ask(status, api.get(&format!("/admin/jobs{query}")).by(&admin)).await;
    }
    api.ask(200, api.get("/admin/jobs/dead").by(&admin)).await;
    api.ask(200, api.get("/admin/jobs/stats").by(&admin)).await;
    api.ask(403, api.get("/admin/jobs/stats").by(&stranger)).await;

    api.ask(200, api.get("/admin/crons").by(&admin)).await;
    api.ask(403, api.get("/admin/crons").by(&stranger)).await;
    let pause = || api.patch("/admin/crons/none").by(&admin);
    api.ask(404, pause().json(json!({"paused": true}))).await;
    api.ask(404, api.post("/admin/crons/none/run").by(&admin)).await;

    let change = |id: &str, what: &str| api.post(&format!("/admin/jobs/{id}/{what}")).by(&admin);
    api.ask(409, change(id, "retry")).await;
    api.ask(409, change(id, "discard")).await;
    api.ask(403, api.post(&format!("/admin/jobs/{id}/cancel")).by(&stranger)).await;
    api.ask(412, change(id, "cancel").if_match("\"x\"")).await;
    api.ask(200, change(id, "cancel")).await;
    api.ask(409, change(id, "cancel")).await;
    api.ask(200, change(id, "retry")).await;
    api.ask(404, change("none", "retry")).await;
}
