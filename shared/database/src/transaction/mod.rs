//! Transactions: the handle through which a closure reads and writes ([`Transaction`]), the record of its reads
//! and writes, and their commit or retry.

mod run;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::document::canonicalize;
use crate::entity::{Entity, Stored, body_of, key_of};
use crate::{Cause, Db, Document, Error, Key, Result, Scalar, UniqueKey, Version};

use state::{State, Write, rejected};

pub(crate) use run::run;

/// The handle through which a transaction's closure reads and writes. Nothing is written before the closure has
/// returned.
#[derive(Clone, Debug)]
pub struct Transaction {
    db: Db,
    state: Arc<Mutex<State>>,
    /// Whether the closure runs for the first time.
    is_first_run: bool,
}

impl Transaction {
    /// Returns the document `id`, including this transaction's own writes.
    pub async fn get<T: Entity>(&self, id: &str) -> Result<Option<Stored<T>>> {
        let key = key_of::<T>(id)?;
        let known = self.state().known(&key)?;
        let document = match known {
            Some(document) => document,
            None => {
                let document = self.answered(self.db.backend().get(&key).await)?;
                self.state().reads.insert(key, document.clone());
                document
            }
        };
        document.map(Stored::new).transpose()
    }

    /// Takes `stored`, which the caller has read before the transaction, as read by it: the database is not asked again.
    /// The commit checks that the document is unchanged. If it is not, the closure runs again, and then this does nothing,
    /// so that the document is read.
    pub fn assume<T: Entity>(&self, stored: &Stored<T>) {
        if self.is_first_run {
            let document = stored.document();
            self.state().reads.entry(document.key.clone()).or_insert_with(|| Some(document.clone()));
        }
    }

    /// Returns the document that holds `value` as its unique `attribute`, including this transaction's own writes.
    ///
    /// If a document is found, the commit checks that it is unchanged. If none is found, the commit does not check
    /// that there is still none, unless the transaction writes a document that claims the value.
    pub async fn lookup<T: Entity>(
        &self,
        attribute: &str,
        value: impl Into<Scalar>,
    ) -> Result<Option<Stored<T>>> {
        let unique = UniqueKey::new(T::COLLECTION, attribute, [value])?;
        let written = self.state().written_holder(&unique);
        if written.is_some() {
            return written.map(Stored::new).transpose();
        }
        self.state().lookups.insert(unique.clone());
        let found = self.answered(self.db.backend().lookup(&unique).await)?;
        let Some(found) = found else { return Ok(None) };
        let known = self.state().known(&found.key)?;
        let document = match known {
            // The transaction may have removed the value from the document, or read it before it had the value.
            Some(document) => document.filter(|document| unique.is_held_by(document)),
            None => {
                self.state().reads.insert(found.key.clone(), Some(found.clone()));
                Some(found)
            }
        };
        document.map(Stored::new).transpose()
    }

    /// Stores a new document. No document with its id may exist yet. The returned document is stored once the
    /// transaction has committed.
    pub fn insert<T: Entity>(&self, value: &T) -> Result<Stored<T>> {
        let after = self.document_of(value)?;
        let mut state = self.state();
        let before = match state.take_write(&after.key) {
            None => match state.reads.get(&after.key) {
                Some(Some(_)) => return Err(rejected(&after.key, Cause::AlreadyExists)),
                Some(None) | None => None,
            },
            Some(Write::Delete { before }) => Some(before),
            Some(write) => {
                state.writes.push(write);
                return Err(rejected(&after.key, Cause::AlreadyExists));
            }
        };
        state.writes.push(Write::Put { before, after: after.clone() });
        Ok(Stored::written(value.clone(), after))
    }

    /// Stores `value` instead of `previous`, which must still be the stored state. The returned document is stored
    /// once the transaction has committed.
    pub fn replace<T: Entity>(&self, previous: &Stored<T>, value: &T) -> Result<Stored<T>> {
        let after = self.document_of(value)?;
        if after.key != previous.document().key {
            return Err(Error::Invalid(format!(
                "{} cannot be replaced by {}",
                previous.document().key,
                after.key
            )));
        }
        let mut state = self.state();
        let before = state.before_of(previous.document())?;
        state.writes.push(Write::Put { before, after: after.clone() });
        Ok(Stored::written(value.clone(), after))
    }

    /// Removes `previous`, which must still be the stored state.
    pub fn delete<T: Entity>(&self, previous: &Stored<T>) -> Result<()> {
        let mut state = self.state();
        if let Some(before) = state.before_of(previous.document())? {
            state.writes.push(Write::Delete { before });
        }
        Ok(())
    }

    /// Adds `by` to the counter `field` of the document `id`, which must exist.
    pub fn increment<T: Entity>(&self, id: &str, field: &'static str, by: i64) -> Increment<'_> {
        Increment { transaction: self, key: key_of::<T>(id), field, by, at_least: None }
    }

    /// Runs `effect` once the transaction has committed, before [`Db::transact`] returns. It also runs if the outcome of the
    /// commit is unknown, and is dropped if the closure runs again or the transaction fails.
    ///
    /// All effects of a transaction have one second together; what then still runs is dropped. The process may also end between
    /// the commit and the effect. So an effect is only for what nothing depends on, such as telling a worker that there is
    /// something to do that it would also find by itself.
    pub fn after_commit(&self, effect: impl Future<Output = ()> + Send + 'static) {
        self.state().effects.add(effect);
    }

    /// Notes whether the database answered a read.
    fn answered<T>(&self, answer: Result<T>) -> Result<T> {
        self.state().is_unreadable |= answer.is_err();
        answer
    }

    fn document_of<T: Entity>(&self, value: &T) -> Result<Document> {
        let key = key_of::<T>(value.id())?;
        let mut body = body_of(value)?;
        canonicalize(&key, &mut body)?;
        Ok(Document { key, version: Version::new(self.db.ambient()), body, expires_at: value.expires_at() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An increment that still needs its bound.
#[must_use = "an increment has no effect until `at_least` or `unbounded` is called"]
#[derive(Debug)]
pub struct Increment<'a> {
    transaction: &'a Transaction,
    key: Result<Key>,
    field: &'static str,
    by: i64,
    at_least: Option<i64>,
}

impl Increment<'_> {
    /// Increments the counter. The transaction is rejected if the result is less than `minimum`.
    pub fn at_least(mut self, minimum: i64) -> Result<()> {
        self.at_least = Some(minimum);
        self.unbounded()
    }

    /// Increments the counter. The result may be any i64.
    pub fn unbounded(self) -> Result<()> {
        let version = Version::new(self.transaction.db.ambient());
        self.transaction.state().increment(self.key?, self.field, self.by, self.at_least, version)
    }
}
