use std::fmt;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use switchyard_api::{ApiError, ApiResult, IfMatch};
use switchyard_identity::Precondition;

/// The `If-Match` of a request, in the form in which identity's services take it: they hold it against the resource
/// inside the transaction that changes it.
pub struct IfUnchanged(Box<dyn Fn(&str) -> bool + Send + Sync>);

impl IfUnchanged {
    /// What must be so for the change to be made.
    pub fn precondition(&self) -> Precondition<'_> {
        Precondition::new(&*self.0)
    }
}

impl fmt::Debug for IfUnchanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IfUnchanged(..)")
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfUnchanged {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let Ok(if_match) = IfMatch::from_request_parts(parts, state).await;
        Ok(Self(Box::new(move |tag| if_match.check(tag).is_ok())))
    }
}
