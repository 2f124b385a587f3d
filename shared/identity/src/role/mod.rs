//! Roles: documents with lists of permissions.

mod authority;
mod built_in;
mod membership;
mod record;
mod service;

pub use authority::RoleAuthority;
pub(crate) use built_in::{BUILT_IN, install_built_in_roles, is_built_in};
pub(crate) use membership::Membership;
pub(crate) use record::{ADMIN, CUSTOMER, RoleRecord};
pub use record::{InvalidPermissionName, PermissionName, Role, RoleDescription, RoleFields};
pub use service::{PermissionInfo, Roles};
