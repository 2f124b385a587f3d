//! Text that has a special meaning to a database, a browser, a log or a mail server. Everywhere the API accepts
//! text, it must store and return it unchanged, or refuse it with a clear error.

use axum::http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use switchyard_harness::app::{Answer, App, PASSWORD};

crate::on_every_backend!(
    text_is_returned_unchanged,
    addresses_and_passwords_are_not_patterns,
    any_text_in_a_query_parameter_is_read_or_refused,
    any_text_in_a_path_parameter_is_read_or_refused,
);

/// Each has at most 100 characters, one of them visible, and no control characters.
const TEXTS: [&str; 31] = [
    "'; DROP TABLE users; --",
    "' OR '1'='1",
    "\" OR \"\"=\"",
    "1); DELETE FROM sessions WHERE (1=1",
    "$1",
    "?1 :name @p0",
    "%",
    "_",
    "100%_\\%",
    "\\",
    "\\x00",
    "\\u0000",
    "E'\\\\'",
    "$$x$$",
    "attribute_not_exists(pk)",
    "#n = :v AND begins_with(sk, :x)",
    "SET a = b REMOVE c",
    "{\"S\":\"x\"}",
    "{\"$ne\":null}",
    "[\"a\",\"b\"]",
    "null",
    "0",
    "-1e999",
    "<script>alert(1)</script>",
    "${jndi:ldap://x.example/a}",
    "{{7*7}}",
    "../../etc/passwd",
    "a|b&c;d`e$(f)",
    "A\u{301}\u{327}",
    "\u{feff}\u{200b}x\u{200d}",
    "👩‍👩‍👧‍👦🏴󠁧󠁢󠁳󠁣󠁴󠁿",
];

/// Texts that every field refuses.
const REFUSED: [&str; 3] = ["\0", "a\0b", "\u{0}'; --"];

/// Texts that no field of one line takes: they break it, change the direction of what stands around it, or show nothing.
const NOT_LINES: [&str; 7] = [
    "two\nlines",
    "\u{2028}x\u{2029}",
    "\u{202e}gnp.exe",
    "\u{2067}x\u{2069}",
    "x\u{200f}",
    "\u{200b}\u{3164}",
    "\u{10ffff}\u{e000}\u{fdd0}",
];

pub(crate) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

async fn text_is_returned_unchanged(app: App) {
    let (admin, ada) = (app.admin().await, app.register("Ada").await);
    app.post("/roles").by(&admin).json(json!({"name": "x", "permissions": []})).await.expect(201);
    let (me, profile) = (format!("/users/{}", ada.id), format!("/users/{}/profile", ada.id));
    let longest = "𠮷".repeat(100);
    for text in TEXTS.into_iter().chain([longest.as_str()]) {
        app.patch(&me).by(&ada).json(json!({"name": text})).await.expect(200);
        assert_eq!(app.get(&me).by(&ada).await.expect(200)["name"], text);

        let address = json!({"line1": text, "line2": text, "city": text, "region": text, "postal_code": text, "country": "GB"});
        app.patch(&profile).by(&ada).json(json!({"bio": text, "address": address})).await.expect(200);
        let read = app.get(&profile).by(&ada).await.expect(200);
        assert_eq!((&read["bio"], &read["address"]), (&json!(text), &address));

        app.patch("/roles/x").by(&admin).json(json!({"description": text})).await.expect(200);
        assert_eq!(app.get("/roles/x").by(&admin).await.expect(200)["description"], text);

        // Lists return the same text. A search for it does not fail and does not treat it as a pattern.
        let list = app.get("/users").by(&admin).await.expect(200);
        assert!(list["data"].as_array().unwrap().iter().any(|user| user["name"] == text), "{text}: {list}");
        let found = app.get(&format!("/users?q={}", encoded(text))).by(&admin).await;
        assert_is_read_or_refused(&found, "q", text);
        if !text.contains(char::is_alphanumeric) {
            assert_eq!(found.json()["data"], json!([]), "{text}");
        }
    }
    for text in REFUSED.into_iter().chain(NOT_LINES) {
        let line = json!({"line1": text, "city": "London", "country": "GB"});
        let sign_in = json!({"email": "ada@example.com", "password": PASSWORD, "device_name": text});
        let answers = [
            (app.patch(&me).by(&ada).json(json!({"name": text})).await, "name"),
            (app.patch(&profile).by(&ada).json(json!({"address": line})).await, "address.line1"),
            (app.patch("/roles/x").by(&admin).json(json!({"description": text})).await, "description"),
            (app.post("/auth/login").json(sign_in).await, "device_name"),
        ];
        for (answer, field) in answers {
            assert_eq!(answer.error(), (400, "VALIDATION_ERROR".to_owned()), "{text:?}");
            assert_eq!(answer.details().as_object().unwrap().keys().collect::<Vec<_>>(), [field]);
        }
        let bio = app.patch(&profile).by(&ada).json(json!({"bio": text})).await;
        assert_eq!(bio.status, if text.contains('\0') { 400 } else { 200 }, "{text:?}");
    }
    assert_eq!(app.get("/audit-logs/verify").by(&admin).await.expect(200)["valid"], true);
}

