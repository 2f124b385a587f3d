//! A route group like those of the functions, with one route for each feature under test.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{AppendHeaders, IntoResponse};
use deserr::Deserr;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use switchyard_ambient::{Ambient, Timestamp};
use switchyard_api::{
    Accepted, ApiError, ApiResult, Conditional, Created, Faults, IdempotencyKey, Json, MaybeSignedIn,
    NoContent, OrNotFound, Page, PageParams, Paged, Patch, Path, RawBody, SignedIn, Tagged, codes, cookie,
    limited_body, limited_by_address, limited_by_address_in_portions, limited_by_failures, operation_errors,
    secret_header,
};
use switchyard_database::retry::Backoff;
use switchyard_database::{Collection, Db, Entity, Error as DatabaseError, Field, Index, Query, Stored};
use switchyard_kernel::{
    AddressLimit, EntityTag, ErrorCode, ErrorKind, Manifest, MergePatch, Permission, UserId, Versioned,
};
use tokio::sync::Notify;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Counts what the handlers did, and delays them.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    /// The number of payments.
    pub(crate) payments: AtomicUsize,
    /// Notified when a slow handler has begun.
    pub(crate) begun: Notify,
    /// A slow handler waits for it.
    pub(crate) resume: Notify,
}

#[derive(Clone, Debug)]
struct Sample {
    db: Db,
    probe: Arc<Probe>,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Note {
    id: String,
    text: String,
    color: Option<String>,
    tags: Vec<Tag>,
    #[schema(value_type = i64)]
    created_at: Timestamp,
}

impl Entity for Note {
    const COLLECTION: &'static Collection = &Collection::new("notes")
        .fields(&[Field::time("created_at"), Field::string("color")])
        .indexes(&[Index::new("by_creation").sort(&["created_at"])]);

    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Clone, Debug, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(crate) struct Tag {
    #[deserr(try_from(String) = short -> &'static str)]
    name: String,
    #[deserr(default)]
    #[schema(required = false)]
    weight: u8,
}

#[derive(Debug, Serialize, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct NoteInput {
    #[deserr(try_from(String) = short -> &'static str)]
    text: String,
    #[deserr(default)]
    color: Option<String>,
    #[deserr(default)]
    #[schema(required = false)]
    tags: Vec<Tag>,
}

fn short(text: String) -> Result<String, &'static str> {
    if (1..=20).contains(&text.chars().count()) { Ok(text) } else { Err("must have 1 to 20 characters") }
}

impl NoteInput {
    fn of(note: &Note) -> Self {
        Self { text: note.text.clone(), color: note.color.clone(), tags: note.tags.clone() }
    }

    fn into_note(self, id: &str, created_at: Timestamp) -> Note {
        Note { id: id.to_owned(), text: self.text, color: self.color, tags: self.tags, created_at }
    }
}

#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct NoteFilter {
    #[deserr(default)]
    color: Option<String>,
    #[deserr(default)]
    #[param(required = false)]
    newest_first: bool,
}

const INVALID_CREDENTIALS: ErrorCode =
    ErrorCode::new("INVALID_CREDENTIALS", ErrorKind::Unauthenticated, "The password is wrong.");
const ACCOUNT_LOCKED: ErrorCode =
    ErrorCode::new("ACCOUNT_LOCKED", ErrorKind::Locked, "The account is locked.");

/// The declarations of the sample.
pub(crate) const MANIFEST: Manifest = Manifest::new("sample")
    .codes(&[INVALID_CREDENTIALS, ACCOUNT_LOCKED])
    .permissions(&[NOTES_WRITE, USERS_READ]);

pub(crate) const NOTES_WRITE: Permission = Permission::new("notes:write", "Write notes.");
pub(crate) const USERS_READ: Permission = Permission::new("users:read", "Read users.");

type NoteAnswer = ApiResult<Tagged<Note>>;

fn versioned(note: Stored<Note>) -> Versioned<Note> {
    Versioned { tag: EntityTag::new(note.version()), value: note.into_value() }
}

fn tagged(note: Stored<Note>) -> Tagged<Note> {
    Tagged(versioned(note))
}

/// Reads a note.
#[utoipa::path(get, path = "/notes/{id}", tag = "notes", security(("bearer" = [])),
    params(("id" = String, Path, description = "The note's id.")),
    responses((status = 200, body = Note, headers(("ETag")))))]
