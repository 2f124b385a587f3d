//! Answers other than plain [`Json`](crate::Json).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use switchyard_kernel::{EntityTag, Versioned};

use crate::{ApiError, Json};

/// 200 with a resource, and its tag as its `ETag`.
#[derive(Clone, Debug)]
pub struct Tagged<T>(
    /// The resource.
    pub Versioned<T>,
);

impl<T: Serialize> IntoResponse for Tagged<T> {
    fn into_response(self) -> Response {
        with_tag(Json(self.0.value).into_response(), &self.0.tag)
    }
}

/// 201 with a new resource, its location, and its tag if it has one.
#[derive(Clone, Debug)]
pub struct Created<T> {
    location: String,
    tag: Option<EntityTag>,
    body: T,
}

impl<T> Created<T> {
    /// A new resource at this path.
    pub fn at(location: impl Into<String>, body: T) -> Self {
        Self { location: location.into(), tag: None, body }
    }

    /// A new resource at this path, with its tag as its `ETag`.
    pub fn tagged(location: impl Into<String>, resource: Versioned<T>) -> Self {
        Self { location: location.into(), tag: Some(resource.tag), body: resource.value }
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::CREATED, Json(self.body)).into_response();
        match HeaderValue::try_from(self.location) {
            Ok(location) => response.headers_mut().insert(header::LOCATION, location),
            Err(error) => return ApiError::internal(error).into_response(),
        };
        match self.tag {
            Some(tag) => with_tag(response, &tag),
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

/// 204: the request succeeded, and there is no body.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

fn with_tag(mut response: Response, tag: &EntityTag) -> Response {
    match HeaderValue::try_from(format!("\"{tag}\"")) {
        Ok(tag) => {
            response.headers_mut().insert(header::ETAG, tag);
            response
        }
        Err(error) => ApiError::internal(error).into_response(),
    }
}
