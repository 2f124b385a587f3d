//! Users: their accounts, states, roles and profiles.

mod admin_count;
mod change;
mod counts;
mod create;
mod import;
mod list;
mod profile;
mod profile_service;
mod record;
mod roles;
mod service;
mod stats;
mod status;
mod view;

pub(crate) use admin_count::AdminCount;
pub(crate) use change::is_email_taken;
pub(crate) use counts::{UserCounts, UserCountsPart};
pub use create::NewUser;
pub use import::{ImportFault, Imported, NewImportedUser};
pub use list::UserFilter;
pub(crate) use profile::ProfileRecord;
pub use profile::{PostalAddress, Profile, ProfileFields};
pub(crate) use record::UserRecord;
pub(crate) use roles::default_roles;
pub use roles::{InvalidRoleList, RoleList};
pub use service::Users;
pub use stats::UserStats;
pub use view::{UnknownStatus, User, UserFields, UserStatus};
