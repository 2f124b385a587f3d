use std::collections::BTreeSet;

use deserr::Deserr;
use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field, Index};
use switchyard_kernel::{BuiltInRole, Kernel, Permission, RoleName, line_type, rfc3339, text_value};
use utoipa::ToSchema;

use super::is_built_in;

/// A stored role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RoleRecord {
    pub(crate) name: RoleName,
    pub(crate) description: RoleDescription,
    /// The names of its permissions. The role `admin` permits everything whatever is stored here.
    pub(crate) permissions: BTreeSet<String>,
    /// The permissions that a built-in role was given because they are declared for it, whether or not an admin removed them
    /// since. `None` in roles that were stored before this was recorded.
    #[serde(default)]
    pub(crate) offered: Option<BTreeSet<String>>,
    /// The number of users with the role who are not deleted; kept only for roles that can be deleted. It is part of the
    /// role, so that giving the role to a user and deleting it cannot both succeed.
    pub(crate) members: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl Entity for RoleRecord {
    const COLLECTION: &'static Collection = &Collection::new("roles")
        .fields(&[Field::string("name"), Field::string("description"), Field::integer("members")])
        .indexes(&[Index::new("by_name").sort(&["name"]).shards(1).copying_documents()])
        .counters(&["members"]);

    fn id(&self) -> &str {
        self.name.as_str()
    }
}

/// The role whose users may do everything.
pub(crate) const ADMIN: &str = "admin";
/// The role of new users.
pub(crate) const CUSTOMER: &str = "customer";

impl RoleRecord {
    /// A built-in role that is stored for the first time.
    pub(crate) fn built_in(role: &BuiltInRole, permissions: BTreeSet<String>, now: Timestamp) -> Self {
        Self {
            name: RoleName::built_in(role.name),
            description: RoleDescription(role.description.to_owned()),
            offered: Some(permissions.clone()),
            permissions,
            members: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// Whether the stored role was given every permission that `role` declares.
    pub(crate) fn was_offered(&self, role: &BuiltInRole) -> bool {
        let Some(offered) = &self.offered else { return false };
        role.permissions.iter().all(|permission| offered.contains(permission.name()))
    }

    /// The part of the role that an admin can change.
    pub(crate) fn fields(&self, kernel: &Kernel) -> RoleFields {
        let is_admin = self.name.as_str() == ADMIN;
        let permits = |name: &str| is_admin || self.permissions.contains(name);
        let declared = kernel.permissions().filter(|permission| permits(permission.name()));
        RoleFields {
            description: self.description.clone(),
            permissions: declared.map(PermissionName::from).collect(),
        }
    }
}

/// The name of a permission, as in `users:read`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(transparent)]
#[schema(as = Permission, value_type = String)]
pub struct PermissionName(String);

/// The text is not the name of a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be the name of a permission, as in users:read")]
pub struct InvalidPermissionName;

impl TryFrom<String> for PermissionName {
    type Error = InvalidPermissionName;

    /// Accepts two words of `a`–`z` and `-` with a colon between them. Whether a permission of this name is declared is
    /// checked when a role is created or changed.
    fn try_from(text: String) -> Result<Self, InvalidPermissionName> {
        let is_word = |word: &str| {
            (1..=40).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        };
        let fits = text.split_once(':').is_some_and(|(resource, verb)| is_word(resource) && is_word(verb));
        if fits { Ok(Self(text)) } else { Err(InvalidPermissionName) }
    }
}

text_value!(PermissionName, InvalidPermissionName);

impl From<Permission> for PermissionName {
    fn from(permission: Permission) -> Self {
        Self(permission.name().to_owned())
    }
}

line_type! {
    /// The description of a role: at most 200 characters on one line. It may be empty.
    RoleDescription, 0..=200, example = "Answers letters."
}

#[expect(clippy::derivable_impls, reason = "the macro that declares the type derives the same for all")]
impl Default for RoleDescription {
    fn default() -> Self {
        Self(String::new())
    }
}

/// The part of a role that can be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserr, ToSchema)]
#[deserr(deny_unknown_fields)]
pub struct RoleFields {
    /// What it is for.
    #[deserr(default)]
    #[schema(required = false)]
    pub description: RoleDescription,
    /// What it permits.
    pub permissions: Vec<PermissionName>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// What it is for.
    pub description: RoleDescription,
    /// What it permits.
    pub permissions: Vec<PermissionName>,
    /// Whether it is built in. Built-in roles are never deleted.
    pub built_in: bool,
    /// When it was created.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl Role {
    pub(crate) fn of(record: &RoleRecord, kernel: &Kernel) -> Self {
        let RoleFields { description, permissions } = record.fields(kernel);
        Self {
            name: record.name.clone(),
            description,
            permissions,
            built_in: is_built_in(kernel, &record.name),
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}