async fn get_note(_: SignedIn, State(sample): State<Sample>, Path(id): Path<String>) -> NoteAnswer {
    let note = sample.db.collection::<Note>().get(&id).await?.or_not_found()?;
    Ok(tagged(note))
}

/// Lists the notes.
#[utoipa::path(get, path = "/notes", tag = "notes", security(("bearer" = [])),
    params(PageParams, NoteFilter), responses((status = 200, body = Page<Note>)))]
async fn list_notes(
    _: SignedIn,
    State(sample): State<Sample>,
    paged: Paged<NoteFilter>,
) -> ApiResult<Json<Page<Note>>> {
    let mut query =
        Query::new(Note::COLLECTION, "by_creation").limit(paged.page.limit).after(paged.page.cursor.clone());
    if paged.filter.newest_first {
        query = query.descending();
    }
    if let Some(color) = paged.filter.color {
        query = query.filter(switchyard_database::Filter::one_of("color", [color]));
    }
    let page = sample.db.collection::<Note>().query(&query).await?;
    Ok(Json(Page::of(page, &paged.page, Note::clone)))
}

/// Creates a note.
#[utoipa::path(post, path = "/notes", tag = "notes", security(("bearer" = ["notes:write"])),
    responses((status = 201, body = Note)))]
async fn create_note(
    SignedIn(context): SignedIn,
    State(sample): State<Sample>,
    Json(input): Json<NoteInput>,
) -> ApiResult<Created<Note>> {
    context.require(NOTES_WRITE)?;
    let ambient = sample.db.ambient();
    let note = input.into_note(&ambient.uuid_v7().to_string(), ambient.now());
    let stored = sample.db.collection().insert(&note).await?;
    Ok(Created::tagged(format!("/notes/{}", note.id), versioned(stored)))
}

/// Replaces a note, or creates it.
#[utoipa::path(put, path = "/notes/{id}", tag = "notes", security(("bearer" = [])),
    params(("id" = String, Path, description = "The note's id.")),
    responses((status = 200, body = Note, headers(("ETag")))))]
async fn replace_note(
    _: SignedIn,
    State(sample): State<Sample>,
    Path(id): Path<String>,
    Conditional(precondition): Conditional,
    Json(input): Json<NoteInput>,
) -> NoteAnswer {
    let notes = sample.db.collection::<Note>();
    let stored = match notes.get(&id).await? {
        None => {
            precondition.check_absent()?;
            notes.insert(&input.into_note(&id, sample.db.ambient().now())).await?
        }
        Some(note) => {
            precondition.check(&EntityTag::new(note.version()))?;
            notes.replace(&note, &input.into_note(&id, note.created_at)).await?
        }
    };
    Ok(tagged(stored))
}

/// Updates a note.
#[utoipa::path(patch, path = "/notes/{id}", tag = "notes", security(("bearer" = [])),
    params(("id" = String, Path, description = "The note's id.")),
    request_body(content = NoteInput, content_type = MergePatch::MEDIA_TYPE),
    responses((status = 200, body = Note, headers(("ETag")))))]
async fn update_note(
    _: SignedIn,
    State(sample): State<Sample>,
    Path(id): Path<String>,
    Conditional(precondition): Conditional,
    Patch(patch): Patch,
) -> NoteAnswer {
    let (id, precondition, patch) = (&id, &precondition, &patch);
    let stored = sample
        .db
        .transact(|tx| async move {
            let note = tx.get::<Note>(id).await?.or_not_found()?;
            precondition.check(&EntityTag::new(note.version()))?;
            let input = patch.apply_to(&NoteInput::of(&note))?;
            ApiResult::Ok(tx.replace(&note, &input.into_note(id, note.created_at))?)
        })
        .await?;
    Ok(tagged(stored))
}

operation_errors!(DeleteErrors: codes::PRECONDITION_FAILED, codes::PRECONDITION_REQUIRED);

/// Deletes a note. Requires `If-Match`.
#[utoipa::path(delete, path = "/notes/{id}", tag = "notes", security(("bearer" = [])),
    params(("id" = String, Path, description = "The note's id.")),
    responses((status = 204), DeleteErrors))]
async fn delete_note(
    _: SignedIn,
    State(sample): State<Sample>,
    Path(id): Path<String>,
    conditional: Conditional,
) -> ApiResult<NoContent> {
    let notes = sample.db.collection::<Note>();
    let note = notes.get(&id).await?.or_not_found()?;
    conditional.required()?.check(&EntityTag::new(note.version()))?;
    notes.delete(&note).await?;
    Ok(NoContent)
}

