use switchyard_kernel::{CommonError, Context, Faults, Precondition, Refused, Versioned};

use super::Accounts;
use crate::user::Users;
use crate::{User, UserError, UserFields};

impl Accounts<'_> {
    /// The caller's own account.
    ///
    /// # Errors
    ///
    /// [`Refused::Unauthenticated`], also if the user was deleted and the access token is still valid.
    pub async fn me(&self, context: &Context) -> Result<Versioned<User>, UserError> {
        let id = context.principal()?.user_id;
        Users { identity: self.identity }.get(context, id).await.map_err(gone_is_unauthenticated)
    }

    /// Changes the caller's own name and address, as [`Users::edit`] does.
    pub async fn edit_me(
        &self,
        context: &Context,
        precondition: &Precondition,
        edit: impl Fn(&UserFields) -> Result<UserFields, Faults>,
    ) -> Result<Versioned<User>, UserError> {
        let id = context.principal()?.user_id;
        let users = Users { identity: self.identity };
        users.edit(context, id, precondition, edit).await.map_err(gone_is_unauthenticated)
    }
}

fn gone_is_unauthenticated(error: UserError) -> UserError {
    match error {
        UserError::Common(CommonError::Refused(Refused::NotFound)) => Refused::Unauthenticated.into(),
        other => other,
    }
}
