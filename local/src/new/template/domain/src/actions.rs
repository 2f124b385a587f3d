//! The actions that this domain records in the audit log.

use switchyard_kernel::{Action, AuditEvent};

use crate::record::BookRecord;
use crate::service::resource;

/// A user created a book.
pub const BOOK_CREATED: Action = Action::new("book.created");
/// A book was changed.
pub const BOOK_CHANGED: Action = Action::new("book.changed");
/// A book was deleted.
pub const BOOK_DELETED: Action = Action::new("book.deleted");

/// All of them.
pub const ALL: &[Action] = &[BOOK_CREATED, BOOK_CHANGED, BOOK_DELETED];

/// An event that concerns a book. Its subject is the owner.
pub(crate) fn book_event(action: Action, book: &BookRecord) -> AuditEvent {
    AuditEvent::new(action).subject(book.owner_id).resource(resource(book.id))
}
