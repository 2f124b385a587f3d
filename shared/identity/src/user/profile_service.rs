use crate::actions::{self, user_event};
use switchyard_ambient::Timestamp;
use switchyard_database::{Stored, Version};
use switchyard_kernel::{Context, EntityTag, Faults, Precondition, UserId, Versioned, rfc3339};

use super::{Profile, ProfileFields, ProfileRecord, UserRecord, Users};
use crate::{DateOfBirth, UserError};

impl Users<'_> {
    /// A user's profile, which is empty until it is first set. Requires the user themselves, or `users:read`.
    pub async fn profile(&self, context: &Context, id: UserId) -> Result<Versioned<Profile>, UserError> {
        let user = self.require_visible(context, id).await?;
        let stored = self.identity.db().collection::<ProfileRecord>().get(id.as_str()).await?;
        let tag = tag_of(stored.as_ref());
        Ok(Versioned { value: stored.map_or_else(|| empty(&user), Stored::into_value).into(), tag })
    }

    /// Changes a profile to what `edit` returns: a constant for a PUT, a patch applied for a PATCH. Requires
    /// the user themselves, or `users:write` and every permission that the user has.
    pub async fn edit_profile(
        &self,
        context: &Context,
        id: UserId,
        precondition: &Precondition,
        edit: impl Fn(&ProfileFields) -> Result<ProfileFields, Faults>,
    ) -> Result<Versioned<Profile>, UserError> {
        let context = &self.require_write(context, id, true).await?;
        let edit = &edit;
        let (record, tag) = self
            .identity
            .transact(context, |tx| async move {
                let user = self.load_for_change(&tx, context, id, &Precondition::None).await?;
                let stored = tx.get::<ProfileRecord>(id.as_str()).await?;
                precondition.check(&tag_of(stored.as_ref()))?;
                let before =
                    stored.as_deref().map_or_else(ProfileFields::default, |record| record.fields.clone());
                let fields = edit(&before)?;
                if fields.date_of_birth.as_ref().is_some_and(|date| lies_ahead(date, context.now)) {
                    return Err(UserError::BornInFuture);
                }
                if fields == before {
                    let unchanged = stored.as_deref().cloned().unwrap_or_else(|| empty(&user));
                    return Ok((unchanged, tag_of(stored.as_ref())));
                }
                let updated_at = rfc3339::to_millisecond(context.now);
                let record = ProfileRecord { user_id: id, fields, updated_at };
                let written = match &stored {
                    Some(stored) => tx.replace(stored, &record)?,
                    None => tx.insert(&record)?,
                };
                tx.record(user_event(actions::PROFILE_CHANGED, id));
                Ok::<_, UserError>((record, tag_of(Some(&written))))
            })
            .await?;
        Ok(Versioned { value: record.into(), tag })
    }
}

fn tag_of(stored: Option<&Stored<ProfileRecord>>) -> EntityTag {
    EntityTag::new(stored.map_or(Version::NONE, Stored::version))
}

fn empty(user: &UserRecord) -> ProfileRecord {
    ProfileRecord { user_id: user.id, fields: ProfileFields::default(), updated_at: user.created_at }
}

/// Whether this day has not begun anywhere on Earth.
fn lies_ahead(date: &DateOfBirth, now: Timestamp) -> bool {
    const EARLIEST_OFFSET: std::time::Duration = std::time::Duration::from_secs(14 * 60 * 60);
    date.as_str() > &(now + EARLIEST_OFFSET).to_string()[..10]
}
