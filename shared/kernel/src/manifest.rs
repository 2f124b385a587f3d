use switchyard_database::Collection;

use crate::{Action, ErrorCode, Permission};

/// Everything that a crate declares for the programs it is part of.
///
/// Programs are put together from a list of manifests: tables, permissions, built-in roles and the API's document follow
/// from it, so that no central file has to know every domain.
///
/// ```
/// use switchyard_database::Collection;
/// use switchyard_kernel::{Manifest, Permission};
///
/// const NOTES: Collection = Collection::new("notes");
/// const NOTES_READ: Permission = Permission::new("notes:read", "Read the notes of all users.");
///
/// pub const MANIFEST: Manifest = Manifest::new("notes").collections(&[&NOTES]).permissions(&[NOTES_READ]);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Manifest {
    /// The name of the domain or service.
    pub name: &'static str,
    /// The collections it stores.
    pub collections: &'static [&'static Collection],
    /// The permissions it checks.
    pub permissions: &'static [Permission],
    /// The built-in roles it relies on.
    pub roles: &'static [BuiltInRole],
    /// The error codes it answers with.
    pub codes: &'static [ErrorCode],
    /// The actions it records in the audit log.
    pub actions: &'static [Action],
    /// The limits on requests of strangers that its operations are counted under.
    pub limits: &'static [AddressLimit],
}

/// A role that exists from the beginning and is never deleted.
#[derive(Clone, Copy, Debug)]
pub struct BuiltInRole {
    /// The name.
    pub name: &'static str,
    /// What it is for, in a sentence.
    pub description: &'static str,
    /// What it permits until an admin changes it. A permission that is added here later is given to the stored role once,
    /// when the database is upgraded.
    pub permissions: &'static [Permission],
}

/// A limit on the requests of one client address, for operations that are not only for signed-in users.
///
/// Its setting is `RATE_LIMIT_` and the name in upper case: `RATE_LIMIT_SHOP` for `shop`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressLimit {
    /// The name, of `a`–`z` and `_`.
    pub name: &'static str,
    /// How many requests are allowed in a window, unless the setting says otherwise.
    pub requests: u32,
    /// The length of a window in minutes.
    pub minutes: u32,
}

impl Manifest {
    /// A manifest that declares nothing yet.
    pub const fn new(name: &'static str) -> Self {
        Self { name, collections: &[], permissions: &[], roles: &[], codes: &[], actions: &[], limits: &[] }
    }

    /// Declares collections.
    #[must_use]
    pub const fn collections(mut self, collections: &'static [&'static Collection]) -> Self {
        self.collections = collections;
        self
    }

    /// Declares permissions.
    #[must_use]
    pub const fn permissions(mut self, permissions: &'static [Permission]) -> Self {
        self.permissions = permissions;
        self
    }

    /// Declares built-in roles.
    #[must_use]
    pub const fn roles(mut self, roles: &'static [BuiltInRole]) -> Self {
        self.roles = roles;
        self
    }

    /// Declares error codes.
    #[must_use]
    pub const fn codes(mut self, codes: &'static [ErrorCode]) -> Self {
        self.codes = codes;
        self
    }

    /// Declares actions of the audit log.
    #[must_use]
    pub const fn actions(mut self, actions: &'static [Action]) -> Self {
        self.actions = actions;
        self
    }

    /// Declares limits on requests of strangers.
    #[must_use]
    pub const fn limits(mut self, limits: &'static [AddressLimit]) -> Self {
        self.limits = limits;
        self
    }
}

/// A list of manifests.
pub type Manifests = &'static [&'static Manifest];
