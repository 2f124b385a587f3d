//! Profiles.

use axum::http::header;
use serde_json::json;

use super::{address_of, register};
use crate::everywhere::Everywhere;

pub(super) async fn replay(api: &Everywhere) {
    let ada = register(api, "Profiled", address_of(50)).await;
    let path = format!("/users/{}/profile", ada.id);
    let empty = api.ask(200, api.get(&path).by(&ada)).await.etag();
    let whole = json!({
        "phone": "+442071838750", "date_of_birth": "1815-12-10", "avatar_url": "https://cdn.example.com/ada.png",
        "bio": "Writes programs\nfor machines \u{2028} yet to be built. 🧮", "locale": "en-GB", "timezone": "Europe/London",
        "address": {"line1": "12 St James's Square", "city": "London", "postal_code": "SW1Y 4JH", "country": "GB"},
    });
    api.ask(400, api.put(&path).by(&ada).json(whole.clone())).await; // before 1900
    let mut fitting = whole;
    fitting["date_of_birth"] = json!("1990-12-10");
    api.ask(412, api.put(&path).by(&ada).if_match("\"x\"").json(fitting.clone())).await;
    let first = api.ask(200, api.put(&path).by(&ada).if_match(&empty).json(fitting)).await.etag();
    api.ask(304, api.get(&path).by(&ada).header(header::IF_NONE_MATCH, &first)).await;
    let patches = [
        json!({"phone": null}),
        json!({"address": {"line2": "Flat 2", "postal_code": null}}),
        json!({"address": {"country": "DE"}, "locale": "de"}),
        json!({"locale": "EN-us-u-mu-celsius-X-a"}),
        json!({"bio": ""}),
        json!({"address": null}),
        json!({}),
    ];
    for patch in patches {
        api.ask(200, api.patch(&path).by(&ada).json(patch)).await;
    }
    api.ask(412, api.patch(&path).by(&ada).if_match(&first).json(json!({"bio": "x"}))).await;
    let faults = [
        json!({"phone": "123", "date_of_birth": "yesterday", "avatar_url": "javascript:x", "locale": "?", "timezone": "Mars"}),
        json!({"date_of_birth": "2990-01-01"}),
        json!({"date_of_birth": "1990-02-30"}),
        json!({"bio": "x".repeat(1001)}),
        json!({"bio": "a\u{7}"}),
        json!({"address": "London"}),
        json!({"address": {"line1": "", "country": "gb", "planet": "Earth"}}),
        json!({"address": {"line1": "\u{2028}", "line2": "\u{3164}", "city": "\u{202e}x", "country": "ZZ"}}),
        json!({"locale": "en-a-xx-a-yy"}),
        json!({"locale": format!("en-x{}", "-abcdefgh".repeat(11))}),
        json!({"user_id": ada.id}),
    ];
    for fault in faults {
        api.ask(400, api.patch(&path).by(&ada).json(fault.clone())).await;
        api.ask(400, api.put(&path).by(&ada).json(fault)).await;
    }
    api.ask(200, api.put(&path).by(&ada).json(json!({}))).await;
    api.ask(200, api.get(&path).by(&ada)).await;
}
