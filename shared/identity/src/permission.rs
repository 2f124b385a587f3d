//! What a role can permit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::value::read_with_deserr;

macro_rules! permissions {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $description:literal;)+) => {
        /// What a role can permit: the single list of all permissions. A name is never changed; a new permission gets
        /// a new line at the end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ToSchema)]
        pub enum Permission {
            $(#[doc = concat!("`", $name, "`: ", $description)] $(#[$doc])* #[schema(rename = $name)] $variant,)+
        }

        impl Permission {
            /// Every permission there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name, as in `users:read`.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it permits, in a sentence.
            pub const fn description(self) -> &'static str {
                match self { $(Self::$variant => $description,)+ }
            }
        }
    };
}

permissions! {
    UsersRead = "users:read" "See all users, their profiles and roles, and the statistics.";
    UsersWrite = "users:write" "Create, change, disable, delete and restore users.";
    RolesRead = "roles:read" "See the roles and what they permit.";
    RolesWrite = "roles:write" "Create, change and delete roles, give them to users and take them away.";
    AuditRead = "audit:read" "Read the audit log and verify it.";
    ProductsWrite = "products:write" "Create, change and delete products.";
}

/// No permission has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the name of a permission, as in users:read")]
pub struct UnknownPermission;

impl FromStr for Permission {
    type Err = UnknownPermission;

    fn from_str(name: &str) -> Result<Self, UnknownPermission> {
        Self::ALL.iter().copied().find(|permission| permission.as_str() == name).ok_or(UnknownPermission)
    }
}

impl TryFrom<String> for Permission {
    type Error = UnknownPermission;

    fn try_from(name: String) -> Result<Self, UnknownPermission> {
        name.parse()
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Permission {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

read_with_deserr!(Permission);

/// A set of permissions; a copy costs nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Permissions(u64);

const _: () = assert!(Permission::ALL.len() <= 64, "the set is a u64");

impl Permissions {
    /// No permission.
    pub const NONE: Self = Self(0);

    /// Every permission there is.
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    /// Whether `permission` is in the set.
    pub fn contains(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }

    /// Whether the set holds every permission of `other`.
    pub fn covers(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// What is in one of the sets.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The permissions, in the order of their declaration.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }

    /// The permissions of these names; a name that is none (any more) permits nothing.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().filter_map(|name| name.parse::<Permission>().ok()).collect()
    }
}

const fn bit(permission: Permission) -> u64 {
    1 << permission as u64
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |set, permission| set | bit(permission)))
    }
}

impl fmt::Debug for Permissions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::as_str)).finish()
    }
}

/// As a list of names.
impl Serialize for Permissions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// A stored name that is no permission any more permits nothing.
impl<'de> Deserialize<'de> for Permissions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        Ok(Self::from_names(names.iter().map(String::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_covers_its_parts_and_nothing_else() {
        let users = Permissions::from_iter([Permission::UsersRead, Permission::UsersWrite]);
        assert!(users.covers(Permissions::from_iter([Permission::UsersRead])));
        assert!(users.covers(Permissions::NONE));
        assert!(!users.covers(Permissions::from_iter([Permission::UsersRead, Permission::AuditRead])));
        assert!(Permissions::all().covers(users));
    }

    #[test]
    fn a_set_is_written_as_names_and_forgotten_names_are_left_out() {
        let read: Permissions =
            serde_json::from_str(r#"["users:write", "moon:land", "users:read"]"#).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), r#"["users:read","users:write"]"#);
    }

    #[test]
    fn names_are_found_and_are_distinct() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(*permission));
        }
        assert_eq!("users:rule".parse::<Permission>(), Err(UnknownPermission));
    }
}
