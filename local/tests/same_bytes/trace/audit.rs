//! The audit log of the whole trace.

use axum::http::header;

use super::lists::walk;
use super::{address_of, sign_in_admin};
use crate::everywhere::Everywhere;
use crate::place::is_scan_position;

pub(super) async fn replay(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(100)).await;
    walk(api, &admin, "/audit-logs", "limit=37").await;
    let admin = sign_in_admin(api, address_of(100)).await;
    for query in [
        format!("actor={}&limit=50", admin.id),
        "actor=system&limit=2".to_owned(),
        "actor=anonymous&limit=40".to_owned(),
        format!("subject={}&limit=30", admin.id),
        "subject=role:role-keeper".to_owned(),
        "action=user.disabled".to_owned(),
        "action=access.denied&limit=20".to_owned(),
        "action=role.deleted&actor=system".to_owned(),
        format!("action=account.signed_in&actor={}&limit=10", admin.id),
        "from=2033-05-18T03:33:20Z&to=2033-05-18T03:50:00Z&limit=40".to_owned(),
        "from=2033-05-18T03:40:00.5Z&action=account.signed_in&to=2033-05-18T03:50:00Z&limit=3".to_owned(),
        "to=2000-01-01T00:00:00Z".to_owned(),
    ] {
        walk(api, &admin, "/audit-logs", &query).await;
    }
    let admin = sign_in_admin(api, address_of(101)).await;
    walk(api, &admin, &format!("/users/{}/audit-log", admin.id), "limit=33").await;
    for query in [
        "from=x",
        "to=2033",
        "actor=",
        "actor=nobody",
        "subject=role:",
        "action=nothing",
        "action=a&action=b",
        "limit=101",
        "user=x",
        "from=2040-01-01T00:00:00Z&to=2030-01-01T00:00:00Z",
    ] {
        api.ask(400, api.get(&format!("/audit-logs?{query}")).by(&admin)).await;
    }
    api.ask(200, api.get("/audit-logs?limit=100").by(&admin).header(header::ACCEPT_ENCODING, "gzip")).await;
    api.ask(200, api.get("/audit-logs/verify").by(&admin)).await;
    // Parts whose last one along the chains ends in the middle of the scan, and parts whose does not.
    for limit in [149, 150] {
        let mut path = format!("/audit-logs/verify?limit={limit}");
        loop {
            let part = api.ask(200, api.get(&path).by(&admin)).await.json();
            let Some(next) = part["next_cursor"].as_str().filter(|next| !is_scan_position(next)) else {
                break;
            };
            path = format!("/audit-logs/verify?limit={limit}&cursor={next}");
        }
    }
    for query in ["limit=0", "limit=x", "cursor=none", "cursor=", "from=x"] {
        api.ask(400, api.get(&format!("/audit-logs/verify?{query}")).by(&admin)).await;
    }
}
