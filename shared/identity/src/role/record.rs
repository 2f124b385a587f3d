use deserr::Deserr;
use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field, Index};
use utoipa::ToSchema;

use crate::value::{has_controls, text_value};
use crate::{Permission, Permissions, RoleName, rfc3339};

/// A role as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RoleRecord {
    pub(crate) name: RoleName,
    pub(crate) description: RoleDescription,
    pub(crate) permissions: Permissions,
    /// How many users have the role who are not deleted; counted only for roles that can be deleted. It stands in the
    /// role itself so that giving a role to somebody and deleting it cannot both succeed.
    pub(crate) members: i64,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl Entity for RoleRecord {
    const COLLECTION: &'static Collection = &Collection::new("roles")
        .fields(&[Field::string("name"), Field::string("description"), Field::integer("members")])
        .indexes(&[Index::new("by_name").sort(&["name"]).shards(1)])
        .counters(&["members"]);

    fn id(&self) -> &str {
        self.name.as_str()
    }
}

/// The role whose holders may do everything.
pub(crate) const ADMIN: &str = "admin";
/// The role of new users.
pub(crate) const CUSTOMER: &str = "customer";

/// The roles that other domains rely on. They are never deleted; what they permit can be changed, except for `admin`.
const BUILT_IN: [(&str, &str, &[Permission]); 7] = [
    (CUSTOMER, "Buys things.", &[]),
    ("patient", "Sees doctors.", &[]),
    ("doctor", "Sees patients.", &[]),
    ("merchant", "Looks after the catalogue.", &[Permission::ProductsWrite]),
    ("fulfilment", "Packs and ships orders.", &[]),
    ("finance", "Looks after payments.", &[]),
    (ADMIN, "May do everything.", Permission::ALL),
];

/// Whether a role is one that is never deleted.
pub(crate) fn is_built_in(name: &RoleName) -> bool {
    BUILT_IN.iter().any(|(built_in, ..)| name.as_str() == *built_in)
}

/// The roles that there are from the beginning.
pub(crate) fn built_in_roles(now: Timestamp) -> Vec<RoleRecord> {
    let now = rfc3339::to_millisecond(now);
    BUILT_IN
        .iter()
        .map(|(name, description, permissions)| RoleRecord {
            name: RoleName::built_in(name),
            description: RoleDescription((*description).to_owned()),
            permissions: permissions.iter().copied().collect(),
            members: 0,
            created_at: now,
            updated_at: now,
        })
        .collect()
}

impl RoleRecord {
    /// What the role permits. `admin` permits everything, also what was added after its document was written.
    pub(crate) fn effective_permissions(&self) -> Permissions {
        if self.name.as_str() == ADMIN { Permissions::all() } else { self.permissions }
    }

    pub(crate) fn fields(&self) -> RoleFields {
        RoleFields {
            description: self.description.clone(),
            permissions: self.effective_permissions().iter().collect(),
        }
    }
}

/// What a role is for: at most 200 characters, no control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, max_length = 200, pattern = r"^[^\u0000-\u001F\u007F-\u009F]*$", example = "Answers letters.")]
pub struct RoleDescription(String);

/// The text cannot describe a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have at most 200 characters, none of them a control character")]
pub struct InvalidRoleDescription;

impl TryFrom<String> for RoleDescription {
    type Error = InvalidRoleDescription;

    fn try_from(text: String) -> Result<Self, InvalidRoleDescription> {
        let fits = text.chars().count() <= 200 && !has_controls(&text);
        if fits { Ok(Self(text)) } else { Err(InvalidRoleDescription) }
    }
}

text_value!(RoleDescription, InvalidRoleDescription);

/// What can be said about a role, and changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserr, ToSchema)]
#[deserr(deny_unknown_fields)]
pub struct RoleFields {
    /// What it is for.
    #[deserr(default)]
    #[schema(required = false)]
    pub description: RoleDescription,
    /// What it permits.
    pub permissions: Vec<Permission>,
}

/// A role.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Role {
    /// Its name.
    pub name: RoleName,
    /// What it is for.
    pub description: RoleDescription,
    /// What it permits.
    pub permissions: Vec<Permission>,
    /// Whether it is one of those that are never deleted.
    pub built_in: bool,
    /// When it was made.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl From<&RoleRecord> for Role {
    fn from(record: &RoleRecord) -> Self {
        let RoleFields { description, permissions } = record.fields();
        Self {
            name: record.name.clone(),
            description,
            permissions,
            built_in: is_built_in(&record.name),
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}
