use std::marker::PhantomData;
use std::sync::Arc;

use switchyard_ambient::Ambient;

use crate::entity::{Entity, Stored, key_of};
use crate::{
    Batch, Database, Error, Operation, Page, Query, Result, Scalar, Scan, Search, Transaction, UniqueKey,
    transaction,
};

/// A database with types and transactions on top: what programs use. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Db {
    backend: Arc<dyn Database>,
    ambient: Ambient,
}

impl Db {
    /// A handle on `backend`, which takes versions and time from `ambient`.
    pub fn new(backend: Arc<dyn Database>, ambient: Ambient) -> Self {
        Self { backend, ambient }
    }

    /// The database itself.
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

    /// Runs `closure` as a transaction: what it read through [`Transaction`] is still so when what it wrote is
    /// committed, all or nothing. When it is not, `closure` runs again, so it must have no other effects.
    ///
    /// # Errors
    ///
    /// What `closure` returns ends the transaction at once, nothing written. [`Error::Contended`] when it lost against
    /// other writers time after time; other errors as of [`Database::commit`].
    pub async fn transact<T, E, F, C>(&self, closure: C) -> Result<T, E>
    where
        E: From<Error>,
        F: Future<Output = Result<T, E>>,
        C: Fn(Transaction) -> F,
    {
        transaction::run(self, closure).await
    }

    /// Applies operations, all or nothing.
    pub async fn commit(&self, operations: Vec<Operation>) -> Result<Vec<crate::Version>> {
        self.backend.commit(&Batch::new(operations, &self.ambient)?).await
    }
}

/// A page of typed documents, and where the next one begins.
#[derive(Clone, Debug)]
pub struct TypedPage<T> {
    /// The documents, in order.
    pub items: Vec<Stored<T>>,
    /// What to pass to continue; `None` exactly when there is nothing more.
    pub next: Option<String>,
}

/// The documents of one collection, typed.
#[derive(Clone, Copy, Debug)]
pub struct Documents<'a, T> {
    db: &'a Db,
    entity: PhantomData<fn() -> T>,
}

impl<T: Entity> Documents<'_, T> {
    /// The document `id`.
    pub async fn get(&self, id: &str) -> Result<Option<Stored<T>>> {
        self.db.backend.get(&key_of::<T>(id)?).await?.map(Stored::new).transpose()
    }

    /// The documents `ids`, in that order, `None` where one is absent.
    pub async fn get_many(
        &self,
        ids: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Vec<Option<Stored<T>>>> {
        let keys = ids.into_iter().map(|id| key_of::<T>(id.as_ref())).collect::<Result<Vec<_>>>()?;
        let documents = self.db.backend.get_many(&keys).await?;
        documents.into_iter().map(|document| document.map(Stored::new).transpose()).collect()
    }

    /// The document that holds `value` as its unique `attribute`.
    pub async fn lookup(&self, attribute: &str, value: impl Into<Scalar>) -> Result<Option<Stored<T>>> {
        let unique = UniqueKey::new(T::COLLECTION, attribute, [value])?;
        self.db.backend.lookup(&unique).await?.map(Stored::new).transpose()
    }

    /// Stores a value that must not exist yet.
    pub async fn insert(&self, value: &T) -> Result<Stored<T>> {
        self.db.transact(|tx| async move { tx.insert(value) }).await
    }

    /// Stores `value` in the place of `previous`, which must still be what is stored.
    pub async fn replace(&self, previous: &Stored<T>, value: &T) -> Result<Stored<T>> {
        self.db.transact(|tx| async move { tx.replace(previous, value) }).await
    }

    /// Removes `previous`, which must still be what is stored.
    pub async fn delete(&self, previous: &Stored<T>) -> Result<()> {
        self.db.transact(|tx| async move { tx.delete(previous) }).await
    }

    /// Changes the document `id` by `change`, which runs again when another writer came first. `None`: it is absent.
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
