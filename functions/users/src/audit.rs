//! Who did what, and whether anybody has tampered with the record of it.

use axum::extract::State;
use switchyard_api::{ApiResult, Json, Page, PageParams, Paged, Path, Query, SignedIn};
use switchyard_identity::{Identity, UserId};
use switchyard_kernel::{AuditEntry, AuditVerification};

use crate::filter::{AuditPart, AuditQuery};

/// Lists what was done that concerns a user.
///
/// The latest first. For the user, and for who has `audit:read`; to others there is no such user.
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

/// Lists what was done.
///
/// The latest first; entries that fit everything that is asked for. They are kept for six years.
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

/// Verifies the audit log, part by part.
///
/// Every entry carries a code over its content and over the entry before it. All codes are computed again; where one does
/// not fit, an entry was changed, removed, added or moved, and the answer names the first such place. Ask with each
/// `next_cursor` until there is none: then all of the log was verified.
#[utoipa::path(get, path = "/audit-logs/verify", tag = "audit", security(("bearer" = ["audit:read"])),
    params(AuditPart),
    responses((status = 200, description = "What came of it.", body = AuditVerification)))]
pub(crate) async fn verify_audit_logs(
    SignedIn(context): SignedIn,
    State(identity): State<Identity>,
    Query(part): Query<AuditPart>,
) -> ApiResult<Json<AuditVerification>> {
    Ok(Json(identity.kernel().audit_log().verify(&context, &part.into()).await?))
}