#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct Credentials {
    email: String,
    password: String,
}

operation_errors!(LoginErrors: INVALID_CREDENTIALS, ACCOUNT_LOCKED);

/// Signs in.
#[utoipa::path(post, path = "/login", tag = "auth", responses((status = 200, body = Value), LoginErrors))]
async fn login(
    State(sample): State<Sample>,
    Json(credentials): Json<Credentials>,
) -> ApiResult<impl IntoResponse> {
    match credentials.password.as_str() {
        "locked" => Err(ApiError::new(ACCOUNT_LOCKED).retry_after(Duration::from_secs(900))),
        "secret" => {
            let number = sample.probe.payments.fetch_add(1, Ordering::SeqCst) + 1;
            let cookies = [(header::SET_COOKIE, "refresh=r-token"), (header::SET_COOKIE, "theme=dark")];
            let token = format!("token {number} of {}", credentials.email);
            Ok((AppendHeaders(cookies), Json(json!({ "access_token": token }))))
        }
        _ => Err(INVALID_CREDENTIALS.into()),
    }
}

/// Renews the access token with a cookie.
#[utoipa::path(post, path = "/refresh", tag = "auth",
    params(("refresh" = Option<String>, Cookie, description = "The token.")),
    responses((status = 200, body = Value), LoginErrors))]
async fn refresh(State(sample): State<Sample>, headers: HeaderMap) -> ApiResult<Json<Value>> {
    let number = sample.probe.payments.fetch_add(1, Ordering::SeqCst) + 1;
    match cookie(&headers, "refresh") {
        Some("guess") => Err(INVALID_CREDENTIALS.into()),
        token => Ok(Json(json!({ "access_token": format!("token {number} for {token:?}") }))),
    }
}

#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct Payment {
    amount_minor: u32,
}

/// Pays once per key.
#[utoipa::path(post, path = "/payments/{account}", tag = "payments", security(("bearer" = [])),
    params(IdempotencyKey, ("account" = String, Path, description = "The account.")),
    responses((status = 201, body = Value)))]
async fn pay(
    SignedIn(context): SignedIn,
    _key: IdempotencyKey,
    State(sample): State<Sample>,
    Path(account): Path<String>,
    Json(payment): Json<Payment>,
) -> ApiResult<Created<Value>> {
    let number = sample.probe.payments.fetch_add(1, Ordering::SeqCst) + 1;
    match payment.amount_minor {
        0 => Err(codes::CONFLICT.into()),
        13 => panic!("an unlucky amount"),
        500 => Err(ApiError::internal("the acquirer is on fire")),
        502 => Err(DatabaseError::OutcomeUnknown("the reply was lost".to_owned()).into()),
        504 => Err(DatabaseError::Unavailable("nobody answers".to_owned()).into()),
        429 => Err(codes::RATE_LIMITED.into()),
        503 => Err(throttled_until_the_deadline(sample.db.ambient()).await.into()),
        1_000_000 => {
            let body = json!({ "receipt": "x".repeat(300_000) });
            Ok(Created::at("/payments/1", body))
        }
        amount => {
            if amount == 60 {
                sample.probe.begun.notify_one();
                sample.probe.resume.notified().await;
            }
            let body = json!({ "number": number, "account": account, "payer": context.principal()?.user_id });
            Ok(Created::at(format!("/payments/{number}"), body))
        }
    }
}

/// Returns the caller.
#[utoipa::path(get, path = "/whoami", tag = "auth", security((), ("bearer" = [])),
    responses((status = 200, body = Value)))]
async fn whoami(MaybeSignedIn(context): MaybeSignedIn) -> Json<Value> {
    Json(json!({
        "user_id": context.principal().ok().map(|user| user.user_id),
        "address": context.address,
        "user_agent": context.user_agent,
        "request_id": context.request_id,
    }))
}

/// Reads a user: the caller, or any with the permission to read users.
#[utoipa::path(get, path = "/users/{id}", tag = "users", security(("bearer" = [])),
    params(("id" = String, Path, description = "The user's id.")), responses((status = 200, body = Value)))]
async fn get_user(SignedIn(context): SignedIn, Path(id): Path<UserId>) -> ApiResult<Json<Value>> {
    context.require_owner_or(id, USERS_READ)?;
    Ok(Json(json!({ "id": id })))
}

operation_errors!(EraseErrors: codes::STEP_UP_REQUIRED);

