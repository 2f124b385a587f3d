//! The permissions of this domain.

use switchyard_kernel::Permission;

/// `books:read`.
pub const BOOKS_READ: Permission = Permission::new("books:read", "See the books of all users.");
/// `books:write`.
pub const BOOKS_WRITE: Permission =
    Permission::new("books:write", "Change and delete the books of all users.");

/// All of them.
pub const ALL: &[Permission] = &[BOOKS_READ, BOOKS_WRITE];
