//! Books of users, with no HTTP in them.
//!
//! Everything is reached through [`Books`]. Every operation takes the [`Context`](switchyard_kernel::Context) of
//! the request, checks itself whether the caller may do it, and records what it did in the transaction that did
//! it.
//!
//! | collection | one document for each |
//! |---|---|
//! | `books` | book; listed by owner and by creation, searched by the words of its title |
//! | `book_counts` | user who has created a book: how many books they have |

pub mod actions;
pub mod codes;
mod count;
mod description;
mod error;
mod list;
pub mod permissions;
mod record;
mod service;
mod title;
mod view;

pub use description::{BookDescription, InvalidBookDescription};
pub use error::BookError;
pub use list::BookFilter;
pub use service::Books;
pub use title::BookTitle;
pub use view::{Book, BookFields, BookId};

use switchyard_database::{Collection, Entity as _};
use switchyard_kernel::Manifest;

use count::BookCount;
use record::BookRecord;

/// What this domain declares.
pub const MANIFEST: Manifest = Manifest::new("books")
    .collections(COLLECTIONS)
    .permissions(permissions::ALL)
    .codes(codes::ALL)
    .actions(actions::ALL);

const COLLECTIONS: &[&Collection] = &[BookRecord::COLLECTION, BookCount::COLLECTION];
