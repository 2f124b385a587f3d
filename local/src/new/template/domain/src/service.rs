use switchyard_database::Stored;
use switchyard_kernel::{
    AuditedTransaction, Context, EntityTag, Faults, Kernel, Precondition, Refused, UserId, Versioned, rfc3339,
};

use crate::actions::{self, book_event};
use crate::count::BookCount;
use crate::permissions::{BOOKS_READ, BOOKS_WRITE};
use crate::record::BookRecord;
use crate::view::versioned;
use crate::{Book, BookError, BookFields, BookId};

/// Books. Cheap to clone.
///
/// Users see and change their own books. The permissions [`BOOKS_READ`] and [`BOOKS_WRITE`] extend that to the
/// books of all users. For everyone else, a book of another user does not exist.
#[derive(Clone, Debug)]
pub struct Books {
    pub(crate) kernel: Kernel,
    limit: u32,
}

impl Books {
    /// How many books a user may have.
    pub const LIMIT: u32 = 1000;

    /// The books on a kernel. Does no I/O.
    pub fn new(kernel: Kernel) -> Self {
        Self { kernel, limit: Self::LIMIT }
    }

    /// Sets how many books a user may have.
    #[must_use]
    pub fn with_limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Creates a book of the caller. Requires a session that has not ended.
    ///
    /// # Errors
    ///
    /// [`BookError::LimitReached`] if the user has as many books as a user may have.
    pub async fn create(&self, context: &Context, fields: &BookFields) -> Result<Versioned<Book>, BookError> {
        if let Some(effect) = context.earlier_effect() {
            return self.get(context, effect.resource_id().ok_or(Refused::NotFound)?).await;
        }
        let owner_id = context.principal()?.user_id;
        let now = rfc3339::to_millisecond(context.now);
        let record = &BookRecord {
            id: self.kernel.ambient().uuid_v7().into(),
            owner_id,
            fields: fields.clone(),
            created_at: now,
            updated_at: now,
        };
        let created = self
            .kernel
            .transact(context, |tx| async move {
                self.kernel.require_live_session(&tx, context).await?;
                if !BookCount::add(&tx, owner_id, self.limit).await? {
                    return Err(BookError::LimitReached);
                }
                tx.record(book_event(actions::BOOK_CREATED, record));
                Ok(tx.insert(record)?)
            })
            .await?;
        Ok(versioned(&created))
    }

    /// A book. Requires its owner, or `books:read`.
    pub async fn get(&self, context: &Context, id: BookId) -> Result<Versioned<Book>, BookError> {
        let stored = self.kernel.db().collection::<BookRecord>().get(id.as_str()).await?;
        let book = stored.ok_or(Refused::NotFound)?;
        self.kernel.require_owner_or(context, book.owner_id, BOOKS_READ, &resource(id)).await?;
        Ok(versioned(&book))
    }

    /// Changes a book to what `edit` returns: a constant for a PUT, a patch applied for a PATCH. Requires its
    /// owner, or `books:write`. A change that changes nothing writes nothing.
    pub async fn edit(
        &self,
        context: &Context,
        id: BookId,
        precondition: &Precondition,
        edit: impl Fn(&BookFields) -> Result<BookFields, Faults>,
    ) -> Result<Versioned<Book>, BookError> {
        let edit = &edit;
        let changed = self
            .kernel
            .transact(context, |tx| async move {
                let book = self.load_for_change(&tx, context, id, precondition).await?;
                let fields = edit(&book.fields)?;
                if fields == book.fields {
                    return Ok(book);
                }
                let updated_at = rfc3339::to_millisecond(context.now);
                let record = BookRecord { fields, updated_at, ..(*book).clone() };
                tx.record(book_event(actions::BOOK_CHANGED, &record));
                Ok::<_, BookError>(tx.replace(&book, &record)?)
            })
            .await?;
        Ok(versioned(&changed))
    }

    /// Deletes a book. Requires its owner, or `books:write`.
    pub async fn delete(
        &self,
        context: &Context,
        id: BookId,
        precondition: &Precondition,
    ) -> Result<(), BookError> {
        self.kernel
            .transact(context, |tx| async move {
                let book = self.load_for_change(&tx, context, id, precondition).await?;
                BookCount::remove(&tx, book.owner_id).await?;
                tx.record(book_event(actions::BOOK_DELETED, &book));
                Ok(tx.delete(&book)?)
            })
            .await
    }

    /// Loads a book for a change. Requires that the actor may change it, and that it is in the state that the
    /// change applies to.
    async fn load_for_change(
        &self,
        tx: &AuditedTransaction,
        context: &Context,
        id: BookId,
        precondition: &Precondition,
    ) -> Result<Stored<BookRecord>, BookError> {
        let book = tx.get::<BookRecord>(id.as_str()).await?.ok_or(Refused::NotFound)?;
        self.require_write(tx, context, book.owner_id, id).await?;
        precondition.check(&EntityTag::new(book.version()))?;
        Ok(book)
    }

    /// Requires the owner, or `books:write` now and not only when the access token was issued, in a session that
    /// has not ended. Denies access otherwise; someone who may not see the book does not learn that it exists.
    async fn require_write(
        &self,
        tx: &AuditedTransaction,
        context: &Context,
        owner_id: UserId,
        id: BookId,
    ) -> Result<(), BookError> {
        let context = self.kernel.with_current_permissions(context).await?;
        if context.is_user(owner_id) {
            return Ok(());
        }
        Ok(tx.check(context.require_write(BOOKS_WRITE, BOOKS_READ), resource(id))?)
    }
}

/// The name of a book in the audit log.
pub(crate) fn resource(id: BookId) -> String {
    format!("books/{id}")
}
