use std::io;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use switchyard_api::Invocation;
use tracing_subscriber::fmt::MakeWriter;

use crate::harness::{ADA, TestApi, get, post};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Lines {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Lines {
    /// Captures what is logged on this thread while the guard lives.
    fn capture() -> (Self, tracing::subscriber::DefaultGuard) {
        let lines = Self::default();
        let subscriber =
            tracing_subscriber::fmt().json().flatten_event(true).with_writer(lines.clone()).finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn of(&self, target: &str) -> Vec<Value> {
        let lines = self.text();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["target"] == target).collect()
    }
}

#[tokio::test]
async fn a_request_leaves_one_line_with_its_outcome() {
    let api = TestApi::new().await;
    let (lines, _guard) = Lines::capture();
    api.send(get("/notes?color=x").bearer("ada").header("x-request-id", "req-1")).await;
    let access = lines.of("access");
    let [line] = &access[..] else { panic!("{access:?}") };
    assert_eq!(
        (&line["status"], &line["path"], &line["level"]),
        (&json!(200), &json!("/notes"), &json!("INFO"))
    );
    assert!(line["latency_ms"].as_f64().is_some_and(|latency| latency >= 0.0));
    assert_eq!(line["request_id"], "req-1");
    assert_eq!(line["method"], "GET");
    assert_eq!(line["route"], "/notes");
    assert_eq!(line["user_id"], ADA.to_string());
    assert_eq!(line["message"], "answered");
}

#[tokio::test]
async fn every_line_of_a_request_names_its_traces() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const XRAY: &str = "1-5759e988-bd862e3fe1be46a994272793";
    let api = TestApi::new().await;
    let (lines, _guard) = Lines::capture();
    let invocation = Invocation { xray_trace: Some(format!("Root={XRAY}")), is_cold_start: true };
    let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    api.send(get("/fail/cause").header("traceparent", &traceparent).extension(invocation)).await;
    api.send(get("/fail/cause").header("traceparent", "00-4bf9-00f0-01")).await;
    let (access, causes) = (lines.of("access"), lines.of("switchyard_api::error::render"));
    let ids = |line: &Value| (line["trace_id"].clone(), line["xray_trace_id"].clone());
    assert_eq!((ids(&access[0]), &access[0]["cold_start"]), ((json!(TRACE), json!(XRAY)), &json!(true)));
    assert_eq!(ids(&causes[0]["span"]), (json!(TRACE), json!(XRAY)));
    assert_eq!((ids(&access[1]), &access[1]["cold_start"]), ((Value::Null, Value::Null), &Value::Null));
    assert_eq!(ids(&causes[1]["span"]), (Value::Null, Value::Null));
}

#[tokio::test]
async fn the_line_of_a_refusal_and_of_a_304_names_the_user_too() {
    let api = TestApi::new().await;
    let (path, etag) = api.note("milk").await;
    let (lines, _guard) = Lines::capture();
    for (status, ask) in [
        (304, get(&path).header("if-none-match", &etag)),
        (400, get("/text/7?x=1")),
        (404, get("/notes/none")),
    ] {
        assert_eq!(api.send(ask.bearer("ada")).await.status, status);
    }
    let users: Vec<Value> = lines.of("access").iter().map(|line| line["user_id"].clone()).collect();
    assert_eq!(users, [ADA.to_string(), ADA.to_string(), ADA.to_string()]);
}

#[tokio::test]
async fn a_cause_is_logged_once_under_the_requests_id() {
    let api = TestApi::new().await;
    let (lines, _guard) = Lines::capture();
    api.send(get("/fail/cause").header("x-request-id", "req-1")).await;
    let causes: Vec<Value> = lines.of("switchyard_api::error::render");
    let [line] = &causes[..] else { panic!("{causes:?}") };
    assert_eq!((&line["level"], &line["code"]), (&json!("ERROR"), &json!("INTERNAL_ERROR")));
    assert_eq!(line["cause"], "the password is hunter2");
    assert_eq!(line["span"]["request_id"], "req-1");
    assert_eq!(lines.text().matches("hunter2").count(), 1);
}

#[tokio::test]
async fn no_secret_of_a_request_is_logged() {
    let api = TestApi::new().await;
    let (lines, _guard) = Lines::capture();
    let credentials = json!({ "email": "eve@example.com", "password": "secret" });
    let ask = post("/login?token=t-secret").bearer("b-secret").header("cookie", "refresh=c-secret");
    api.send(ask.header("idempotency-key", "k-secret").json(credentials)).await;
    let text = lines.text();
    assert!(text.contains("\"path\":\"/login\""));
    assert!(!text.contains("secret") && !text.contains("eve@"), "{text}");
}

#[tokio::test]
async fn a_client_that_disconnects_leaves_a_line_too() {
    let api = TestApi::new().await;
    let (lines, _guard) = Lines::capture();
    {
        let asking = api.send(get("/fail/hang"));
        tokio::pin!(asking);
        assert!(futures::poll!(&mut asking).is_pending());
    }
    let access = lines.of("access");
    let [line] = &access[..] else { panic!("{access:?}") };
    assert_eq!(line["message"], "the client disconnected");
}

#[tokio::test]
async fn a_secret_header_is_not_logged_even_by_a_handler_that_logs_its_headers() {
    let api = TestApi::new().await;
    let (lines, _guard) = Lines::capture();
    let ask = post("/carts").header("x-cart-token", "cart-secret").header("x-other", "visible");
    assert_eq!(api.send(ask).await.json()["earlier"], 11);
    assert!(lines.text().contains("visible"), "the headers are logged");
    assert!(!lines.text().contains("cart-secret"), "{}", lines.text());
}
