use switchyard_ambient::Timestamp;
use switchyard_database::{Stored, Version};

use super::service::resource;
use super::{Profile, ProfileFields, ProfileRecord, UserRecord, Users};
use crate::audit::{Action, AuditEvent};
use crate::{Context, DateOfBirth, EditError, EntityTag, Precondition, Tagged, UserError, UserId, rfc3339};

impl Users<'_> {
    /// A user's profile; an empty one when nothing was ever said in it. For the user, and for who has `users:read`.
    pub async fn profile(&self, context: &Context, id: UserId) -> Result<Tagged<Profile>, UserError> {
        let user = self.require_visible(context, id).await?;
        let stored = self.0.db.collection::<ProfileRecord>().get(id.as_str()).await?;
        let tag = tag_of(stored.as_ref());
        Ok(Tagged { value: stored.map_or_else(|| empty(&user), Stored::into_value).into(), tag })
    }

    /// Changes a profile to what `edit` makes of it: a constant for a PUT, a patch applied for a PATCH. For the user, and
    /// for who has `users:write`.
    pub async fn edit_profile<E>(
        &self,
        context: &Context,
        id: UserId,
        precondition: Precondition<'_>,
        edit: impl Fn(&ProfileFields) -> Result<ProfileFields, E>,
    ) -> Result<Tagged<Profile>, EditError<UserError, E>> {
        let context = &self.require_write(context, id, true).await?;
        let edit = &edit;
        let result = self
            .0
            .transact(context, |work| async move {
                let user: Stored<UserRecord> =
                    self.subject::<EditError<UserError, E>>(&work, context, id, Precondition::NONE).await?;
                let stored = work.tx.get::<ProfileRecord>(id.as_str()).await?;
                if !precondition.holds(&tag_of(stored.as_ref())) {
                    return Err(UserError::PreconditionFailed.into());
                }
                let before =
                    stored.as_deref().map_or_else(ProfileFields::default, |record| record.fields.clone());
                let fields = edit(&before).map_err(EditError::Edit)?;
                if fields.date_of_birth.as_ref().is_some_and(|date| lies_ahead(date, context.now)) {
                    return Err(UserError::BornInFuture.into());
                }
                if fields == before {
                    let unchanged = stored.as_deref().cloned().unwrap_or_else(|| empty(&user));
                    return Ok((unchanged, tag_of(stored.as_ref())));
                }
                let updated_at = rfc3339::to_millisecond(context.now);
                let record = ProfileRecord { user_id: id, fields, updated_at };
                let written = match &stored {
                    Some(stored) => work.tx.replace(stored, &record)?,
                    None => work.tx.insert(&record)?,
                };
                work.record(AuditEvent::of_user(Action::PROFILE_CHANGED, id));
                Ok::<_, EditError<UserError, E>>((record, tag_of(Some(&written))))
            })
            .await;
        let (record, tag) = self.0.note(context, &resource(id), result).await?;
        Ok(Tagged { value: record.into(), tag })
    }
}

fn tag_of(stored: Option<&Stored<ProfileRecord>>) -> EntityTag {
    EntityTag(stored.map_or(Version::NONE, Stored::version).to_string())
}

fn empty(user: &UserRecord) -> ProfileRecord {
    ProfileRecord { user_id: user.id, fields: ProfileFields::default(), updated_at: user.created_at }
}

/// Whether it is not yet that day anywhere on earth.
fn lies_ahead(date: &DateOfBirth, now: Timestamp) -> bool {
    const EARLIEST_OFFSET: std::time::Duration = std::time::Duration::from_secs(14 * 60 * 60);
    date.as_str() > &(now + EARLIEST_OFFSET).to_string()[..10]
}
