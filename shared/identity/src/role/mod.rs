//! Roles: documents with lists of permissions.

mod cache;
mod membership;
mod record;
mod service;

pub(crate) use cache::RoleCache;
pub(crate) use membership::Membership;
pub(crate) use record::{ADMIN, CUSTOMER, RoleRecord, built_in_roles, is_built_in};
pub use record::{InvalidRoleDescription, Role, RoleDescription, RoleFields};
pub use service::{PermissionInfo, Roles};
