//! Lists of users: read to the end, filtered, searched, and with invalid cursors.

use std::time::Duration;

use axum::http::header;
use serde_json::json;
use switchyard_harness::app::Person;

use super::{address_of, sign_in_admin};
use crate::everywhere::Everywhere;

/// Names in several scripts. Some begin with the same letters, some sort differently in UTF-8 and in UTF-16,
/// and some need to be composed.
const NAMES: [&str; 18] = [
    "Ada Lovelace",
    "ada lovelace",
    "Adele Goldberg",
    "Zoë Brontë",
    "Zoe\u{308} Bronte\u{308}",
    "Łucja Wójcik",
    "Çağla Öztürk",
    "İpek Işık",
    "Straße Große",
    "Ἑλένη Παπαδόπουλος",
    "Анна Иванова",
    "محمد الحسن",
    "अमित शर्मा",
    "山田 さくら",
    "𠮷 𡈽屋",
    "ソフィア 🌸",
    "O'Hara-Smith, Jr.",
    "\u{ffff}\u{e000} end",
];

pub(super) async fn replay(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(70)).await;
    for (number, name) in NAMES.iter().enumerate() {
        let role = ["patient", "doctor", "customer"][number % 3];
        let body = json!({"email": format!("listed-{number:02}@example.net"), "name": name, "roles": [role]});
        // Every third user is created right after the previous one, without a pause.
        api.wait(Duration::from_secs(if number % 3 == 0 { 0 } else { 60 }));
        api.ask(201, api.post("/users").by(&admin).json(body)).await;
    }
    orders(api).await;
    filters(api).await;
    searches(api).await;
    faults(api).await;
}

/// Requests all pages up to the last. Returns the cursors.
pub(super) async fn walk(api: &Everywhere, person: &Person, path: &str, query: &str) -> Vec<String> {
    let mut cursors = Vec::new();
    let mut next = String::new();
    loop {
        let page = api.ask(200, api.get(&format!("{path}?{query}{next}")).by(person)).await.json();
        let Some(cursor) = page["pagination"]["next_cursor"].as_str() else { return cursors };
        next = format!("&cursor={cursor}");
        cursors.push(cursor.to_owned());
    }
}

async fn orders(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(70)).await;
    walk(api, &admin, "/users", "sort=created_at&limit=7").await;
    walk(api, &admin, "/users", "sort=-created_at&limit=9").await;
    walk(api, &admin, "/users", "include_deleted=true&limit=11").await;
    api.ask(200, api.get("/users?limit=100").by(&admin).header(header::ACCEPT_ENCODING, "gzip")).await;
    let first = api.ask(200, api.get("/users?limit=5").by(&admin)).await.json();
    let (last, next) = (&first["data"][4]["id"], &first["pagination"]["next_cursor"]);
    // The last user of the page is deleted, and another one is added at the front of the list.
    api.ask(204, api.delete(&format!("/users/{}", last.as_str().unwrap())).by(&admin)).await;
    api.ask(201, api.post("/users").by(&admin).json(json!({"email": "late@example.net", "name": "Late"})))
        .await;
    api.ask(200, api.get(&format!("/users?limit=5&cursor={}", next.as_str().unwrap())).by(&admin)).await;
}

async fn filters(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(71)).await;
    let middle = api.ask(200, api.get("/users?limit=8").by(&admin)).await.json();
    let middle = middle["data"][7]["created_at"].as_str().unwrap().to_owned();
    for query in [
        "role=patient&limit=2",
        "role=doctor&sort=created_at&limit=4",
        "status=active&limit=20",
        "status=locked",
        "role=nobody",
        &format!("created_from={middle}&limit=3"),
        &format!("created_to={middle}&limit=20"),
        &format!("created_from={middle}&created_to={middle}"),
        &format!("created_from={middle}&role=doctor&status=active&sort=created_at&limit=1"),
        "created_from=2033-05-18T03:33:20Z&created_to=2033-05-18T05:00:00%2B01:00",
        "created_from=2999-01-01T00:00:00Z",
    ] {
        walk(api, &admin, "/users", query).await;
    }
}

