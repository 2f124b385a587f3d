//! The first sign-in of the first admin, who must change their password before anything else.

use std::time::Duration;

use serde_json::json;
use switchyard_harness::app::PASSWORD;

use super::{address_of, person};
use crate::everywhere::Everywhere;
use crate::place::{ADMIN, GIVEN_PASSWORD};

pub(super) async fn replay(api: &Everywhere) {
    let from = address_of(110);
    let credentials = json!({"email": ADMIN, "password": GIVEN_PASSWORD});
    let admin = person(&api.ask(200, api.post("/auth/login").from(from).json(credentials)).await.json());
    for path in ["/auth/me", "/users", "/audit-logs"] {
        api.ask(403, api.get(path).by(&admin)).await;
    }
    let role = json!({"name": "early", "permissions": []});
    api.ask(403, api.post("/roles").by(&admin).once("early").json(role)).await;
    let change = |new: &str| {
        let body = json!({"current_password": GIVEN_PASSWORD, "new_password": new});
        api.post("/auth/password-change").by(&admin).json(body)
    };
    api.ask(400, change(GIVEN_PASSWORD)).await;
    api.ask(204, change(PASSWORD)).await;
    // The old token still says that the password must be changed. The session's next one does not.
    api.ask(403, api.get("/auth/me").by(&admin)).await;
    let refresh = json!({"refresh_token": admin.refresh_token});
    let admin = person(&api.ask(200, api.post("/auth/refresh").from(from).json(refresh)).await.json());
    api.ask(200, api.get("/auth/me").by(&admin)).await;
    api.ask(204, api.post("/auth/logout").by(&admin)).await;
    api.wait(Duration::from_secs(60)); // the next parts have the whole quota of the user
}
