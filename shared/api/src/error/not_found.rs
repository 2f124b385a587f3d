use super::{ApiResult, ErrorCode};

/// The 404 for something that is not there, or that the caller may not know of.
pub trait OrNotFound<T> {
    /// The value, or a 404.
    fn or_not_found(self) -> ApiResult<T>;
}

impl<T> OrNotFound<T> for Option<T> {
    fn or_not_found(self) -> ApiResult<T> {
        self.ok_or_else(|| ErrorCode::NotFound.into())
    }
}
