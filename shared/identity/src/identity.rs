use std::sync::Arc;

use async_trait::async_trait;
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity as _, Error as DatabaseError};
use switchyard_jobs::Outbox;
use switchyard_kernel::{
    Actor, Attack, AuthenticationError, Authenticator, Context, Kernel, Manifest, OtherSecret, Principal,
    ReplaceableSecret, ServiceCode, other_secret, record_secrets,
};

use crate::account::Credential;
use crate::components::Components;
use crate::password::Attempts;
use crate::role::{BUILT_IN, Membership, RoleAuthority, RoleRecord, install_built_in_roles};
use crate::session::SessionRecord;
use crate::token::PublishedKeys;
use crate::user::{ProfileRecord, UserCountsPart, UserRecord};
use crate::{
    Accounts, Discovery, IdentitySettings, InstallError, Jwks, Roles, Sessions, Users, actions, codes,
    permissions,
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
    PublishedKeys::COLLECTION,
];

/// The services of identity. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Identity(Arc<Components>);

impl Identity {
    /// Identity on a kernel. `authority` is the one that the kernel was created with. What is done later goes to `outbox`. Does no
    /// I/O.
    pub fn new(kernel: Kernel, authority: RoleAuthority, settings: IdentitySettings, outbox: Outbox) -> Self {
        Self(Components::new(kernel, authority, settings, outbox))
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
        if let Some(other) = record_secrets(self.0.db(), self.secrets(), now).await? {
            return Err(other.into());
        }
        self.0.tokens.keys.synchronize(self.0.db(), now).await?;
        let context = Context::anonymous("install", now).by(Actor::System);
        Ok(install_built_in_roles(&self.0.kernel, &context).await?)
    }

    /// Returns a secret that the database was used with and that the settings lack. One call of the database, which changes
    /// nothing.
    pub async fn other_secret(&self) -> Result<Option<OtherSecret>, DatabaseError> {
        other_secret(self.0.db(), self.secrets()).await
    }

    /// Does what a function does when it starts: [`other_secret`](Self::other_secret), and at the same time it reads the keys of
    /// access tokens and publishes its own.
    pub async fn begin(&self, now: Timestamp) -> Result<Option<OtherSecret>, DatabaseError> {
        let keys = self.0.tokens.keys.synchronize(self.0.db(), now);
        Ok(tokio::try_join!(self.other_secret(), keys)?.0)
    }

    /// Every secret that the program may have.
    pub fn secrets(&self) -> impl Iterator<Item = &dyn ReplaceableSecret> {
        self.0.settings.secrets().into_iter().chain(self.0.kernel.settings().secrets())
    }

    /// The public keys with which others can verify access tokens, as far as this program knows them.
    pub fn jwks(&self) -> Jwks {
        self.0.tokens.keys.jwks()
    }

    /// The public keys with which others can verify access tokens, also those that another program has just published.
    pub async fn latest_jwks(&self, now: Timestamp) -> Jwks {
        self.0.tokens.keys.latest_jwks(self.0.db(), now).await
    }

    /// How others can check access tokens. `None` if the API does not know its own URL.
    pub async fn discovery(&self, now: Timestamp) -> Option<Discovery> {
        let settings = self.settings();
        let jwks_uri = settings.known_url()?.join("/.well-known/jwks.json");
        Some(Discovery::new(&settings.token_issuer, jwks_uri, &self.latest_jwks(now).await))
    }

    /// The settings.
    pub fn settings(&self) -> &IdentitySettings {
        &self.0.settings
    }

    /// Where jobs are stored. It is the one for all domains of the program.
    pub fn outbox(&self) -> &Outbox {
        &self.0.outbox
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
        let claims = self.0.tokens.verify(self.0.db(), access_token, now).await?;
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

    fn code(&self, key_id: Option<&str>, message: &[u8]) -> Option<ServiceCode> {
        self.kernel().code(key_id, message)
    }
}
