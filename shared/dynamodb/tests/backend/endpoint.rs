//! A proxy endpoint in front of DynamoDB Local. It forwards requests until a step is scripted for their operation.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;

/// What happens to one request.
#[derive(Debug)]
pub(crate) enum Step {
    /// The request is forwarded.
    Pass,
    /// The request is applied, and its reply is lost.
    LoseReply,
    /// The connection is closed before the request is applied.
    Cut,
    /// The request is never answered.
    Hang,
    /// The request is answered with this status and body, and not applied.
    Answer(u16, Value),
    /// The first function changes the request before it is applied, the second function changes its answer.
    Rewrite(fn(&mut Value) -> Value, fn(&mut Value, Value)),
    /// The request is applied, then this other request for this operation, and the reply is lost.
    LoseReplyAfter(Value, &'static str),
    /// The request is forwarded after two rounds of the barrier: the first one shows that it has arrived, the
    /// second one lets it continue.
    Wait(Arc<Barrier>),
}

/// The proxy endpoint.
pub(crate) struct Endpoint {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: String,
    steps: Mutex<HashMap<&'static str, VecDeque<Step>>>,
    requests: Mutex<Vec<(String, Value)>>,
}

impl Endpoint {
    pub(crate) async fn before(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address: SocketAddr = listener.local_addr().expect("the socket has an address");
        let upstream = upstream.trim_start_matches("http://").to_owned();
        let shared = Arc::new(Shared { upstream, steps: Mutex::default(), requests: Mutex::default() });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let serving = Arc::clone(&serving);
                tokio::spawn(async move { serve(connection, &serving).await });
            }
        });
        Self { url: format!("http://{address}"), shared }
    }

    /// Sets what happens to the next requests for `operation`, in order.
    pub(crate) fn script(&self, operation: &'static str, steps: impl IntoIterator<Item = Step>) {
        let mut scripted = self.shared.steps.lock().expect("no thread panics while it holds the lock");
        scripted.entry(operation).or_default().extend(steps);
    }

    /// Returns the operations of all requests so far.
    pub(crate) fn operations(&self) -> Vec<String> {
        let requests = self.shared.requests.lock().expect("no thread panics while it holds the lock");
        requests.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Returns the requests for `operation` so far.
    pub(crate) fn requests(&self, operation: &str) -> Vec<Value> {
        let requests = self.shared.requests.lock().expect("no thread panics while it holds the lock");
        requests.iter().filter(|(name, _)| name == operation).map(|(_, body)| body.clone()).collect()
    }
}

/// Serves one request on each connection, which is closed after the reply.
async fn serve(mut connection: TcpStream, shared: &Shared) {
    let Some((head, body)) = read_request(&mut connection).await else { return };
    let target =
        head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("x-amz-target: ").map(|_| line));
    let operation = target.and_then(|line| line.rsplit('.').next()).unwrap_or_default().to_owned();
    let mut request: Value = serde_json::from_slice(&body).expect("requests are JSON");
    shared
        .requests
        .lock()
        .expect("no thread panics while it holds the lock")
        .push((operation.clone(), request.clone()));
    let step = {
        let mut steps = shared.steps.lock().expect("no thread panics while it holds the lock");
        steps.get_mut(operation.as_str()).and_then(VecDeque::pop_front)
    };
    let (status, answer) = match step {
        None | Some(Step::Pass) => forward(shared, &operation, &request).await,
        Some(Step::LoseReply) => {
            forward(shared, &operation, &request).await;
            return;
        }
        Some(Step::LoseReplyAfter(other, other_operation)) => {
            forward(shared, &operation, &request).await;
            forward(shared, other_operation, &other).await;
            return;
        }
        Some(Step::Cut) => return,
        Some(Step::Hang) => std::future::pending().await,
        Some(Step::Answer(status, answer)) => (status, answer),
        Some(Step::Wait(barrier)) => {
            barrier.wait().await;
            barrier.wait().await;
            forward(shared, &operation, &request).await
        }
        Some(Step::Rewrite(before, after)) => {
            let kept = before(&mut request);
            let (status, mut answer) = forward(shared, &operation, &request).await;
            after(&mut answer, kept);
            (status, answer)
        }
    };
    let answer = answer.to_string();
    let reply = format!(
        "HTTP/1.1 {status} .\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{answer}",
        answer.len()
    );
    let _ = connection.write_all(reply.as_bytes()).await;
}

async fn forward(shared: &Shared, operation: &str, request: &Value) -> (u16, Value) {
    let mut upstream = TcpStream::connect(&shared.upstream).await.expect("DynamoDB Local answers");
    let body = request.to_string();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: {}\r\nx-amz-target: DynamoDB_20120810.{operation}\r\n\
         content-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\nconnection: close\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/dynamodb/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n",
        shared.upstream,
        body.len()
    );
    upstream.write_all(head.as_bytes()).await.expect("DynamoDB Local accepts the request");
    upstream.write_all(body.as_bytes()).await.expect("DynamoDB Local accepts the request");
    let mut reply = Vec::new();
    upstream.read_to_end(&mut reply).await.expect("DynamoDB Local answers");
    let end = end_of_head(&reply).expect("the answer has a head");
    let head = String::from_utf8_lossy(&reply[..end]).into_owned();
    let status =
        head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("the answer has a status");
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(&reply[end..]) } else { reply[end..].to_vec() };
    (status, serde_json::from_slice(&body).unwrap_or_else(|_| json!({})))
}

async fn read_request(connection: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = vec![0; 16 * 1024];
        let count = connection.read(&mut chunk).await.ok().filter(|&count| count > 0)?;
        bytes.extend_from_slice(&chunk[..count]);
        let Some(end) = end_of_head(&bytes) else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head.to_ascii_lowercase().lines().find_map(|line| {
            line.strip_prefix("content-length: ").and_then(|length| length.trim().parse::<usize>().ok())
        })?;
        if bytes.len() >= end + length {
            return Some((head, bytes[end..end + length].to_vec()));
        }
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|place| place + 4)
}

fn unchunk(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(line) = rest.windows(2).position(|window| window == b"\r\n") {
        let length =
            std::str::from_utf8(&rest[..line]).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let Some(length) = length.filter(|&length| length > 0) else { break };
        body.extend_from_slice(&rest[line + 2..line + 2 + length]);
        rest = &rest[line + 2 + length + 2..];
    }
    body
}