async fn searches(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(72)).await;
    for words in [
        "ad",
        "ada%20love",
        "ADA+LOVELACE",
        "zoe",
        "zo%C3%AB",
        "bronte",
        "lucja",
        "%C5%82ucja",
        "oztu",
        "ipek",
        "strasse",
        "%CE%B5%CE%BB",
        "%D0%B0%D0%BD%D0%BD%D0%B0",
        "%D9%85%D8%AD%D9%85%D8%AF",
        "%E0%A4%85%E0%A4%AE",
        "%E5%B1%B1",
        "%F0%A0%AE%B7",
        "%E3%82%BD%E3%83%95",
        "%F0%9F%8C%B8",
        "o%27hara",
        "o%E2%80%99hara",
        "ohara",
        "connor",
        "com",
        "smith",
        "end",
        "%EF%BF%BF",
        "listed-0",
        "example.net",
        "nobody",
        "...",
    ] {
        walk(api, &admin, "/users", &format!("q={words}&limit=10")).await;
    }
    walk(api, &admin, "/users", "q=listed&limit=4&role=patient").await;
    walk(api, &admin, "/users", "q=ex&limit=30&sort=created_at").await;
    walk(api, &admin, "/users", "q=example&include_deleted=true&limit=40").await;
    api.ask(200, api.get("/users?q=&limit=2").by(&admin)).await;
    api.ask(200, api.get("/users?q=%20&limit=2").by(&admin)).await;
}

async fn faults(api: &Everywhere) {
    let admin = sign_in_admin(api, address_of(73)).await;
    let queries = [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=",
        "limit=ten",
        "limit=1.5",
        "limit=99999999999999999999",
        "limit=1&limit=2",
        "cursor=",
        "cursor=x",
        "sort=name",
        "status=gone",
        "role=Not%20a%20role",
        "created_from=yesterday&created_to=2033-05-18&limit=0&x=1",
        "created_from=2040-01-01T00:00:00Z&created_to=2030-01-01T00:00:00Z",
        "include_deleted=maybe",
        "q=%FF",
        "page=2",
        "=",
        "%",
    ];
    for query in queries {
        api.ask(400, api.get(&format!("/users?{query}")).by(&admin)).await;
    }
    for query in [
        format!("q={}", "x".repeat(101)),
        "q=a+b+c+d+e+f+g+h+i+j+k+l+m+n+o+p+q".to_owned(),
        format!("cursor={}", "A".repeat(5_000)),
    ] {
        api.ask(400, api.get(&format!("/users?{query}")).by(&admin)).await;
    }
    api.ask(200, api.get("/users?&&limit=1&").by(&admin)).await;
    let page = api.ask(200, api.get("/users?limit=2&sort=created_at").by(&admin)).await.json();
    let cursor = page["pagination"]["next_cursor"].as_str().unwrap();
    let mut altered = cursor.to_owned();
    altered.replace_range(3..4, if &cursor[3..4] == "A" { "B" } else { "A" });
    let elsewhere = [
        ("/users?sort=created_at", altered.as_str()),
        ("/users?sort=created_at", &cursor[1..]),
        ("/users?sort=-created_at", cursor),
        ("/users?role=patient", cursor),
        ("/users?q=ada", cursor),
        ("/roles?limit=2", cursor),
        ("/permissions?limit=2", cursor),
        ("/audit-logs?limit=2", cursor),
    ];
    for (path, cursor) in elsewhere {
        api.ask(400, api.get(&format!("{path}&cursor={cursor}")).by(&admin)).await;
    }
    api.ask(200, api.get(&format!("/users?sort=created_at&limit=50&cursor={cursor}")).by(&admin)).await;
}
