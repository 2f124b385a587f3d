use super::{ApiResult, codes};

/// The 404 for a resource that does not exist, or that the caller may not know of.
pub trait OrNotFound<T> {
    /// The value, or a 404.
    fn or_not_found(self) -> ApiResult<T>;
}

impl<T> OrNotFound<T> for Option<T> {
    fn or_not_found(self) -> ApiResult<T> {
        self.ok_or_else(|| codes::NOT_FOUND.into())
    }
}
