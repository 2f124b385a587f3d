use serde::{Deserialize, Serialize};
use switchyard_database::{Collection, Entity, Error, Transaction};
use switchyard_kernel::UserId;

/// How many books a user has. Every transaction that creates or deletes a book of the user reads and writes this
/// document, so two of them cannot both take the last free place.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BookCount {
    owner_id: UserId,
    books: i64,
}

impl Entity for BookCount {
    const COLLECTION: &'static Collection = &Collection::new("book_counts");

    fn id(&self) -> &str {
        self.owner_id.as_str()
    }
}

impl BookCount {
    /// Counts a new book. Returns `false`, and changes nothing, if the user already has `limit` books.
    pub(crate) async fn add(tx: &Transaction, owner_id: UserId, limit: u32) -> Result<bool, Error> {
        Self::change(tx, owner_id, 1, i64::from(limit)).await
    }

    /// Removes a deleted book from the count.
    pub(crate) async fn remove(tx: &Transaction, owner_id: UserId) -> Result<(), Error> {
        Self::change(tx, owner_id, -1, i64::MAX).await.map(|_| ())
    }

    async fn change(tx: &Transaction, owner_id: UserId, by: i64, limit: i64) -> Result<bool, Error> {
        let stored = tx.get::<Self>(owner_id.as_str()).await?;
        let books = stored.as_ref().map_or(0, |count| count.books) + by;
        if books > limit {
            return Ok(false);
        }
        let count = Self { owner_id, books };
        match &stored {
            Some(stored) => tx.replace(stored, &count)?,
            None => tx.insert(&count)?,
        };
        Ok(true)
    }
}
