use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use switchyard_kernel::{Context, Refused, UserId};

use super::{Accounts, Credential};
use crate::actions::{self, user_event};
use crate::password::{Attempts, Share};
use crate::user::UserRecord;
use crate::value::PreparedPassword;
use crate::{AccountError, Secret};

impl Accounts<'_> {
    /// Gives a user a random password, which they must change first, ends their sessions and unlocks them. For an operator;
    /// requires the system as the actor. Returns the password, which must be shown now since only its hash is stored.
    ///
    /// A disabled user stays disabled.
    pub async fn reset_password(&self, context: &Context, id: UserId) -> Result<Secret, AccountError> {
        context.require_system()?;
        let password = self.generate_password();
        let turn = self.identity.hasher.turn(Share::Known).await?;
        let hash = self.identity.hasher.hash(turn, &PreparedPassword::of(password.expose())).await?;
        let credential = &Credential::new(id, hash, context.now);
        self.identity
            .transact(context, |tx| async move {
                let user = tx.get::<UserRecord>(id.as_str()).await?;
                let user = user.filter(|user| !user.deleted).ok_or(Refused::NotFound)?;
                match tx.get::<Credential>(id.as_str()).await? {
                    Some(stored) => tx.replace(&stored, credential)?,
                    None => tx.insert(credential)?,
                };
                Attempts::forget(&tx, id.as_str(), context.now).await?;
                let changed = UserRecord {
                    password_set: true,
                    password_change_required: true,
                    sessions: user.sessions.all_ended(),
                    ..(*user).clone()
                };
                tx.replace_user(&user, &changed).await?;
                tx.record(user_event(actions::PASSWORD_RESET, id));
                Ok::<_, AccountError>(())
            })
            .await?;
        Ok(password)
    }

    /// A random password of 120 bits.
    pub(super) fn generate_password(&self) -> Secret {
        Secret::new(URL_SAFE_NO_PAD.encode(self.identity.kernel.ambient().bytes::<18>()))
    }
}
