//! The conventions of the HTTP API, kept in one place: errors, bodies and query strings, preconditions, lists,
//! idempotency, rate limits, authentication, and the OpenAPI document.
//!
//! A route group is a function that makes an [`OpenApiRouter`](utoipa_axum::router::OpenApiRouter). Its handlers parse,
//! call the domain, answer; what every route has in common comes from [`serve_api`], so that a function on Lambda and
//! the server of `cargo run` answer alike.
//!
//! ```
//! use std::sync::Arc;
//!
//! use axum::extract::State;
//! use deserr::Deserr;
//! use serde::{Deserialize, Serialize};
//! use switchyard_api::*;
//! use switchyard_database::{Collection, Db, Entity};
//! use utoipa::ToSchema;
//! use utoipa_axum::{router::OpenApiRouter, routes};
//!
//! #[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
//! struct Note { id: String, text: String }
//!
//! impl Entity for Note {
//!     const COLLECTION: &'static Collection = &Collection::new("notes");
//!     fn id(&self) -> &str { &self.id }
//! }
//!
//! /// What a client may write: the body of POST and PUT, and what a PATCH is applied to.
//! #[derive(Debug, Serialize, Deserr, ToSchema)]
//! #[deserr(error = Faults, deny_unknown_fields)]
//! struct NoteInput {
//!     #[deserr(try_from(String) = short_text -> &'static str)]
//!     text: String,
//! }
//!
//! // A rule is a function. (It must not bear the field's name: the derive has a variable of that name.)
//! fn short_text(text: String) -> Result<String, &'static str> {
//!     if text.chars().count() <= 280 { Ok(text) } else { Err("must have at most 280 characters") }
//! }
//!
//! // Codes that follow from the conventions (401, 404, 413, 415, …) are added to the document by `complete`.
//! operation_errors!(NoteErrors: Conflict);
//!
//! /// Reads a note.
//! #[utoipa::path(get, path = "/notes/{id}", tag = "notes", security(("bearer" = [])),
//!     params(("id" = String, Path, description = "The note's id.")),
//!     responses((status = 200, body = Note, headers(("ETag")))))]
//! async fn get_note(_caller: Caller, State(db): State<Db>, Path(id): Path<String>) -> ApiResult<Tagged<impl std::fmt::Display, Note>> {
//!     let note = db.collection::<Note>().get(&id).await?.or_not_found()?;
//!     Ok(Tagged(note.version(), note.into_value()))
//! }
//!
//! /// Writes a note.
//! #[utoipa::path(post, path = "/notes", tag = "notes", security(("bearer" = ["notes:write"])),
//!     responses((status = 201, body = Note), NoteErrors))]
//! async fn create_note(caller: Caller, State(db): State<Db>, Json(input): Json<NoteInput>) -> ApiResult<Created<Note>> {
//!     caller.require("notes:write")?;
//!     let note = Note { id: db.ambient().uuid_v7().to_string(), text: input.text };
//!     let stored = db.collection().insert(&note).await?;
//!     Ok(Created::at(format!("/notes/{}", note.id), note).tagged(stored.version()))
//! }
//!
//! /// Changes a note.
//! #[utoipa::path(patch, path = "/notes/{id}", tag = "notes", security(("bearer" = [])),
//!     params(("id" = String, Path, description = "The note's id.")),
//!     request_body(content = NoteInput, content_type = MergePatch::MEDIA_TYPE),
//!     responses((status = 200, body = Note, headers(("ETag")))))]
//! async fn update_note(
//!     _caller: Caller, State(db): State<Db>, Path(id): Path<String>, if_match: IfMatch, patch: MergePatch,
//! ) -> ApiResult<Tagged<impl std::fmt::Display, Note>> {
//!     let (id, if_match, patch) = (&id, &if_match, &patch);
//!     let stored = db.transact(|tx| async move {
//!         let note = tx.get::<Note>(id).await?.or_not_found()?;
//!         if_match.check(note.version())?;
//!         let NoteInput { text } = patch.apply_to(&NoteInput { text: note.text.clone() })?;
//!         ApiResult::Ok(tx.replace(&note, &Note { text, ..(*note).clone() })?)
//!     }).await?;
//!     Ok(Tagged(stored.version(), stored.into_value()))
//! }
//!
//! /// The route group, over whatever state its handlers need.
//! fn router(db: Db) -> OpenApiRouter {
//!     OpenApiRouter::new()
//!         .routes(routes!(get_note, update_note))
//!         .routes(routes!(create_note))
//!         .with_state(db)
//! }
//!
//! # use axum::{body::Body, http::{Request, StatusCode}};
//! # use tower::ServiceExt;
//! # #[derive(Debug)] struct Anyone;
//! # #[async_trait::async_trait]
//! # impl Authenticator for Anyone {
//! #     async fn authenticate(&self, _: &str) -> Result<Caller, AuthenticationError> {
//! #         Ok(Caller { user_id: switchyard_ambient::Uuid::nil(), session_id: switchyard_ambient::Uuid::nil(), roles: vec![],
//! #             permissions: ["notes:write".to_owned()].into(), auth_time: Default::default() })
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let ambient = switchyard_ambient::Ambient::system();
//! # let sqlite = switchyard_sqlite::Sqlite::in_memory(ambient.clone()).unwrap();
//! # let db = Db::new(Arc::new(sqlite), ambient);
//! # let schema = switchyard_database::Schema::new([Note::COLLECTION].into_iter().chain(COLLECTIONS)).unwrap();
//! # db.backend().migrate(&schema).await.unwrap();
//! # let authenticator = Arc::new(Anyone);
//! // What `switchyard_runtime` does with it:
//! let document = complete(router(db.clone()).into_openapi());
//! let api = Api::new(db.clone(), authenticator, ApiSettings::default(), Arc::new(NoObserver));
//! let service: axum::Router = serve_api(router(db), Arc::new(api));
//! # assert!(document.paths.paths["/notes"].post.as_ref().unwrap().responses.responses.contains_key("415"));
//! # let ask = Request::post("/notes").header("authorization", "Bearer x").header("content-type", "application/json")
//! #     .body(Body::from(r#"{"text":"Milk"}"#)).unwrap();
//! # assert_eq!(service.oneshot(ask).await.unwrap().status(), StatusCode::CREATED);
//! # }
//! ```

