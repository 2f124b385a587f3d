//! Accounts, sessions and roles, with no HTTP in them.
//!
//! Everything is reached through [`Identity`]. Every operation takes the [`Context`](switchyard_kernel::Context): who asks,
//! from where and when. It checks itself whether that is permitted, and records what it did in the transaction that did it.
//!
//! ```
//! use std::sync::Arc;
//!
//! use switchyard_database::Db;
//! use switchyard_identity::{AccountError, Identity, IdentitySettings, Registration, RoleAuthority};
//! use switchyard_jobs::{NoAnnouncer, Outbox, Payloads};
//! use switchyard_kernel::{Actor, Authenticator, Kernel, KernelSettings, Manifests};
//!
//! async fn register(
//!     db: Db,
//!     manifests: Manifests,
//!     kernel_settings: KernelSettings,
//!     settings: IdentitySettings,
//! ) -> Result<(), Box<dyn std::error::Error>> {
//!     let authority = RoleAuthority::new(db.clone(), manifests);
//!     let kernel = Kernel::new(db.clone(), kernel_settings, manifests, Arc::new(authority.clone()));
//!     let outbox = Outbox::new(db.ambient().clone(), Payloads::unsealed(), Arc::new(NoAnnouncer));
//!     let identity = Identity::new(kernel, authority, settings, outbox);
//!     identity.install(db.ambient().now()).await?;
//!
//!     let context = identity.context("request-1");
//!     let registration = Registration {
//!         email: "ada@example.com".parse()?,
//!         password: "correct horse battery staple".parse()?,
//!         name: "Ada Lovelace".parse()?,
//!         device_name: None,
//!     };
//!     let signed_in = identity.accounts().register(&context, &registration).await?;
//!
//!     // The next request brings the access token.
//!     let access_token = signed_in.tokens.access_token.expose();
//!     let principal = identity.authenticate(access_token, context.now).await?;
//!     let context = identity.context("request-2").by(Actor::User(principal));
//!     let me = identity.accounts().me(&context).await?;
//!     assert_eq!(me.value.name.as_str(), "Ada Lovelace");
//!     Ok(())
//! }
//! ```
//!
//! # What is stored
//!
//! | collection | one document for each |
//! |---|---|
//! | `users` | user; found by address in any spelling, listed by creation |
//! | `credentials` | user with a password: its hash, apart from the user, so that no read of a user can leak it |
//! | `profiles` | user who has filled in a profile |
//! | `roles` | role, with what it permits |
//! | `role_memberships` | role of a user: an index cannot reach into a user's list of roles |
//! | `sessions` | session, with hashes of its refresh token |
//! | `sign_in_attempts` | account, known device, or address without an account (under a keyed hash) with guesses at a password |
//! | `token_keys` | the public keys of access tokens: one document, read by programs that only verify tokens |
//! | `user_counts` | part of the statistics, spread over 64; and the number of admins |
//!
//! A registration writes one document of each but `profiles`, `roles`, `sign_in_attempts` and `token_keys`, and an audit entry. No document
//! is shared by all registrations: the two that are shared at all, a part of the counts and the end of an audit chain, are
//! picked at random from 64.

mod account;
pub mod actions;
pub mod codes;
mod components;
mod error;
mod identity;
mod password;
pub mod permissions;
#[cfg(feature = "local-secrets")]
mod private_file;
mod role;
mod session;
mod settings;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod token;
mod user;
mod user_changes;
mod value;

pub use account::{Accounts, FirstAdminOutcome, LoginOutcome, LoginRequest, Registration};
pub use error::{AccountError, InstallError, RoleError, SessionError, UserError};
pub use identity::{Identity, MANIFEST};
pub use password::{InvalidPasswordHash, PasswordHash};
#[cfg(feature = "local-secrets")]
pub use private_file::create_private_file;
pub use role::{
    InvalidPermissionName, PermissionInfo, PermissionName, Role, RoleAuthority, RoleDescription, RoleFields,
    Roles,
};
pub use session::{Sessions, SignIn, Tokens};
pub use settings::{FirstAdmin, IdentitySettings};
pub use switchyard_kernel::{CountryCode, RoleName, SessionId, UserId};
pub use switchyard_settings::Secret;
pub use token::{Discovery, Jwk, Jwks, KeyError, SigningKeys};
#[cfg(feature = "local-secrets")]
pub use token::{LocalSecrets, LocalSecretsError};
pub use user::{
    ImportFault, Imported, InvalidRoleList, NewImportedUser, NewUser, PostalAddress, Profile, ProfileFields,
    RoleList, UnknownStatus, User, UserFields, UserFilter, UserStats, UserStatus, Users,
};
pub use value::{
    Bio, DateOfBirth, DeviceName, EmailAddress, InvalidEmail, InvalidLocaleTag, InvalidPassword,
    InvalidProfileValue, LocaleTag, Password, PersonName, PhoneNumber, PostalLine, TimeZoneName, WebAddress,
};
