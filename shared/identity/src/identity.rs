use std::sync::Arc;

use switchyard_ambient::Timestamp;
use switchyard_database::{Cause, Collection, Db, Entity as _};

use crate::account::Credential;
use crate::audit::{AuditRecord, Chain, foreign_key};
use crate::core::Core;
use crate::password::Attempts;
use crate::role::{Membership, RoleRecord, built_in_roles};
use crate::session::SessionRecord;
use crate::user::{CensusShard, ProfileRecord, UserRecord};
use crate::{
    Accounts, AuditLog, Context, IdentitySettings, InstallError, Jwks, Principal, Roles, Sessions,
    TokenError, Users,
};

/// The collections of identity, to be declared with those of the rest of the program.
pub const COLLECTIONS: &[&Collection] = &[
    UserRecord::COLLECTION,
    Credential::COLLECTION,
    ProfileRecord::COLLECTION,
    RoleRecord::COLLECTION,
    Membership::COLLECTION,
    SessionRecord::COLLECTION,
    Attempts::COLLECTION,
    CensusShard::COLLECTION,
    AuditRecord::COLLECTION,
    Chain::COLLECTION,
];

/// Everything about identity, in one handle that costs nothing to clone.
#[derive(Clone, Debug)]
pub struct Identity(Arc<Core>);

impl Identity {
    /// Identity on a database. Does no I/O.
    pub fn new(db: Db, settings: IdentitySettings) -> Self {
        Self(Core::new(db, settings))
    }

    /// Makes the built-in roles that there are not yet. Idempotent: part of setting up or migrating a database, after its
    /// tables are there. Roles that were changed stay as they are.
    ///
    /// # Errors
    ///
    /// [`InstallError::OtherSecrets`], before anything is written, where the audit log has entries under a key that the
    /// settings lack: the secrets are those of another database.
    pub async fn install(&self, now: Timestamp) -> Result<(), InstallError> {
        if let Some(key_id) = foreign_key(&self.0.db, &self.0.settings.audit_key).await? {
            return Err(InstallError::OtherSecrets { key_id });
        }
        let roles = self.0.db.collection::<RoleRecord>();
        for role in built_in_roles(now) {
            if roles.get(role.id()).await?.is_some() {
                continue;
            }
            match roles.insert(&role).await {
                Err(error) if error.is_rejection_for(Cause::AlreadyExists) => {}
                result => drop(result?),
            }
        }
        Ok(())
    }

    /// Who sends an access token, and what they may do. Reads the database at most once in half a minute for each role.
    pub async fn authenticate(&self, access_token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        let claims = self.0.tokens.verify(access_token, now)?;
        let permissions = self.0.permissions_of(&claims.roles, now).await?;
        Ok(Principal {
            user_id: claims.user_id,
            session_id: claims.session_id,
            roles: claims.roles,
            permissions,
            auth_time: claims.auth_time,
        })
    }

    /// The public keys with which others can verify access tokens.
    pub fn jwks(&self) -> Jwks {
        self.0.settings.signing_keys.jwks()
    }

    /// The settings.
    pub fn settings(&self) -> &IdentitySettings {
        &self.0.settings
    }

    /// An anonymous context at the present time.
    pub fn context(&self, request_id: impl Into<String>) -> Context {
        Context::anonymous(request_id, self.0.db.ambient().now())
    }

    /// Registering, signing in, the password, the first admin.
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts(&self.0)
    }

    /// Refreshing and ending sessions.
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions(&self.0)
    }

    /// Users, their profiles and roles.
    pub fn users(&self) -> Users<'_> {
        Users(&self.0)
    }

    /// Roles and what they permit.
    pub fn roles(&self) -> Roles<'_> {
        Roles(&self.0)
    }

    /// The audit log.
    pub fn audit(&self) -> AuditLog<'_> {
        AuditLog(&self.0)
    }
}
