//! Accounts, sessions, roles and the audit log, with no HTTP in them.
//!
//! Everything is reached through [`Identity`]. Every operation is told its [`Context`]: who asks, from where, when. It
//! decides itself whether that is permitted, and records what it did in the transaction that did it.
//!
//! ```
//! use switchyard_database::Db;
//! use switchyard_identity::{AccountError, Actor, Context, Identity, IdentitySettings, Registration};
//!
//! async fn register(db: Db, settings: IdentitySettings) -> Result<(), Box<dyn std::error::Error>> {
//!     let identity = Identity::new(db.clone(), settings);
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
//!     // What the next request brings is an access token.
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
//! | collection | a document for each |
//! |---|---|
//! | `users` | user; found by address without regard to case, listed by creation |
//! | `credentials` | user with a password: its hash, apart from the user so that no read of a user can leak it |
//! | `profiles` | user who has said something in theirs |
//! | `roles` | role, with what it permits |
//! | `role_memberships` | role of a user: an index cannot reach into a user's list of roles |
//! | `sessions` | session, with hashes of its refresh token |
//! | `sign_in_attempts` | address at which passwords are being guessed, known or not, under a keyed hash |
//! | `user_counts` | part of the statistics, spread over 64; and the number of admins |
//! | `audit_entries`, `audit_chains` | entry of the audit log; end of one of its 64 chains |
//!
//! A registration writes one document of each but `profiles`, `roles` and `sign_in_attempts`. Nothing in it is shared by
//! all registrations: the two documents that are shared at all, a part of the counts and the end of a chain, are drawn at
//! random from 64.

mod account;
mod audit;
mod context;
mod core;
mod error;
mod id;
mod identity;
mod page;
mod password;
mod permission;
mod precondition;
mod rfc3339;
mod role;
mod secret;
mod session;
mod settings;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod token;
mod user;
mod value;
mod work;

pub use account::{Accounts, FirstAdminOutcome, LoginOutcome, LoginRequest, Registration};
pub use audit::{
    Action, AuditBreak, AuditEntry, AuditEvent, AuditFilter, AuditLog, AuditVerification, BreakReason,
    CHAINS, Outcome,
};
pub use context::{Actor, Context, Principal, STEP_UP_WINDOW};
pub use error::{
    AccountError, AuditError, EditError, InstallError, Refused, RoleError, SessionError, TokenError,
    UserError,
};
pub use id::{ParseIdError, SessionId, UserId};
pub use identity::{COLLECTIONS, Identity};
pub use page::{Listed, PageRequest};
pub use password::{InvalidPasswordHash, PasswordHash};
pub use permission::{Permission, Permissions, UnknownPermission};
pub use precondition::{EntityTag, Precondition, Tagged};
pub use role::{InvalidRoleDescription, PermissionInfo, Role, RoleDescription, RoleFields, Roles};
pub use secret::{KeyRing, KeyRingError};
pub use session::{Sessions, SignIn, Tokens};
pub use settings::{FirstAdmin, IdentitySettings};
pub use switchyard_settings::Secret;
pub use token::{Jwk, Jwks, KeyError, SigningKeys};
#[cfg(feature = "local-secrets")]
pub use token::{LocalSecrets, LocalSecretsError};
pub use user::{
    ImportFault, Imported, InvalidRoleList, NewImportedUser, NewUser, PostalAddress, Profile, ProfileFields,
    RoleList, UnknownStatus, User, UserFields, UserFilter, UserStats, UserStatus, Users, is_searchable,
};
pub use value::{
    Bio, CountryCode, DateOfBirth, DeviceName, EmailAddress, InvalidDeviceName, InvalidEmail, InvalidName,
    InvalidPassword, InvalidProfileValue, InvalidRoleName, LocaleTag, Password, PersonName, PhoneNumber,
    PostalLine, RoleName, TimeZoneName, WebAddress,
};
