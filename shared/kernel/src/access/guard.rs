use crate::{
    Actor, AuditEvent, CommonError, Context, Kernel, Outcome, Permission, Principal, Refused, UserId, actions,
};

/// Checks of what the actor may do. Each records a refused attempt in the audit log; of many that follow each other, the first,
/// and then their number.
impl Kernel {
    /// Requires `permission`. `resource` names what is accessed, as in `users/0190a1b2-…`.
    ///
    /// # Errors
    ///
    /// [`Refused::Unauthenticated`] for an anonymous actor, [`Refused::Forbidden`] for a user without the permission.
    pub async fn require(
        &self,
        context: &Context,
        permission: Permission,
        resource: &str,
    ) -> Result<(), CommonError> {
        self.check(context, context.require(permission), resource).await
    }

    /// Requires the user `owner`, or `permission`.
    ///
    /// # Errors
    ///
    /// [`Refused::Unauthenticated`] for an anonymous actor. [`Refused::NotFound`] for another user without the permission,
    /// who may not learn whether the resource exists.
    pub async fn require_owner_or(
        &self,
        context: &Context,
        owner: UserId,
        permission: Permission,
        resource: &str,
    ) -> Result<(), CommonError> {
        self.check(context, context.require_owner_or(owner, permission), resource).await
    }

    /// Requires that the actor has `permission` now, and not only when their access token was issued. Returns the context
    /// with the actor's current permissions.
    ///
    /// # Errors
    ///
    /// As [`require`](Self::require), and [`Refused::Unauthenticated`] if the actor's session has ended.
    pub async fn require_current(
        &self,
        context: &Context,
        permission: Permission,
        resource: &str,
    ) -> Result<Context, CommonError> {
        let context = self.with_current_permissions(context).await?;
        self.require(&context, permission, resource).await?;
        Ok(context)
    }

    /// The context with the permissions that the actor has now. With the permissions of an outdated token, an admin who was
    /// demoted could promote themselves again.
    ///
    /// # Errors
    ///
    /// [`Refused::Unauthenticated`] if the actor's session has ended.
    pub async fn with_current_permissions(&self, context: &Context) -> Result<Context, CommonError> {
        let Actor::User(principal) = &context.actor else { return Ok(context.clone()) };
        let permissions = self.authority().current_permissions(principal, context.now).await?;
        let permissions = permissions.ok_or(Refused::Unauthenticated)?;
        Ok(context.clone().by(Actor::User(Principal { permissions, ..principal.clone() })))
    }

    /// Passes on `verdict`, and records a refusal, or counts it if it follows another one.
    ///
    /// # Errors
    ///
    /// The refusal; or the database's error if it could not be recorded.
    pub async fn check(
        &self,
        context: &Context,
        verdict: Result<(), Refused>,
        resource: &str,
    ) -> Result<(), CommonError> {
        if verdict.is_err_and(Refused::is_denial) {
            self.record_denial(context, resource).await?;
        }
        Ok(verdict?)
    }
}

/// The event that access to `resource` was denied.
pub(crate) fn denial(resource: &str) -> AuditEvent {
    AuditEvent::new(actions::ACCESS_DENIED).resource(resource).outcome(Outcome::Denied)
}
