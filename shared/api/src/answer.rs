//! What goes out, beside plain [`Json`](crate::Json).

use std::fmt::Display;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::{ApiError, Json};

/// 200 with the resource and the version in which it was read, as its `ETag`.
#[derive(Clone, Copy, Debug)]
pub struct Tagged<V, T>(
    /// The version.
    pub V,
    /// The resource.
    pub T,
);

impl<V: Display, T: Serialize> IntoResponse for Tagged<V, T> {
    fn into_response(self) -> Response {
        with_tag(Json(self.1).into_response(), &self.0)
    }
}

/// 201 with the new resource, where it is, and its version if it has one.
#[derive(Clone, Debug)]
pub struct Created<T> {
    location: String,
    etag: Option<String>,
    body: T,
}

impl<T> Created<T> {
    /// The new resource, at this path.
    pub fn at(location: impl Into<String>, body: T) -> Self {
        Self { location: location.into(), etag: None, body }
    }

    /// Its version, as its `ETag`.
    #[must_use]
    pub fn tagged(mut self, version: impl Display) -> Self {
        self.etag = Some(version.to_string());
        self
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, Json(self.body)).into_response();
        match HeaderValue::try_from(self.location) {
            Ok(location) => response.headers_mut().insert(header::LOCATION, location),
            Err(fault) => return ApiError::internal(fault).into_response(),
        };
        match self.etag {
            Some(version) => with_tag(response, &version),
            None => response,
        }
    }
}

/// 202: the work was accepted and happens later.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accepted;

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        StatusCode::ACCEPTED.into_response()
    }
}

/// 204: done, and nothing to say.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

fn with_tag(mut response: Response, version: &dyn Display) -> Response {
    match HeaderValue::try_from(format!("\"{version}\"")) {
        Ok(tag) => {
            response.headers_mut().insert(header::ETAG, tag);
            response
        }
        Err(fault) => ApiError::internal(fault).into_response(),
    }
}
