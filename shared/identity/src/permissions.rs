//! The permissions of identity, and those of domains that are still to come.

use switchyard_kernel::{AUDIT_READ, Permission};

/// `users:read`.
pub const USERS_READ: Permission =
    Permission::new("users:read", "See all users, their profiles and roles, and the statistics.");
/// `users:write`.
pub const USERS_WRITE: Permission =
    Permission::new("users:write", "Create, change, disable, delete and restore users.");
/// `roles:read`.
pub const ROLES_READ: Permission = Permission::new("roles:read", "See the roles and what they permit.");
/// `roles:write`.
pub const ROLES_WRITE: Permission =
    Permission::new("roles:write", "Create, change and delete roles, give them to users and take them away.");
/// `products:write`, until the domain of products declares it.
pub const PRODUCTS_WRITE: Permission =
    Permission::new("products:write", "Create, change and delete products.");

/// All of them, in the order in which the API lists them. The kernel's `audit:read` has its place among them.
pub const ALL: &[Permission] =
    &[USERS_READ, USERS_WRITE, ROLES_READ, ROLES_WRITE, AUDIT_READ, PRODUCTS_WRITE];
