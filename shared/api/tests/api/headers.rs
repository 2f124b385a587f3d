use axum::http::Method;
use serde_json::json;

use crate::harness::{Ask, TestApi, ask, assert_error, get, post};

#[tokio::test]
async fn a_valid_request_id_is_kept_and_an_invalid_one_is_replaced() {
    let api = TestApi::new().await;
    for id in ["a", "0190a5f4-6f0e-7cc4", &"x".repeat(128)] {
        let answer = api.send(get("/whoami").header("x-request-id", id)).await;
        assert_eq!(answer.header("x-request-id"), id);
        assert_eq!(answer.json()["request_id"], id);
    }
    for id in ["", "a b", &"x".repeat(129), "ä"] {
        let answer = api.send(get("/whoami").header("x-request-id", id)).await;
        let made: switchyard_ambient::Uuid = answer.header("x-request-id").parse().unwrap();
        assert_eq!(made.get_version_num(), 7);
    }
}

#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let api = TestApi::new().await;
    for answer in
        [api.send(get("/whoami")).await, api.send(get("/nowhere")).await, api.send(get("/fail/panic")).await]
    {
        assert_eq!(answer.header("strict-transport-security"), "max-age=63072000; includeSubDomains");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn the_cache_control_of_a_handler_is_kept() {
    let api = TestApi::new().await;
    assert_eq!(api.send(get("/text/1")).await.header("cache-control"), "public, max-age=60");
}

#[tokio::test]
async fn a_large_answer_is_compressed_if_the_client_accepts_it() {
    let api = TestApi::new().await;
    let large = api.send(get("/text/5000").header("accept-encoding", "br, gzip")).await;
    assert_eq!((large.header("content-encoding"), &large.body[..2]), ("gzip", &[0x1f, 0x8b][..]));
    assert!(large.body.len() < 200);
    assert!(large.header("vary").contains("accept-encoding"));
    let not_asked = api.send(get("/text/5000")).await;
    assert_eq!((not_asked.has_header("content-encoding"), not_asked.body.len()), (false, 5000));
    let small = api.send(get("/text/1000").header("accept-encoding", "gzip")).await;
    assert_eq!((small.has_header("content-encoding"), small.body.len()), (false, 1000));
}

#[tokio::test]
async fn a_304_repeats_the_vary_of_the_200() {
    let api = TestApi::with(|settings| settings.cors_origins = "https://app.example".parse().unwrap()).await;
    let read = |etag: &str| {
        api.send(get("/text/5000").header("accept-encoding", "gzip").header("if-none-match", etag))
    };
    let full = read("\"x\"").await;
    let short = read(full.header("etag")).await;
    assert_eq!((full.status.as_u16(), short.status.as_u16()), (200, 304));
    let vary = |answer: &crate::harness::Answer| {
        let lines = answer.headers.get_all("vary").iter();
        lines.map(|line| line.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(vary(&full).contains(&"accept-encoding".to_owned()));
    assert_eq!(vary(&short), vary(&full));
    assert!(short.body.is_empty() && !short.has_header("content-encoding"));
}

#[tokio::test]
async fn an_accept_encoding_that_accepts_no_answer_is_ignored() {
    let api = TestApi::new().await;
    for unfit in [
        "*;q=0",
        "identity;q=0",
        "br, *;q=0",
        "br, IDENTITY ; Q=0.000",
        "identity;q=0., gzip;q=0.0",
        "gzip;q=0, identity;q=0, *",
        "x-gzip;q=0, identity;q=0, *",
        "gzip;q=.5, identity;q=0",
    ] {
        let with = |ask: Ask| api.send(ask.header("accept-encoding", unfit).bearer("ada"));
        let made = with(post("/notes").json(json!({ "text": "hello" }))).await;
        assert_eq!((made.status.as_u16(), &made.json()["text"]), (201, &json!("hello")), "{unfit}");
        let deleted = with(ask(Method::DELETE, made.header("location")).header("if-match", "*")).await;
        assert_eq!((deleted.status.as_u16(), deleted.body.len()), (204, 0), "{unfit}");
        assert_error(&with(get("/nowhere")).await, 404, "NOT_FOUND");
        assert_error(&with(get("/fail/panic")).await, 500, "INTERNAL_ERROR");
        let large = with(get("/text/5000")).await;
        assert_eq!((large.status.as_u16(), large.body.len()), (200, 5000), "{unfit}");
        assert!(!large.has_header("content-encoding"), "{unfit}");
    }
}

#[tokio::test]
async fn the_encoding_follows_accept_encoding() {
    let api = TestApi::new().await;
    for (accepted, chosen) in [
        ("gzip;q=0.001", Some("gzip")),
        ("gzip;q=1.000, *;q=0", Some("gzip")),
        ("*;q=0, X-GZIP", Some("gzip")),
        ("identity;q=0, *;q=0.5", Some("gzip")),
        ("*", Some("gzip")),
        ("gzip;q=0, *;q=0.5", None),
        ("identity, *;q=0", None),
        ("identity;q=0.5, gzip;q=0.2, *;q=0", None),
        ("gzip;q=0", None),
        ("br", None),
        ("", None),
    ] {
        let answer = api.send(get("/text/5000").header("accept-encoding", accepted)).await;
        assert_eq!(answer.status, 200, "{accepted}");
        let encoding = answer.has_header("content-encoding").then(|| answer.header("content-encoding"));
        assert_eq!(encoding, chosen, "{accepted}");
    }
}

#[tokio::test]
async fn only_listed_origins_may_read_answers() {
    let api = TestApi::with(|settings| settings.cors_origins = "https://app.example".parse().unwrap()).await;
    let listed = api.send(get("/whoami").header("origin", "https://app.example")).await;
    assert_eq!(listed.header("access-control-allow-origin"), "https://app.example");
    assert_eq!(listed.header("access-control-allow-credentials"), "true");
    assert!(listed.header("access-control-expose-headers").contains("etag"));
    let stranger = api.send(get("/whoami").header("origin", "https://evil.example")).await;
    assert!(!stranger.has_header("access-control-allow-origin"));
    let by_default = TestApi::new().await.send(get("/whoami").header("origin", "https://app.example")).await;
    assert!(!by_default.has_header("access-control-allow-origin") && !by_default.has_header("vary"));
}

#[tokio::test]
async fn a_preflight_is_answered_without_the_handler() {
    let api = TestApi::with(|settings| settings.cors_origins = "https://app.example".parse().unwrap()).await;
    let preflight = ask(Method::OPTIONS, "/notes")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type,idempotency-key");
    let answer = api.send(preflight).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("access-control-allow-methods").contains("PATCH"));
    assert!(answer.header("access-control-allow-headers").contains("idempotency-key"));
    assert!(
        answer.header("access-control-allow-headers").contains("x-cart-token"),
        "an operation declares it"
    );
}

#[tokio::test]
async fn an_app_may_send_the_headers_of_the_settings() {
    let api = TestApi::with(|settings| {
        settings.cors_origins = "https://app.example, capacitor://localhost".parse().unwrap();
        settings.cors_headers = "traceparent, baggage".parse().unwrap();
    });
    let preflight = ask(Method::OPTIONS, "/notes")
        .header("origin", "capacitor://localhost")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "traceparent");
    let answer = api.await.send(preflight).await;
    assert_eq!(answer.header("access-control-allow-origin"), "capacitor://localhost");
    let allowed = answer.header("access-control-allow-headers");
    for name in ["traceparent", "baggage", "authorization"] {
        assert!(allowed.split(',').any(|one| one == name), "{name}: {allowed}");
    }
}

#[tokio::test]
async fn a_listed_origin_may_read_errors_too() {
    let api = TestApi::with(|settings| settings.cors_origins = "https://app.example".parse().unwrap()).await;
    let answer = api.send(post("/notes").header("origin", "https://app.example").json(json!({}))).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example");
}

#[tokio::test]
async fn a_handler_learns_the_user_and_the_address_of_the_client() {
    let api = TestApi::with(|settings| settings.trusted_proxies = "10.0.0.0/8".parse().unwrap()).await;
    let asked = get("/whoami").header("user-agent", "curl/8").header("x-forwarded-for", "198.51.100.7");
    let answer = api.send(asked.at_address("10.1.2.3").bearer("ada")).await.json();
    assert_eq!(answer["address"], "198.51.100.7");
    assert_eq!(answer["user_agent"], "curl/8");
    assert_eq!(answer["user_id"], crate::harness::ADA.to_string());
}
