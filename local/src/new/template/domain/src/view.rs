use deserr::Deserr;
use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::Stored;
use switchyard_kernel::{EntityTag, UserId, Versioned, id_type, rfc3339};
use utoipa::ToSchema;

use crate::record::BookRecord;
use crate::{BookDescription, BookTitle};

id_type! {
    /// The id of a book: a UUID of version 7.
    BookId
}

/// A book, as the API shows it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Book {
    /// The book's id.
    pub id: BookId,
    /// The user who created it.
    pub owner_id: UserId,
    /// The title.
    pub title: BookTitle,
    /// The description.
    #[schema(required)]
    pub description: Option<BookDescription>,
    /// When it was created.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl Book {
    pub(crate) fn of(record: &BookRecord) -> Self {
        let BookFields { title, description } = record.fields.clone();
        Self {
            id: record.id,
            owner_id: record.owner_id,
            title,
            description,
            created_at: record.created_at,
            updated_at: record.updated_at,
        }
    }
}

/// The part of a book that its owner writes: what a POST and a PUT set, and a PATCH changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(deny_unknown_fields)]
pub struct BookFields {
    /// The title.
    pub title: BookTitle,
    /// The description. `null`, or left out, for none.
    #[deserr(default)]
    pub description: Option<BookDescription>,
}

/// A stored book, with the version as its tag.
pub(crate) fn versioned(book: &Stored<BookRecord>) -> Versioned<Book> {
    Versioned { value: Book::of(book), tag: EntityTag::new(book.version()) }
}
