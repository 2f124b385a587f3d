use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field, Index};
use switchyard_kernel::UserId;

use crate::{BookFields, BookId};

/// A stored book.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BookRecord {
    pub(crate) id: BookId,
    /// The user who created it.
    pub(crate) owner_id: UserId,
    #[serde(flatten)]
    pub(crate) fields: BookFields,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
}

impl Entity for BookRecord {
    const COLLECTION: &'static Collection = &Collection::new("books")
        .fields(&[Field::string("owner_id"), Field::string("title"), Field::time("created_at")])
        .indexes(&[
            Index::new("by_owner").partition(&["owner_id"]).sort(&["created_at"]),
            Index::new("by_creation").sort(&["created_at"]),
        ])
        .search(&["title"]);

    fn id(&self) -> &str {
        self.id.as_str()
    }
}
