use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field, Index};
use switchyard_kernel::{RoleName, UserId};

use super::CUSTOMER;
use crate::user::UserRecord;

/// That a user has a role: a document of its own, because an index cannot reach into the list of a user's roles, and the
/// one admin among a million users must be found without looking at the others.
///
/// For `customer` there is none: nearly all users have that role, so that the index would be all users again, with every
/// registration writing to one partition of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Membership {
    id: String,
    role: RoleName,
    pub(crate) user_id: UserId,
    /// When the user was made, by which users are listed.
    created_at: Timestamp,
}

impl Entity for Membership {
    const COLLECTION: &'static Collection = &Collection::new("role_memberships")
        .fields(&[Field::string("role").few_values(), Field::string("user_id"), Field::time("created_at")])
        .indexes(&[Index::new("by_role")
            .partition(&["role"])
            .sort(&["created_at"])
            .shards(4)
            .copying_documents()]);

    fn id(&self) -> &str {
        &self.id
    }
}

impl Membership {
    /// Whether there are documents of this role.
    pub(crate) fn is_kept(role: &RoleName) -> bool {
        role.as_str() != CUSTOMER
    }

    pub(crate) fn of(user: &UserRecord, role: &RoleName) -> Self {
        Self {
            id: Self::id_of(role, user.id),
            role: role.clone(),
            user_id: user.id,
            created_at: user.created_at,
        }
    }

    /// The user comes first: users made in one moment are then listed in the same order as without the filter.
    pub(crate) fn id_of(role: &RoleName, user: UserId) -> String {
        format!("{user}/{role}")
    }
}
