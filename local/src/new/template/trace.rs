//! Books.

use axum::http::header;
use serde_json::json;

use super::{address_of, register, sign_in_admin};
use crate::everywhere::Everywhere;

pub(super) async fn replay(api: &Everywhere) {
    let ada = register(api, "books-owner", address_of(110)).await;
    let body = json!({"title": "A Short History", "description": "Of nearly everything."});
    let created = api.ask(201, api.post("/books").by(&ada).json(body)).await;
    let path = format!("/books/{}", created.json()["id"].as_str().unwrap_or_default());
    let first = created.etag();
    api.ask(200, api.get(&path).by(&ada)).await;
    api.ask(304, api.get(&path).by(&ada).header(header::IF_NONE_MATCH, &first)).await;
    api.ask(200, api.get("/books?q=short").by(&ada)).await;
    api.ask(200, api.get("/books").by(&ada)).await;
    api.ask(200, api.patch(&path).by(&ada).if_match(&first).json(json!({"description": null}))).await;
    api.ask(412, api.put(&path).by(&ada).if_match(&first).json(json!({"title": "Late"}))).await;
    api.ask(400, api.put(&path).by(&ada).json(json!({"title": ""}))).await;
    api.ask(200, api.put(&path).by(&ada).json(json!({"title": "A Long History"}))).await;
    api.ask(401, api.get(&path)).await;
    api.ask(204, api.delete(&path).by(&ada)).await;
    api.ask(404, api.get(&path).by(&ada)).await;
    let admin = sign_in_admin(api, address_of(111)).await;
    api.ask(200, api.get("/books").by(&admin)).await;
}
