//! Who asks for an operation, from where and when: what every service decides on and records.

use std::net::IpAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use utoipa::ToSchema;

use crate::{Effect, Permission, Permissions, Refused, RequestKey, RoleName, SessionId, UserId};

/// How recently a user must have authenticated for an operation that requires a step-up.
pub const STEP_UP_WINDOW: Duration = Duration::from_secs(5 * 60);

/// The context of one operation.
#[derive(Clone, Debug)]
pub struct Context {
    /// Who asks for it.
    pub actor: Actor,
    /// The id of the request, for the audit log.
    pub request_id: String,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// The client's `User-Agent`.
    pub user_agent: Option<String>,
    /// When the request came in.
    pub now: Timestamp,
    /// The request's `Idempotency-Key`, if it has one.
    pub request_key: Option<RequestKey>,
}

/// Who asks for an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Someone who is not signed in.
    Anonymous,
    /// A signed-in user.
    User(Principal),
    /// The program itself, at its start or from its command line. Everything is permitted.
    System,
}

/// A signed-in user, as described by their access token and their roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user_id: UserId,
    /// The session that the token was issued to.
    pub session_id: SessionId,
    /// The epoch of the session when the token was issued: see [`Authority`](crate::Authority).
    pub session_epoch: i64,
    /// The user's roles.
    pub roles: Vec<RoleName>,
    /// What the roles permit.
    pub permissions: Permissions,
    /// When the user last authenticated.
    pub auth_time: Timestamp,
    /// Whether the user must change their password before they may do anything else.
    pub password_change_required: bool,
}

/// What has caused something that is done later: a request, and its actor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cause {
    /// The id of the request.
    #[schema(example = "0190a1b2-0000-7000-8000-000000000001")]
    pub request_id: String,
    /// The id of the user, or `anonymous` or `system`.
    #[schema(example = "system")]
    pub actor: String,
}

impl Cause {
    /// The program itself, which names what it does instead of a request.
    pub fn system(name: impl Into<String>) -> Self {
        Self { request_id: name.into(), actor: SYSTEM.to_owned() }
    }

    /// Whether the actor was this user.
    pub fn is_user(&self, id: UserId) -> bool {
        self.actor == id.as_str()
    }
}

const ANONYMOUS: &str = "anonymous";
const SYSTEM: &str = "system";

impl Context {
    /// This request as the cause of something that is done later.
    pub fn cause(&self) -> Cause {
        let actor = match &self.actor {
            Actor::Anonymous => ANONYMOUS.to_owned(),
            Actor::User(principal) => principal.user_id.to_string(),
            Actor::System => SYSTEM.to_owned(),
        };
        Cause { request_id: self.request_id.clone(), actor }
    }

    /// The context of an anonymous request.
    pub fn anonymous(request_id: impl Into<String>, now: Timestamp) -> Self {
        Self {
            actor: Actor::Anonymous,
            request_id: request_id.into(),
            address: None,
            user_agent: None,
            now,
            request_key: None,
        }
    }

    /// The context of an operation of the program itself.
    pub fn system(request_id: impl Into<String>, now: Timestamp) -> Self {
        Self { actor: Actor::System, ..Self::anonymous(request_id, now) }
    }

    /// The same request, made by `actor`.
    #[must_use]
    pub fn by(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// What an earlier run of the same request did: the request has an `Idempotency-Key`, took effect, and its answer was
    /// lost. A service answers from what the effect names instead of repeating it.
    pub fn earlier_effect(&self) -> Option<&Effect> {
        self.request_key.as_ref()?.earlier_effect()
    }

    /// The signed-in user.
    ///
    /// # Errors
    ///
    /// [`Refused::Unauthenticated`] if the actor is not a user.
    pub fn principal(&self) -> Result<&Principal, Refused> {
        match &self.actor {
            Actor::User(principal) => Ok(principal),
            Actor::Anonymous | Actor::System => Err(Refused::Unauthenticated),
        }
    }

    /// What the actor may do.
    pub fn permissions(&self) -> &Permissions {
        static NONE: Permissions = Permissions::NONE;
        static EVERY: Permissions = Permissions::EVERY;
        match &self.actor {
            Actor::Anonymous => &NONE,
            Actor::User(principal) => &principal.permissions,
            Actor::System => &EVERY,
        }
    }

    /// Whether the actor has `permission`.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions().contains(permission)
    }

    /// Whether the actor is this user.
    pub fn is_user(&self, id: UserId) -> bool {
        matches!(&self.actor, Actor::User(principal) if principal.user_id == id)
    }

    /// Requires `permission`.
    ///
    /// # Errors
    ///
    /// [`Refused::Unauthenticated`] for an anonymous actor, [`Refused::Forbidden`] for a user without the permission.
    pub fn require(&self, permission: Permission) -> Result<(), Refused> {
        self.require_that(self.may(permission))
    }

    /// Requires every permission of a set.
    ///
    /// # Errors
    ///
    /// As [`require`](Self::require).
    pub fn require_all(&self, permissions: &Permissions) -> Result<(), Refused> {
        self.require_that(self.permissions().covers(permissions))
    }