mod address;
mod answer;
mod caller;
mod context;
mod error;
mod idempotency;
mod input;
mod observe;
mod openapi;
mod page;
mod precondition;
mod rate_limit;
mod settings;
mod stack;

pub use address::{ParseProxiesError, PeerAddress, TrustedProxies};
pub use answer::{Accepted, Created, NoContent, Tagged};
pub use caller::{
    AuthenticationError, Authenticator, Caller, MaybeCaller, NoAuthenticator, RecentCaller, STEP_UP_WINDOW,
};
pub use context::{RequestContext, RequestId, X_REQUEST_ID};
pub use error::{ApiError, ApiResult, ErrorCode, OrNotFound};
pub use idempotency::{IDEMPOTENCY_REPLAYED, IdempotencyKey, IdempotencyRecord};
pub use input::{Faults, Json, MAX_BODY_BYTES, MergePatch, Path, Query, cookie};
pub use observe::{NoObserver, Observer, Outcome};
pub use openapi::{BEARER, complete, error_responses};
pub use page::{DEFAULT_LIMIT, MAX_LIMIT, NoFilter, Page, PageParams, Paged, Pagination};
pub use precondition::{IfMatch, IfNoneMatch};
pub use rate_limit::{ParseRateLimitError, Quota, RateLimit, RateWindow, limited_by_address};
pub use settings::{ApiSettings, CorsOrigins, ParseOriginsError};
pub use stack::{Api, serve_api};

use switchyard_database::{Collection, Entity};

/// The collections that the conventions themselves keep: every program that calls [`serve_api`] migrates them.
pub const COLLECTIONS: [&Collection; 2] = [IdempotencyRecord::COLLECTION, RateWindow::COLLECTION];
