use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::{Serialize, Serializer};

/// What a role can permit, as in `users:read`.
///
/// Each domain declares its own as constants and lists them in its [`Manifest`](crate::Manifest). A published name is never
/// changed.
///
/// ```
/// use switchyard_kernel::Permission;
///
/// pub const NOTES_READ: Permission = Permission::new("notes:read", "Read the notes of all users.");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Permission {
    name: &'static str,
    description: &'static str,
}

impl Permission {
    /// A permission: its name, and what it permits in a sentence.
    pub const fn new(name: &'static str, description: &'static str) -> Self {
        Self { name, description }
    }

    /// The name.
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// What it permits, in a sentence.
    pub const fn description(self) -> &'static str {
        self.description
    }
}

impl PartialEq for Permission {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Permission {}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// As its name.
impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

/// A set of permissions.
#[derive(Clone, PartialEq, Eq)]
pub struct Permissions(Set);

#[derive(Clone, PartialEq, Eq)]
enum Set {
    /// Every permission, including those that are declared later.
    Every,
    Named(BTreeSet<Cow<'static, str>>),
}

impl Permissions {
    /// The empty set.
    pub const NONE: Self = Self(Set::Named(BTreeSet::new()));
    /// Every permission, including those that are declared later.
    pub const EVERY: Self = Self(Set::Every);

    /// The permissions of these names.
    pub fn from_names(names: impl IntoIterator<Item = String>) -> Self {
        Self(Set::Named(names.into_iter().map(Cow::Owned).collect()))
    }

    /// Whether `permission` is in the set.
    pub fn contains(&self, permission: Permission) -> bool {
        match &self.0 {
            Set::Every => true,
            Set::Named(names) => names.contains(permission.name),
        }
    }

    /// Whether every permission of `other` is in the set.
    pub fn covers(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Set::Every, _) => true,
            (Set::Named(_), Set::Every) => false,
            (Set::Named(names), Set::Named(others)) => names.is_superset(others),
        }
    }

    /// The permissions that are in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Set::Named(mut names), Set::Named(others)) => {
                names.extend(others);
                Self(Set::Named(names))
            }
            _ => Self::EVERY,
        }
    }

    /// The permissions that are in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Set::Every, set) | (set, Set::Every) => Self(set),
            (Set::Named(mut names), Set::Named(others)) => {
                names.retain(|name| others.contains(name));
                Self(Set::Named(names))
            }
        }
    }
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(Set::Named(permissions.into_iter().map(|permission| Cow::Borrowed(permission.name)).collect()))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Set::Every => f.write_str("{every permission}"),
            Set::Named(names) => f.debug_set().entries(names).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: Permission = Permission::new("notes:read", "Read notes.");
    const WRITE: Permission = Permission::new("notes:write", "Write notes.");

    fn set(permissions: &[Permission]) -> Permissions {
        permissions.iter().copied().collect()
    }

    #[test]
    fn a_set_covers_its_parts_and_nothing_else() {
        let both = set(&[READ, WRITE]);
        assert!(both.covers(&set(&[READ])));
        assert!(both.covers(&Permissions::NONE));
        assert!(!set(&[READ]).covers(&both));
        assert!(Permissions::EVERY.covers(&both));
        assert!(!both.covers(&Permissions::EVERY), "a list never covers what is declared later");
    }

    #[test]
    fn a_union_holds_what_either_set_holds_and_an_intersection_what_both_do() {
        assert_eq!(set(&[READ]).union(set(&[WRITE])), set(&[WRITE, READ]));
        assert_eq!(set(&[READ]).union(Permissions::EVERY), Permissions::EVERY);
        assert_eq!(set(&[READ, WRITE]).intersection(set(&[READ])), set(&[READ]));
        assert_eq!(Permissions::EVERY.intersection(set(&[READ])), set(&[READ]));
        assert_eq!(set(&[READ]).intersection(Permissions::EVERY), set(&[READ]));
    }

    #[test]
    fn a_permission_is_found_by_its_name() {
        let stored = Permissions::from_names(["notes:read".to_owned()]);
        assert!(stored.contains(READ));
        assert!(!stored.contains(WRITE));
    }
}