    /// Requires that the program itself is the actor, for what no request may do.
    ///
    /// # Errors
    ///
    /// [`Refused::Unauthenticated`] for an anonymous actor, [`Refused::Forbidden`] for a user.
    pub fn require_system(&self) -> Result<(), Refused> {
        self.require_that(matches!(self.actor, Actor::System))
    }

    fn require_that(&self, is_permitted: bool) -> Result<(), Refused> {
        match &self.actor {
            _ if is_permitted => Ok(()),
            Actor::Anonymous => Err(Refused::Unauthenticated),
            _ => Err(Refused::Forbidden),
        }
    }

    /// Requires the user `owner`, or `permission`.
    ///
    /// # Errors
    ///
    /// [`Refused::Unauthenticated`] for an anonymous actor. [`Refused::NotFound`] for another user without the permission,
    /// who may not learn whether the resource exists.
    pub fn require_owner_or(&self, owner: UserId, permission: Permission) -> Result<(), Refused> {
        if self.is_user(owner) {
            return Ok(());
        }
        self.require_write(permission, permission)
    }

    /// Requires `write`, of a resource that the holders of `read` may see.
    ///
    /// # Errors
    ///
    /// As [`require`](Self::require), but [`Refused::NotFound`] for a user with neither permission, who may not learn
    /// whether the resource exists.
    pub fn require_write(&self, write: Permission, read: Permission) -> Result<(), Refused> {
        match self.require(write) {
            Err(Refused::Forbidden) if !self.may(read) => Err(Refused::NotFound),
            verdict => verdict,
        }
    }

    /// Requires that the user authenticated within [`STEP_UP_WINDOW`].
    ///
    /// # Errors
    ///
    /// [`Refused::StepUpRequired`] if that was longer ago.
    pub fn require_step_up(&self) -> Result<(), Refused> {
        match &self.actor {
            Actor::System => Ok(()),
            Actor::Anonymous => Err(Refused::Unauthenticated),
            Actor::User(principal) if self.now.since(principal.auth_time) <= STEP_UP_WINDOW => Ok(()),
            Actor::User(_) => Err(Refused::StepUpRequired),
        }
    }
}

#[cfg(test)]
mod tests {
    use switchyard_ambient::Uuid;

    use super::*;

    const READ: Permission = Permission::new("notes:read", "Read notes.");
    const NOW: Timestamp = Timestamp::from_seconds(1_300);

    fn user(permissions: &[Permission]) -> Context {
        Context::anonymous("r", NOW).by(Actor::User(Principal {
            user_id: Uuid::from_u128(1).into(),
            session_id: Uuid::from_u128(2).into(),
            session_epoch: 0,
            roles: Vec::new(),
            permissions: permissions.iter().copied().collect(),
            auth_time: Timestamp::from_seconds(1_000),
            password_change_required: false,
        }))
    }

    #[test]
    fn a_stranger_does_not_learn_that_a_resource_exists() {
        let other = UserId::from(Uuid::from_u128(9));
        let require = |context: Context, id| context.require_owner_or(id, READ);
        assert_eq!(require(user(&[]), other), Err(Refused::NotFound));
        assert_eq!(require(user(&[READ]), other), Ok(()));
        assert_eq!(require(user(&[]), Uuid::from_u128(1).into()), Ok(()));
        assert_eq!(require(Context::anonymous("r", NOW), other), Err(Refused::Unauthenticated));
        assert_eq!(require(Context::system("r", NOW), other), Ok(()));
    }

    #[test]
    fn all_permissions_of_a_set_are_required() {
        const WRITE: Permission = Permission::new("notes:write", "Write notes.");
        let both: Permissions = [READ, WRITE].into_iter().collect();
        assert_eq!(user(&[READ, WRITE]).require_all(&both), Ok(()));
        assert_eq!(user(&[READ]).require_all(&both), Err(Refused::Forbidden));
        assert_eq!(user(&[]).require_all(&Permissions::NONE), Ok(()));
        assert_eq!(Context::anonymous("r", NOW).require_all(&both), Err(Refused::Unauthenticated));
        assert_eq!(Context::system("r", NOW).require_all(&Permissions::EVERY), Ok(()));
    }

    #[test]
    fn someone_who_may_only_see_a_resource_is_told_that_they_may_not_change_it() {
        const WRITE: Permission = Permission::new("notes:write", "Write notes.");
        let require = |context: Context| context.require_write(WRITE, READ);
        assert_eq!(require(user(&[])), Err(Refused::NotFound));
        assert_eq!(require(user(&[READ])), Err(Refused::Forbidden));
        assert_eq!(require(user(&[WRITE])), Ok(()));
        assert_eq!(require(Context::anonymous("r", NOW)), Err(Refused::Unauthenticated));
    }

    #[test]
    fn a_step_up_lasts_five_minutes() {
        let mut context = user(&[]);
        assert_eq!(context.require_step_up(), Ok(()));
        context.now = NOW + Duration::from_micros(1);
        assert_eq!(context.require_step_up(), Err(Refused::StepUpRequired));
    }
}
