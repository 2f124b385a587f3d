//! The query strings of the lists.

use deserr::{Deserr, ValuePointerRef};
use switchyard_ambient::{ParseTimestampError, Timestamp};
use switchyard_api::{Faults, search_words};
use switchyard_identity::{RoleName, UserFilter, UserId, UserStatus};
use switchyard_kernel::{AuditFilter, FieldPath, PageRequest};
use utoipa::{IntoParams, ToSchema};

/// Which users to list, and in which order.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields, validate = check_creation -> Faults)]
#[into_params(parameter_in = Query)]
pub(crate) struct UserQuery {
    /// Words, or beginnings of words, that must all occur in the name or the address: up to 16. The users are
    /// then listed in the order of the words found, and `sort` has no effect.
    #[deserr(default, try_from(Option<String>) = search_words -> &'static str)]
    #[param(nullable = false, max_length = 100, example = "ada")]
    q: Option<String>,
    /// Only users with this role.
    #[deserr(default)]
    #[param(nullable = false)]
    role: Option<RoleName>,
    /// Only users in this state.
    #[deserr(default)]
    #[param(nullable = false)]
    status: Option<UserStatus>,
    /// Only users whose account was created at this time or later (RFC 3339).
    #[deserr(default, try_from(Option<String>) = time -> ParseTimestampError)]
    #[param(nullable = false, value_type = Option<String>, format = DateTime)]
    created_from: Option<Timestamp>,
    /// Only users whose account was created at this time or earlier (RFC 3339).
    #[deserr(default, try_from(Option<String>) = time -> ParseTimestampError)]
    #[param(nullable = false, value_type = Option<String>, format = DateTime)]
    created_to: Option<Timestamp>,
    /// The order by creation: `-created_at` starts with the latest, `created_at` with the earliest. The default
    /// is the latest first.
    #[deserr(default)]
    #[param(inline, required = false)]
    sort: UserOrder,
    /// Whether deleted users are included. They have a `deleted_at`.
    #[deserr(default)]
    #[param(required = false, default = false)]
    include_deleted: bool,
}

/// The order in which users are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserr, ToSchema)]
pub(crate) enum UserOrder {
    /// The latest first.
    #[default]
    #[deserr(rename = "-created_at")]
    #[schema(rename = "-created_at")]
    Latest,
    /// The earliest first.
    #[deserr(rename = "created_at")]
    #[schema(rename = "created_at")]
    Earliest,
}

impl From<UserQuery> for UserFilter {
    fn from(query: UserQuery) -> Self {
        Self {
            q: query.q,
            role: query.role,
            status: query.status,
            created_from: query.created_from,
            created_to: query.created_to,
            descending: query.sort == UserOrder::Latest,
            include_deleted: query.include_deleted,
        }
    }
}

/// Which entries of the audit log to list.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields, validate = check_period -> Faults)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Only actions of this actor: a user's id, `system` or `anonymous`.
    #[deserr(default, try_from(Option<String>) = actor_name -> &'static str)]
    #[param(nullable = false, pattern = "^(system|anonymous|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$")]
    actor: Option<String>,
    /// Only entries about this subject: a user's id, or `role:` and a role's name.
    #[deserr(default, try_from(Option<String>) = subject_name -> &'static str)]
    #[param(
        nullable = false,
        pattern = "^(role:[a-z][a-z0-9-]{0,39}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$"
    )]
    subject: Option<String>,
    /// Only entries with this action. An action that does not exist is an error.
    #[deserr(default)]
    #[param(nullable = false, pattern = "^[a-z_]+[.][a-z_]+$", example = "user.disabled")]
    action: Option<String>,
    /// Only entries at this time or later (RFC 3339).
    #[deserr(default, try_from(Option<String>) = time -> ParseTimestampError)]
    #[param(nullable = false, value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only entries at this time or earlier (RFC 3339).
    #[deserr(default, try_from(Option<String>) = time -> ParseTimestampError)]
    #[param(nullable = false, value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
}

impl From<AuditQuery> for AuditFilter {
    fn from(AuditQuery { actor, subject, action, from, to }: AuditQuery) -> Self {
        Self { actor, subject, action, from, to }
    }
}

/// Which part of the audit log to verify.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditPart {
    /// The number of entries to check. Each entry is checked twice: in its chain, and later among all entries.
    #[deserr(default = MAX_PART, try_from(i64) = part_limit -> &'static str)]
    #[param(minimum = 1, maximum = 10000, default = 10000, required = false)]
    limit: u32,
    /// The start of the part: the `next_cursor` of the previous part. Leave it out for the first part.
    #[deserr(default)]
    #[param(nullable = false)]
    cursor: Option<String>,
}

/// The maximum number of audit log entries that one request checks. They take a second or two, even if reading
/// a hundred entries takes a call to another machine.
const MAX_PART: u32 = 10_000;

fn part_limit(number: i64) -> Result<u32, &'static str> {
    match u32::try_from(number) {
        Ok(limit @ 1..=MAX_PART) => Ok(limit),
        _ => Err("must be from 1 to 10000"),
    }
}

impl From<AuditPart> for PageRequest {
    fn from(AuditPart { limit, cursor }: AuditPart) -> Self {
        Self { limit, cursor }
    }
}

fn check_creation(query: UserQuery, _: ValuePointerRef<'_>) -> Result<UserQuery, Faults> {
    in_order(("created_from", query.created_from), ("created_to", query.created_to)).map(|()| query)
}

fn check_period(query: AuditQuery, _: ValuePointerRef<'_>) -> Result<AuditQuery, Faults> {
    in_order(("from", query.from), ("to", query.to)).map(|()| query)
}

/// Requires that a period does not end before it begins. No list has anything in such a period, so the two were mixed up.
fn in_order(from: (&str, Option<Timestamp>), to: (&str, Option<Timestamp>)) -> Result<(), Faults> {
    match (from.1, to.1) {
        (Some(start), Some(end)) if end < start => {
            Err(Faults::at(FieldPath::key(to.0), format!("must not be before `{}`", from.0)))
        }
        _ => Ok(()),
    }
}

/// An actor as entries name it. Nothing else has entries, so it is a mistake, and no empty list.
fn actor_name(text: Option<String>) -> Result<Option<String>, &'static str> {
    let Some(text) = text else { return Ok(None) };
    match text.parse::<UserId>() {
        Ok(id) => Ok(Some(id.to_string())),
        Err(_) if ["system", "anonymous"].contains(&text.as_str()) => Ok(Some(text)),
        Err(_) => Err("must be a user's id, `system` or `anonymous`"),
    }
}

/// A subject as entries name it.
fn subject_name(text: Option<String>) -> Result<Option<String>, &'static str> {
    let Some(text) = text else { return Ok(None) };
    let is_role = text.strip_prefix("role:").is_some_and(|name| name.parse::<RoleName>().is_ok());
    match text.parse::<UserId>() {
        Ok(id) => Ok(Some(id.to_string())),
        Err(_) if is_role => Ok(Some(text)),
        Err(_) => Err("must be a user's id, or `role:` and the name of a role"),
    }
}

fn time(text: Option<String>) -> Result<Option<Timestamp>, ParseTimestampError> {
    text.as_deref().map(str::parse).transpose()
}
