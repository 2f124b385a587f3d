use axum::extract::{FromRequest, Request};
use switchyard_kernel::MergePatch;

use super::json::read_tree;
use crate::{ApiError, ApiResult};

/// The body of a PATCH: a JSON Merge Patch (RFC 7396), as `application/merge-patch+json` or `application/json`.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch(
    /// The patch.
    pub MergePatch,
);

impl<S: Send + Sync> FromRequest<S> for Patch {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> ApiResult<Self> {
        Ok(Self(MergePatch::new(read_tree(request, &[MergePatch::MEDIA_TYPE]).await?)?))
    }
}
