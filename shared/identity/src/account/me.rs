use super::Accounts;
use crate::user::Users;
use crate::{Context, EditError, Precondition, Refused, Tagged, User, UserError, UserFields};

impl Accounts<'_> {
    /// The caller's own account.
    ///
    /// # Errors
    ///
    /// [`Refused::Unauthenticated`] also for a user who was deleted while their access token is still good.
    pub async fn me(&self, context: &Context) -> Result<Tagged<User>, UserError> {
        let id = context.principal()?.user_id;
        Users(self.0).get(context, id).await.map_err(gone_is_unauthenticated)
    }

    /// Changes the caller's own name and address, as [`Users::edit`] does.
    pub async fn edit_me<E>(
        &self,
        context: &Context,
        precondition: Precondition<'_>,
        edit: impl Fn(&UserFields) -> Result<UserFields, E>,
    ) -> Result<Tagged<User>, EditError<UserError, E>> {
        let id = context.principal().map_err(UserError::Refused)?.user_id;
        Users(self.0).edit(context, id, precondition, edit).await.map_err(|error| match error {
            EditError::Service(error) => EditError::Service(gone_is_unauthenticated(error)),
            EditError::Edit(error) => EditError::Edit(error),
        })
    }
}

fn gone_is_unauthenticated(error: UserError) -> UserError {
    match error {
        UserError::Refused(Refused::NotFound) => UserError::Refused(Refused::Unauthenticated),
        other => other,
    }
}