/// Requires a recent sign-in.
#[utoipa::path(post, path = "/erase", tag = "users", security(("bearer" = [])),
    responses((status = 202), EraseErrors))]
async fn erase(SignedIn(context): SignedIn) -> ApiResult<Accepted> {
    context.require_step_up()?;
    Ok(Accepted)
}

const SHOP: AddressLimit = AddressLimit { name: "shop", requests: 40, minutes: 15 };

/// Creates a cart, for anyone; its token is the only key to it.
#[utoipa::path(post, path = "/carts", tag = "carts", security((), ("bearer" = [])),
    params(("X-Cart-Token" = Option<String>, Header, description = "The token of an earlier cart.")),
    responses((status = 200, body = Value)))]
async fn create_cart(
    MaybeSignedIn(context): MaybeSignedIn,
    State(sample): State<Sample>,
    headers: HeaderMap,
) -> Json<Value> {
    let number = sample.probe.payments.fetch_add(1, Ordering::SeqCst) + 1;
    let earlier = secret_header(&headers, "x-cart-token").map(|token| token.expose().len());
    tracing::info!("headers: {headers:?}");
    Json(
        json!({ "number": number, "earlier": earlier, "owner": context.principal().ok().map(|user| user.user_id) }),
    )
}

/// Receives an event that is signed over its bytes.
#[utoipa::path(post, path = "/webhook", tag = "payments",
    request_body(content = Vec<u8>, content_type = "application/json"), responses((status = 200, body = Value)))]
async fn receive(RawBody(bytes): RawBody) -> Json<Value> {
    Json(json!({ "bytes": bytes.len(), "ends_with_space": bytes.ends_with(b" ") }))
}

fn throttled() -> switchyard_database::Error {
    switchyard_database::Error::Throttled { after: Some(Duration::from_millis(2500)) }
}

/// Retries as a backend does, more often than the request has time for.
async fn throttled_until_the_deadline(ambient: &Ambient) -> switchyard_database::Error {
    let pause = Duration::from_millis(10);
    let backoff = Backoff { attempts: u32::MAX, base: pause, ceiling: pause };
    while backoff.pause(1, ambient).await {}
    throttled()
}

/// Fails in the way that it is asked to.
#[utoipa::path(get, path = "/fail/{how}", tag = "faults",
    params(("how" = String, Path, description = "The way to fail.")), responses((status = 200)))]
async fn fail(State(sample): State<Sample>, Path(how): Path<String>) -> ApiResult<NoContent> {
    match how.as_str() {
        "panic" => panic!("hunter2"),
        "cause" => Err(ApiError::internal("the password is hunter2")),
        "hang" => std::future::pending().await,
        "throttled" => Err(throttled().into()),
        "patient" => Err(throttled_until_the_deadline(sample.db.ambient()).await.into()),
        "contended" => Err(switchyard_database::Error::Contended.into()),
        "limit" => Err(switchyard_database::Error::Limit("350 KiB".to_owned()).into()),
        "duplicate" => {
            let note = NoteInput { text: "a".to_owned(), color: None, tags: Vec::new() };
            let note = note.into_note("same", sample.db.ambient().now());
            sample.db.collection().insert(&note).await?;
            sample.db.collection().insert(&note).await?;
            Ok(NoContent)
        }
        _ => Ok(NoContent),
    }
}

/// Returns `length` bytes of text.
#[utoipa::path(get, path = "/text/{length}", tag = "faults",
    params(("length" = usize, Path, description = "The number of bytes.")), responses((status = 200, body = String)))]
async fn text(Path(length): Path<usize>) -> impl IntoResponse {
    let headers = [(header::CACHE_CONTROL, "public, max-age=60"), (header::ETAG, "\"always-x\"")];
    (headers, "x".repeat(length))
}

pub(crate) fn router(db: Db, probe: Arc<Probe>) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(get_note, replace_note, update_note, delete_note))
        .routes(routes!(list_notes, create_note))
        .routes(limited_by_address(routes!(login)))
        .routes(limited_by_failures(routes!(refresh)))
        .routes(routes!(pay))
        .routes(routes!(whoami))
        .routes(routes!(get_user))
        .routes(routes!(erase))
        .routes(limited_by_address_in_portions(SHOP, routes!(create_cart)))
        .routes(limited_body(2048, routes!(receive)))
        .routes(routes!(fail))
        .routes(routes!(text))
        .with_state(Sample { db, probe })
}