async fn addresses_and_passwords_are_not_patterns(app: App) {
    let local_parts =
        ["o'hara", "a%b", "a_b", "a*b", "a?b=c&d", "a{b}|c", "$1", "#a", "a/b", "-a", "ä", "a`b"];
    for (number, local_part) in local_parts.into_iter().enumerate() {
        let email = format!("{local_part}@example.com");
        let password = format!("{}-{PASSWORD}", TEXTS[number]);
        let body = json!({"email": email, "password": password, "name": "X"});
        app.post("/auth/register").json(body.clone()).await.expect(201);
        assert_eq!(
            app.post("/auth/register").json(body.clone()).await.error(),
            (409, "EMAIL_TAKEN".to_owned())
        );
        let login = async |password: &str| {
            app.post("/auth/login").json(json!({"email": email, "password": password})).await.status
        };
        assert_eq!(login(&password).await, 200, "{email}");
        assert_eq!(login(&format!("{password} ")).await, 401, "{email}");
        assert_eq!(login("' OR '1'='1").await, 401, "{email}");
    }
    // A pattern is not an address.
    for email in ["%@example.com", "_'hara@example.com", "a%25b@example.com", "*@example.com"] {
        let body = json!({"email": email, "password": format!("{}-{PASSWORD}", TEXTS[0])});
        assert_eq!(
            app.post("/auth/login").json(body).await.error(),
            (401, "INVALID_CREDENTIALS".to_owned()),
            "{email}"
        );
    }
}

/// Asserts that the answer is 200, or 400 with a fault of this parameter only.
fn assert_is_read_or_refused(answer: &Answer, name: &str, text: &str) {
    if answer.status != 200 {
        assert_eq!(answer.error(), (400, "VALIDATION_ERROR".to_owned()), "{name}={text:?}");
        let details = answer.details();
        assert_eq!(details.as_object().unwrap().keys().collect::<Vec<_>>(), [name], "{name}={text:?}");
    }
}

/// The GET operations with a parameter in `place` (`query` or `path`): the path and the parameter's name.
fn parameters(place: &str) -> Vec<(String, String)> {
    let document: Value = serde_json::from_str(switchyard_fn_system::OPENAPI_JSON).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for parameter in item["get"]["parameters"].as_array().into_iter().flatten() {
            if parameter["in"] == place {
                found.push((path.clone(), parameter["name"].as_str().unwrap().to_owned()));
            }
        }
    }
    found
}

async fn any_text_in_a_query_parameter_is_read_or_refused(app: App) {
    let (admin, ada) = (app.admin().await, app.register("Ada").await);
    let parameters = parameters("query");
    assert!(parameters.len() > 15, "{parameters:?}");
    let long = "a".repeat(8_000);
    let limits =
        ["-1", "0", "10001", "4294967297", "9223372036854775808", "1.5", "1e2", " 1", "+1", "٣", "0x10"];
    for (path, name) in parameters {
        let path = path.replace("{id}", &ada.id.to_string());
        for text in TEXTS.into_iter().chain(REFUSED).chain(limits).chain([long.as_str(), ""]) {
            let answer = app.call(Method::GET, &format!("{path}?{name}={}", encoded(text))).by(&admin).await;
            assert_is_read_or_refused(&answer, &name, text);
            let is_limit = name == "limit";
            assert!(!is_limit || answer.status == 400, "{text:?} was accepted as a limit");
        }
        // Values that are not UTF-8, and a parameter that is given twice.
        for query in [format!("{name}=%ff"), format!("{name}=%c0%af"), format!("{name}=1&{name}=2")] {
            let answer = app.call(Method::GET, &format!("{path}?{query}")).by(&admin).await;
            assert_eq!(answer.error(), (400, "VALIDATION_ERROR".to_owned()), "{path}?{query}");
        }
    }
}

async fn any_text_in_a_path_parameter_is_read_or_refused(app: App) {
    let admin = app.admin().await;
    let long = "a".repeat(8_000);
    for (path, name) in parameters("path") {
        for text in TEXTS.into_iter().chain(REFUSED).chain([long.as_str(), "..", ".", "a/b"]) {
            let path = path.replace(&format!("{{{name}}}"), &encoded(text));
            let answer = app.call(Method::GET, &path).by(&admin).await;
            let (status, code) = answer.error();
            assert!(
                (status, code.as_str()) == (400, "VALIDATION_ERROR")
                    || (status, code.as_str()) == (404, "NOT_FOUND"),
                "{path}: {answer:?}"
            );
        }
        for bytes in ["%ff", "%c0%ae", "%ed%a0%80", "%00"] {
            let path = path.replace(&format!("{{{name}}}"), bytes);
            assert_eq!(app.call(Method::GET, &path).by(&admin).await.error().0, 400, "{path}");
        }
    }
}
