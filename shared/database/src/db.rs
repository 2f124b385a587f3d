use std::marker::PhantomData;
use std::sync::Arc;

use switchyard_ambient::Ambient;

use crate::entity::{Entity, Stored, body_of, key_of};
use crate::{
    Addition, Batch, Consistency, Database, Error, Operation, Page, Query, Result, Scalar, Scan, Search,
    Transaction, UniqueKey, transaction,
};

/// A [`Database`] with types and transactions, which programs use. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    backend: Arc<dyn Database>,
    ambient: Ambient,
}

impl Db {
    /// Creates a handle to `backend` that uses the clock and the randomness of `ambient`.
    pub fn new(backend: Arc<dyn Database>, ambient: Ambient) -> Self {
        Self { backend, ambient }
    }

    /// The backend.
    pub fn backend(&self) -> &dyn Database {
        &*self.backend
    }

    /// The clock and the randomness that this handle uses.
    pub fn ambient(&self) -> &Ambient {
        &self.ambient
    }

    /// The documents of `T`'s collection.
    pub fn collection<T: Entity>(&self) -> Documents<'_, T> {
        Documents { db: self, entity: PhantomData }
    }

    /// Runs `closure` as a transaction. Its writes are committed atomically, and only if everything it read
    /// through [`Transaction`] is unchanged. Otherwise `closure` runs again, so it must have no other side
    /// effects.
    ///
    /// # Errors
    ///
    /// If `closure` returns an error, nothing is written, and the transaction fails with that error. If `closure` had
    /// read several documents, they are checked first, and it runs again if one has changed: an error never rests on a
    /// combination of documents that never existed. Three errors are not checked: one that follows a read that the
    /// database failed to answer, one after more than [`MAX_BATCH_ITEMS`](crate::limits::MAX_BATCH_ITEMS) documents,
    /// and one that rests on a [`lookup`](Transaction::lookup) that found nothing.
    ///
    /// Fails with [`Error::Contended`] if the transaction conflicted with other writers in every attempt, and with the
    /// errors of [`Database::commit`].
    pub async fn transact<T, E, F, C>(&self, closure: C) -> Result<T, E>
    where
        E: From<Error>,
        F: Future<Output = Result<T, E>>,
        C: Fn(Transaction) -> F,
    {
        transaction::run(self, closure).await
    }

    /// Applies operations atomically.
    pub async fn commit(&self, operations: Vec<Operation>) -> Result<Vec<crate::Version>> {
        self.backend.commit(&Batch::new(operations, &self.ambient)?).await
    }
}

/// A page of typed documents, and the cursor of the next page.
#[derive(Clone, Debug)]
pub struct TypedPage<T> {
    /// The documents, in order.
    pub items: Vec<Stored<T>>,
    /// The cursor to continue with; `None` exactly if there are no more documents.
    pub next: Option<String>,
}

/// The documents of one collection, typed.
#[derive(Clone, Copy, Debug)]
pub struct Documents<'a, T> {
    db: &'a Db,
    entity: PhantomData<fn() -> T>,
}

impl<T: Entity> Documents<'_, T> {
    /// Returns the document `id`, or `None` if it is absent.
    pub async fn get(&self, id: &str) -> Result<Option<Stored<T>>> {
        self.db.backend.get(&key_of::<T>(id)?).await?.map(Stored::new).transpose()
    }

    /// Returns the documents `ids`, in that order, with `None` for each one that is absent.
    pub async fn get_many(
        &self,
        ids: impl IntoIterator<Item = impl AsRef<str>>,
        consistency: Consistency,
    ) -> Result<Vec<Option<Stored<T>>>> {
        let keys = ids.into_iter().map(|id| key_of::<T>(id.as_ref())).collect::<Result<Vec<_>>>()?;
        let documents = self.db.backend.get_many(&keys, consistency).await?;
        documents.into_iter().map(|document| document.map(Stored::new).transpose()).collect()
    }

    /// Returns the document that holds `value` as its unique `attribute`.
    pub async fn lookup(&self, attribute: &str, value: impl Into<Scalar>) -> Result<Option<Stored<T>>> {
        let unique = UniqueKey::new(T::COLLECTION, attribute, [value])?;
        self.db.backend.lookup(&unique).await?.map(Stored::new).transpose()
    }

    /// Stores a new document. No document with its id may exist yet.
    pub async fn insert(&self, value: &T) -> Result<Stored<T>> {
        self.db.transact(|tx| async move { tx.insert(value) }).await
    }

    /// Adds the tally of `value` to that of the document with its id, or stores `value` if there is none. Returns the
    /// tally afterwards. One request to the database.
    ///
    /// # Errors
    ///
    /// Those of [`Database::add`] and of [`Addition::new`].
    pub async fn add(&self, value: &T) -> Result<i64> {
        let (key, body) = (key_of::<T>(value.id())?, body_of(value)?);
        let addition = Addition::new(key, body, value.expires_at(), &self.db.ambient)?;
        self.db.backend.add(&addition).await
    }

    /// Stores `value` instead of `previous`, which must still be the stored state.
    pub async fn replace(&self, previous: &Stored<T>, value: &T) -> Result<Stored<T>> {
        self.db.transact(|tx| async move { tx.replace(previous, value) }).await
    }

    /// Removes `previous`, which must still be the stored state.
    pub async fn delete(&self, previous: &Stored<T>) -> Result<()> {
        self.db.transact(|tx| async move { tx.delete(previous) }).await
    }

    /// Changes the document `id` with `change`, which runs again if another writer was faster. Returns `None` if
    /// the document is absent.
    pub async fn update(&self, id: &str, change: impl Fn(&mut T)) -> Result<Option<Stored<T>>> {
        let change = &change;
        self.db
            .transact(|tx| async move {
                let Some(stored) = tx.get::<T>(id).await? else { return Ok(None) };
                let mut value = (*stored).clone();
                change(&mut value);
                tx.replace(&stored, &value).map(Some)
            })
            .await
    }

    /// Lists documents along an index.
    pub async fn query(&self, query: &Query) -> Result<TypedPage<T>> {
        typed(self.db.backend.query(query).await?)
    }

    /// Finds documents by their words.
    pub async fn search(&self, search: &Search) -> Result<TypedPage<T>> {
        typed(self.db.backend.search(search).await?)
    }

    /// Reads the whole collection, page by page.
    pub async fn scan(&self, scan: &Scan) -> Result<TypedPage<T>> {
        typed(self.db.backend.scan(scan).await?)
    }
}

fn typed<T: Entity>(page: Page) -> Result<TypedPage<T>> {
    let items = page.documents.into_iter().map(Stored::new).collect::<Result<_>>()?;
    Ok(TypedPage { items, next: page.next })
}
