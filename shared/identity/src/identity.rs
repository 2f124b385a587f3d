use std::sync::Arc;

use async_trait::async_trait;
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity as _, Error as DatabaseError};
use switchyard_kernel::{
    Actor, Attack, AuthenticationError, Authenticator, Context, HeldSecret, Kernel, Manifest, OtherSecret,
    Principal, other_secret, record_secrets,
};

use crate::account::Credential;
use crate::components::Components;
use crate::password::Attempts;
use crate::role::{BUILT_IN, Membership, RoleAuthority, RoleRecord, install_built_in_roles};
use crate::session::SessionRecord;
use crate::user::{ProfileRecord, UserCountsPart, UserRecord};
use crate::{
    Accounts, IdentitySettings, InstallError, Jwks, Roles, Sessions, Users, actions, codes, permissions,
};

/// The declarations of identity.
pub const MANIFEST: Manifest = Manifest::new("identity")
    .collections(COLLECTIONS)
    .permissions(permissions::ALL)
    .roles(BUILT_IN)
    .codes(codes::ALL)
    .actions(actions::ALL);

const COLLECTIONS: &[&Collection] = &[
    UserRecord::COLLECTION,
    Credential::COLLECTION,
    ProfileRecord::COLLECTION,
    RoleRecord::COLLECTION,
    Membership::COLLECTION,
    SessionRecord::COLLECTION,
    Attempts::COLLECTION,
    UserCountsPart::COLLECTION,
];

/// The services of identity. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity(Arc<Components>);

impl Identity {
    /// Identity on a kernel. `authority` is the one that the kernel was created with. Does no I/O.
    pub fn new(kernel: Kernel, authority: RoleAuthority, settings: IdentitySettings) -> Self {
        Self(Components::new(kernel, authority, settings))
    }

    /// Creates the built-in roles that are missing, and gives the others the permissions that were declared for
    /// them since they were stored. Idempotent. Call it when a database is set up or upgraded, after its tables
    /// are migrated. What an admin changed stays as it is.
    ///
    /// # Errors
    ///
    /// [`InstallError::OtherSecret`], before anything is written, if the database was used with a key that the
    /// settings lack: the secrets are those of another database.
    pub async fn install(&self, now: Timestamp) -> Result<(), InstallError> {
        if let Some(key_id) = self.0.kernel.unknown_audit_key().await? {
            return Err(InstallError::OtherSecret { setting: "AUDIT_KEY", key_id });
        }
        if let Some(other) = record_secrets(self.0.db(), &self.held_secrets(), now).await? {
            return Err(other.into());
        }
        let context = Context::anonymous("install", now).by(Actor::System);
        Ok(install_built_in_roles(&self.0.kernel, &context).await?)
    }

    /// Returns a secret that the database was used with and that the settings lack. One call of the database, which changes
    /// nothing.
    pub async fn other_secret(&self) -> Result<Option<OtherSecret>, DatabaseError> {
        other_secret(self.0.db(), &self.held_secrets()).await
    }

    fn held_secrets(&self) -> Vec<HeldSecret> {
        let of_kernel = self.0.kernel.settings().held_secret();
        self.0.settings.held_secrets().into_iter().chain([of_kernel]).collect()
    }

    /// The public keys with which others can verify access tokens.
    pub fn jwks(&self) -> Jwks {
        self.0.settings.signing_keys.jwks()
    }

    /// The settings.
    pub fn settings(&self) -> &IdentitySettings {
        &self.0.settings
    }

    /// The kernel.
    pub fn kernel(&self) -> &Kernel {
        &self.0.kernel
    }

    /// An anonymous context at the current time.
    pub fn context(&self, request_id: impl Into<String>) -> Context {
        self.0.kernel.context(request_id)
    }

    /// Registration, sign-in, passwords, the first admin.
    pub fn accounts(&self) -> Accounts<'_> {
        Accounts { identity: &self.0 }
    }

    /// Refreshing and ending sessions.
    pub fn sessions(&self) -> Sessions<'_> {
        Sessions { identity: &self.0 }
    }

    /// Users, their profiles and roles.
    pub fn users(&self) -> Users<'_> {
        Users { identity: &self.0 }
    }

    /// Roles and what they permit.
    pub fn roles(&self) -> Roles<'_> {
        Roles { identity: &self.0 }
    }
}

/// Verifies the access tokens that identity issues. Reads the database at most once in 30 seconds for each role.
#[async_trait]
impl Authenticator for Identity {
    async fn authenticate(
        &self,
        access_token: &str,
        now: Timestamp,
    ) -> Result<Principal, AuthenticationError> {
        let claims = self.0.tokens.verify(access_token, now)?;
        let permissions = self.0.authority.permissions_of(&claims.roles, now).await?;
        Ok(Principal {
            user_id: claims.user_id,
            session_id: claims.session_id,
            session_epoch: claims.session_epoch,
            roles: claims.roles,
            permissions,
            auth_time: claims.auth_time,
            password_change_required: claims.password_change_required,
        })
    }

    async fn note(&self, context: &Context, attack: &Attack) {
        self.kernel().note(context, &attack.event()).await;
    }
}
