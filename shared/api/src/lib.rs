//! The conventions of the HTTP API: errors, bodies and query strings, preconditions, lists, idempotency, rate
//! limits, authentication, and the OpenAPI document.
//!
//! A route group is a function that returns an [`OpenApiRouter`](utoipa_axum::router::OpenApiRouter). Its
//! handlers read the request with the extractors of this crate, call a service of a domain, and answer. They
//! hold no rules and no database: those belong to the domain. What every route has in common comes from
//! [`serve_api`], so a function on Lambda and the server of `cargo run` answer alike.
//!
//! ```
//! use axum::extract::State;
//! use deserr::Deserr;
//! use serde::Serialize;
//! use switchyard_api::*;
//! use switchyard_kernel::{MergePatch, Versioned};
//! use utoipa::ToSchema;
//! use utoipa_axum::{router::OpenApiRouter, routes};
//! # use switchyard_kernel::{CommonError, Context, Precondition, PageRequest, DomainError, ErrorReport};
//! # #[derive(Clone)] pub struct Notes;
//! # #[derive(Debug)] pub enum NoteError { Common(CommonError) }
//! # impl<E: Into<CommonError>> From<E> for NoteError { fn from(error: E) -> Self { Self::Common(error.into()) } }
//! # impl DomainError for NoteError {
//! #     fn into_report(self) -> ErrorReport { match self { Self::Common(error) => error.into_report() } }
//! # }
//! # switchyard_kernel::id_type! {
//! #     /// The id of a note: a UUID of version 7.
//! #     NoteId
//! # }
//! # #[derive(Debug, Serialize, ToSchema)] pub struct Note { id: NoteId, text: String }
//! # #[derive(Clone, Debug, Serialize, Deserr, ToSchema)]
//! # #[deserr(error = Faults, deny_unknown_fields)]
//! # pub struct NoteFields { text: String }
//! # impl Notes {
//! #     pub async fn get(&self, _: &Context, id: NoteId) -> Result<Versioned<Note>, NoteError> {
//! #         Ok(Versioned { value: Note { id, text: "Milk".into() }, tag: switchyard_kernel::EntityTag::new("v1") })
//! #     }
//! #     pub async fn edit(&self, context: &Context, id: NoteId, _: &Precondition,
//! #         edit: impl Fn(&NoteFields) -> Result<NoteFields, Faults>) -> Result<Versioned<Note>, NoteError> {
//! #         edit(&NoteFields { text: "Milk".into() })?;
//! #         self.get(context, id).await
//! #     }
//! # }
//!
//! /// Reads a note.
//! #[utoipa::path(get, path = "/notes/{id}", tag = "notes", security(("bearer" = [])),
//!     params(("id" = NoteId, Path, description = "The note's id.")),
//!     responses((status = 200, body = Note, headers(("ETag")))))]
//! async fn get_note(
//!     SignedIn(context): SignedIn, State(notes): State<Notes>, Path(id): Path<NoteId>,
//! ) -> ApiResult<Tagged<Note>> {
//!     Ok(Tagged(notes.get(&context, id).await?))
//! }
//!
//! // Codes that follow from the conventions (401, 404, 413, 415, …) are added to the document by `complete`.
//! operation_errors!(UpdateNoteErrors: codes::CONFLICT);
//!
//! /// Updates a note.
//! #[utoipa::path(patch, path = "/notes/{id}", tag = "notes", security(("bearer" = [])),
//!     params(("id" = NoteId, Path, description = "The note's id.")),
//!     request_body(content = NoteFields, content_type = MergePatch::MEDIA_TYPE),
//!     responses((status = 200, body = Note, headers(("ETag"))), UpdateNoteErrors))]
//! async fn update_note(
//!     SignedIn(context): SignedIn, State(notes): State<Notes>, Path(id): Path<NoteId>,
//!     Conditional(precondition): Conditional, Patch(patch): Patch,
//! ) -> ApiResult<Tagged<Note>> {
//!     let apply = |present: &NoteFields| patch.apply_to(present);
//!     Ok(Tagged(notes.edit(&context, id, &precondition, apply).await?))
//! }
//!
//! /// The route group, over the service that its handlers call.
//! fn router(notes: Notes) -> OpenApiRouter {
//!     OpenApiRouter::new().routes(routes!(get_note, update_note)).with_state(notes)
//! }
//! # let document = complete(router(Notes).into_openapi(), &[]);
//! # assert!(document.paths.paths["/notes/{id}"].patch.as_ref().unwrap().responses.responses.contains_key("415"));
//! ```

mod address;
mod answer;
mod authentication;
mod cors;
mod error;
mod idempotency;
mod input;
mod observe;
mod openapi;
mod page;
mod precondition;
mod rate_limit;
mod request;
mod requesting_page;
mod settings;
mod stack;
#[cfg(feature = "testing")]
pub mod testing;
mod trace;

pub use address::{ParseProxiesError, PeerAddress, TrustedProxies};
pub use answer::{Accepted, Created, NoContent, Tagged};
pub use authentication::{Anyone, MaybeSignedIn, SignedIn, SignedInIfValid, before_password_change};
pub use cors::{CorsOrigins, HeaderNames, ParseHeaderNamesError, ParseOriginsError};
pub use error::{ApiError, ApiResult, OrNotFound, codes};
pub use idempotency::{IDEMPOTENCY_REPLAYED, IdempotencyKey, IdempotencyRecord};
pub use input::{
    Json, MAX_BODY_BYTES, Patch, Path, Query, RawBody, cookie, limited_body, search_words, secret_header,
};
pub use observe::{NoObserver, Observer, Outcome};
pub use openapi::{BEARER, complete, error_responses};
pub use page::{DEFAULT_LIMIT, MAX_LIMIT, NoFilter, PageParams, Paged};
pub use precondition::Conditional;
pub use rate_limit::{
    ParseRateLimitError, Quota, RateLimit, RateWindow, limited_by_address, limited_by_address_in_portions,
    limited_by_failures,
};
pub use request::{Refusal, X_REQUEST_ID};
pub use requesting_page::RequestingPage;
pub use settings::ApiSettings;
pub use stack::{Api, serve_api};
pub use switchyard_kernel::{Faults, Page};
pub use trace::Invocation;

use switchyard_database::{Collection, Entity};
use switchyard_kernel::EffectRecord;

/// The collections of the conventions themselves. Every program that calls [`serve_api`] needs them.
pub const COLLECTIONS: [&Collection; 3] =
    [IdempotencyRecord::COLLECTION, EffectRecord::COLLECTION, RateWindow::COLLECTION];
