use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Required, Schema};

use crate::{ApiError, ApiResult, codes};

pub(crate) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

const MAX_KEY_BYTES: usize = 255;

/// The `Idempotency-Key` of a request, for a handler that requires one. Without it the request is refused with
/// 400 `IDEMPOTENCY_KEY_REQUIRED`. Name it in the operation's `params(..)` too.
///
/// A handler may derive the ids of what it creates from the key and the caller. Then the effect cannot happen
/// twice, even if the process crashes after its commit and before its answer is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key as the client chose it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of a request, if it has one.
    ///
    /// The draft defines it as a structured string, in quotes; most clients omit the quotes. Both are the same
    /// key.
    pub(super) fn of(headers: &HeaderMap) -> ApiResult<Option<Self>> {
        let mut lines = headers.get_all(IDEMPOTENCY_KEY).iter();
        let Some(line) = lines.next() else { return Ok(None) };
        let invalid = || ApiError::invalid("Idempotency-Key", "must be 1 to 255 visible ASCII characters");
        let text = line.to_str().map_err(|_| invalid())?.trim();
        let key = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
        // A gateway may have joined two headers into one (RFC 9110 §5.3), so a comma separates keys.
        if lines.next().is_some() || key.contains(',') {
            return Err(ApiError::invalid("Idempotency-Key", "must be given once, without a comma"));
        }
        if (1..=MAX_KEY_BYTES).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Some(Self(key.to_owned())))
        } else {
            Err(invalid())
        }
    }

    pub(crate) fn parameter(required: Required) -> Parameter {
        let schema = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_KEY_BYTES))
            .pattern(Some("^[!-+\\--~]+$"))
            .examples(["0190a5f4-6f0e-7cc4-8a5e-5d9c0b1f3f55"]);
        ParameterBuilder::new()
            .name("Idempotency-Key")
            .parameter_in(ParameterIn::Header)
            .required(required)
            .description(Some(
                "A unique value that you choose for this request. If you send the same request with the same key \
                 again within 24 hours, you get the first answer, and the request has no second effect.",
            ))
            .schema(Some(RefOr::T(Schema::Object(schema.build()))))
            .build()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> ApiResult<Self> {
        Self::of(&parts.headers)?.ok_or_else(|| codes::IDEMPOTENCY_KEY_REQUIRED.into())
    }
}

impl IntoParams for IdempotencyKey {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![Self::parameter(Required::True)]
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn key(lines: &[&'static str]) -> Result<Option<String>, String> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_static(line));
        }
        IdempotencyKey::of(&headers).map(|key| key.map(|key| key.0)).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn a_key_is_the_same_with_and_without_quotes() {
        assert_eq!(key(&["abc-1"]), Ok(Some("abc-1".to_owned())));
        assert_eq!(key(&["\"abc-1\""]), Ok(Some("abc-1".to_owned())));
        assert_eq!(key(&[]), Ok(None));
    }

    #[test]
    fn a_malformed_key_is_refused() {
        assert!(key(&[""]).unwrap_err().contains("must be 1 to 255 visible ASCII characters"));
        assert!(key(&["a b"]).is_err());
        for two in [&["a", "b"][..], &["a,b"], &["\"a\", \"b\""]] {
            assert!(key(two).unwrap_err().contains("must be given once, without a comma"));
        }
    }
}
