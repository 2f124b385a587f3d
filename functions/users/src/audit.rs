//! The audit log: listing and verifying it.

use axum::extract::State;
use switchyard_api::{ApiResult, Json, Page, PageParams, Paged, Path, Query, SignedIn};
use switchyard_identity::{Identity, UserId};
use switchyard_kernel::{AuditEntry, AuditVerification};

use crate::filter::{AuditPart, AuditQuery};

/// Lists the audit log entries about a user.
///
/// The latest come first. For the user and for anyone with `audit:read`; other callers get 404.
#[utoipa::path(get, path = "/users/{id}/audit-log", tag = "audit", security(("bearer" = [])),
    params(("id" = UserId, Path, description = "The user's id."), PageParams),
    responses((status = 200, description = "A page of entries.", body = Page<AuditEntry>)))]
pub(crate) async fn list_audit_log_of_user(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Path(id): Path<UserId>,
    Paged { page, .. }: Paged,
) -> ApiResult<Json<Page<AuditEntry>>> {
    Ok(Json(identity.kernel().audit_log().list_of_user(&context, id, &page).await?))
}

/// Lists audit log entries.
///
/// The latest come first. An entry must match all parameters. Entries are kept for six years.
#[utoipa::path(get, path = "/audit-logs", tag = "audit", security(("bearer" = ["audit:read"])),
    params(PageParams, AuditQuery),
    responses((status = 200, description = "A page of entries.", body = Page<AuditEntry>)))]
pub(crate) async fn list_audit_logs(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Paged { page, filter }: Paged<AuditQuery>,
) -> ApiResult<Json<Page<AuditEntry>>> {
    Ok(Json(identity.kernel().audit_log().list(&context, &filter.into(), &page).await?))
}

/// Verifies the audit log, one part per request.
///
/// Every entry has an authentication code over its content and over the previous entry. All codes are computed
/// again. If one does not match, an entry was changed, removed, added or moved, and the answer contains the
/// first such place. To verify the whole log, repeat the request with each `next_cursor` until there is none.
#[utoipa::path(get, path = "/audit-logs/verify", tag = "audit", security(("bearer" = ["audit:read"])),
    params(AuditPart),
    responses((status = 200, description = "The result.", body = AuditVerification)))]
pub(crate) async fn verify_audit_logs(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Query(part): Query<AuditPart>,
) -> ApiResult<Json<AuditVerification>> {
    Ok(Json(identity.kernel().audit_log().verify(&context, &part.into()).await?))
}
