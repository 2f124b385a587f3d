use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field};

/// How long an answer is stored.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// One use of an `Idempotency-Key`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IdempotencyRecord {
    pub(super) id: String,
    /// The id of the service's key that the fingerprint and the answer depend on.
    pub(super) key_id: String,
    pub(super) fingerprint: String,
    /// Until when no other request with the key may run, unless this one is answered earlier.
    pub(super) leased_until: Timestamp,
    /// The answer, encrypted; `None` while the request runs.
    pub(super) answer: Option<String>,
    pub(super) forgotten_at: Timestamp,
}

impl Entity for IdempotencyRecord {
    const COLLECTION: &'static Collection = &Collection::new("idempotency_keys")
        .fields(&[
            Field::string("key_id"),
            Field::string("fingerprint"),
            Field::time("leased_until"),
            Field::string("answer"),
            Field::time("forgotten_at"),
        ])
        .expiring();

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.forgotten_at)
    }
}

/// An answer that can be repeated byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Status and headers, which are stored before the body. Header values need not be UTF-8.
#[derive(Serialize, Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
}

impl Answer {
    /// Encodes the answer: the head as JSON, a line feed, the body.
    pub(super) fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        let headers = self.headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        let mut bytes =
            serde_json::to_vec(&Head { status: self.status.as_u16(), headers: headers.collect() })?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&self.body);
        Ok(bytes)
    }

    /// Decodes an answer. Returns `None` if the bytes are malformed.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let end = bytes.iter().position(|&b| b == b'\n')?;
        let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
        let mut headers = HeaderMap::new();
        for (name, value) in head.headers {
            headers.append(HeaderName::try_from(name).ok()?, HeaderValue::from_bytes(&value).ok()?);
        }
        let status = StatusCode::from_u16(head.status).ok()?;
        Some(Self { status, headers, body: Bytes::copy_from_slice(&bytes[end + 1..]) })
    }

    pub(super) fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_stored_byte_for_byte() {
        let mut headers = HeaderMap::new();
        headers.append("set-cookie", HeaderValue::from_static("a=1"));
        headers.append("set-cookie", HeaderValue::from_bytes(b"b=\xff").unwrap());
        let answer = Answer { status: StatusCode::CREATED, headers, body: Bytes::from_static(b"{\n\0\xff}") };
        assert_eq!(Answer::from_bytes(&answer.to_bytes().unwrap()), Some(answer));
    }
}
