use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::document::canonicalize;
use crate::entity::{Entity, Stored, body_of, key_of};
use crate::evaluate::cause_of_increment;
use crate::retry::Backoff;
use crate::{
    Batch, Cause, Db, Document, Error, Expect, Key, Operation, Rejection, Result, Scalar, UniqueKey, Version,
};

/// What a transaction's closure reads and writes through. Nothing is written before the closure has ended.
#[derive(Clone, Debug)]
pub struct Transaction {
    db: Db,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What was read, absent documents too: all of it must still be so at the commit.
    reads: BTreeMap<Key, Option<Document>>,
    /// The unique values that were looked up in the database.
    lookups: HashSet<UniqueKey>,
    /// What is to be written, one operation for each document, in the order in which the closure last did.
    writes: Vec<Write>,
}

#[derive(Debug)]
enum Write {
    /// The document is to become `after`; it was `before`.
    Put {
        before: Option<Document>,
        after: Document,
    },
    Delete {
        before: Document,
    },
    Increment {
        key: Key,
        field: &'static str,
        by: i64,
        at_least: Option<i64>,
        version: Version,
    },
}

impl Write {
    fn key(&self) -> &Key {
        match self {
            Self::Put { after, .. } => &after.key,
            Self::Delete { before } => &before.key,
            Self::Increment { key, .. } => key,
        }
    }
}

impl Transaction {
    /// The document `id`, as this transaction has left it.
    pub async fn get<T: Entity>(&self, id: &str) -> Result<Option<Stored<T>>> {
        let key = key_of::<T>(id)?;
        let known = self.state().known(&key)?;
        let document = match known {
            Some(document) => document,
            None => {
                let document = self.db.backend().get(&key).await?;
                self.state().reads.insert(key, document.clone());
                document
            }
        };
        document.map(Stored::new).transpose()
    }

    /// The document that holds `value` as its unique `attribute`, as this transaction has left it. The document found
    /// is under the transaction's protection, that there is none is not: a write that claims the value is.
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
        let Some(found) = self.db.backend().lookup(&unique).await? else { return Ok(None) };
        let known = self.state().known(&found.key)?;
        let document = match known {
            // The transaction may have taken the value from it, or read it before it had the value.
            Some(document) => document.filter(|document| unique.is_held_by(document)),
            None => {
                self.state().reads.insert(found.key.clone(), Some(found.clone()));
                Some(found)
            }
        };
        document.map(Stored::new).transpose()
    }

    /// Stores a value that must not exist yet. What is returned is so once the transaction has committed.
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

    /// Stores `value` in the place of `previous`, which must still be what is stored. What is returned is so once the
    /// transaction has committed.
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

    /// Removes `previous`, which must still be what is stored.
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

impl State {
    /// What the transaction knows of a document: `None` when it has not read it yet.
    fn known(&self, key: &Key) -> Result<Option<Option<Document>>> {
        match self.writes.iter().find(|write| write.key() == key) {
            Some(Write::Put { after, .. }) => Ok(Some(Some(after.clone()))),
            Some(Write::Delete { .. }) => Ok(Some(None)),
            Some(Write::Increment { .. }) => {
                Err(Error::Invalid(format!("read {key} before incrementing it, not afterwards")))
            }
            None => Ok(self.reads.get(key).cloned()),
        }
    }

    /// The document that this transaction gives a unique value.
    fn written_holder(&self, unique: &UniqueKey) -> Option<Document> {
        self.writes.iter().find_map(|write| match write {
            Write::Put { after, .. } if unique.is_held_by(after) => Some(after.clone()),
            _ => None,
        })
    }

    fn take_write(&mut self, key: &Key) -> Option<Write> {
        let place = self.writes.iter().position(|write| write.key() == key)?;
        Some(self.writes.remove(place))
    }

    /// What the database holds under `previous`, which may be this transaction's own doing; takes that back.
    fn before_of(&mut self, previous: &Document) -> Result<Option<Document>> {
        match self.take_write(&previous.key) {
            None => match self.reads.get(&previous.key) {
                Some(None) => Err(rejected(&previous.key, Cause::NotFound)),
                Some(Some(read)) if read.version != previous.version => {
                    Err(rejected(&previous.key, Cause::VersionMismatch))
                }
                Some(Some(_)) | None => Ok(Some(previous.clone())),
            },
            Some(Write::Put { before, after }) if after.version == previous.version => Ok(before),
            Some(write) => {
                self.writes.push(write);
                Err(rejected(&previous.key, Cause::VersionMismatch))
            }
        }
    }

    fn increment(
        &mut self,
        key: Key,
        field: &'static str,
        by: i64,
        at_least: Option<i64>,
        version: Version,
    ) -> Result<()> {
        if !key.collection().counters.contains(&field) {
            return Err(Error::Invalid(format!(
                "the collection `{}` declares no counter `{field}`",
                key.collection().name
            )));
        }
        match self.take_write(&key) {
            // A document that the transaction knows is written as a whole: one operation for each document.
            None => match self.reads.get(&key).cloned() {
                Some(None) => return Err(rejected(&key, Cause::NotFound)),
                Some(Some(before)) => {
                    let after = incremented(&before, field, by, at_least, version)?;
                    self.writes.push(Write::Put { before: Some(before), after });
                }
                None => self.writes.push(Write::Increment { key, field, by, at_least, version }),
            },
            Some(Write::Put { before, after }) => {
                let after = incremented(&after, field, by, at_least, version)?;
                self.writes.push(Write::Put { before, after });
            }
            Some(Write::Delete { .. }) => return Err(rejected(&key, Cause::NotFound)),
            Some(Write::Increment { field: before, by: first, at_least: floor, .. }) => {
                if before != field {
                    let message = format!("{key} has two counters incremented; read it first");
                    return Err(Error::Invalid(message));
                }
                let (by, at_least) =
                    added(first, floor, by, at_least).ok_or_else(|| rejected(&key, Cause::Overflow))?;
                self.writes.push(Write::Increment { key, field, by, at_least, version });
            }
        }
        Ok(())
    }
}

/// Two additions to one counter as one, which fits exactly where both fit: after the first the number has to be at least
/// `floor`, so after both at least `floor + second`.
fn added(first: i64, floor: Option<i64>, second: i64, at_least: Option<i64>) -> Option<(i64, Option<i64>)> {
    let floor = match floor {
        Some(floor) => Some(floor.checked_add(second)?),
        None => None,
    };
    Some((first.checked_add(second)?, floor.max(at_least)))
}

fn incremented(
    before: &Document,
    field: &str,
    by: i64,
    at_least: Option<i64>,
    version: Version,
) -> Result<Document> {
    if let Some(cause) = cause_of_increment(before, field, by, at_least)? {
        return Err(rejected(&before.key, cause));
    }
    let mut after = Document { version, ..before.clone() };
    if let Some(number) = after.body.get_mut(field) {
        *number = number.as_i64().unwrap_or(0).saturating_add(by).into();
    }
    Ok(after)
}

fn rejected(key: &Key, cause: Cause) -> Error {
    Error::Rejected(vec![Rejection { operation: 0, key: key.clone(), cause }])
}

/// An increment that is being put together.
#[must_use = "an increment takes place once it is given its bound, by `at_least` or `unbounded`"]
#[derive(Debug)]
pub struct Increment<'a> {
    transaction: &'a Transaction,
    key: Result<Key>,
    field: &'static str,
    by: i64,
    at_least: Option<i64>,
}

impl Increment<'_> {
    /// The transaction is rejected when the result is less than `minimum`.
    pub fn at_least(mut self, minimum: i64) -> Result<()> {
        self.at_least = Some(minimum);
        self.unbounded()
    }

    /// The result may be any i64.
    pub fn unbounded(self) -> Result<()> {
        let version = Version::new(self.transaction.db.ambient());
        self.transaction.state().increment(self.key?, self.field, self.by, self.at_least, version)
    }
}

/// Runs `closure` until what it wrote is committed against exactly what it read.
pub(crate) async fn run<T, E, F, C>(db: &Db, closure: C) -> Result<T, E>
where
    E: From<Error>,
    F: Future<Output = Result<T, E>>,
    C: Fn(Transaction) -> F,
{
    let mut attempt = 1;
    loop {
        let transaction = Transaction { db: db.clone(), state: Arc::default() };
        let value = closure(transaction.clone()).await?;
        let state = std::mem::take(&mut *transaction.state());
        match commit(db, state).await? {
            Committed::Yes => return Ok(value),
            Committed::ReadsAreStale => {}
        }
        if !Backoff::CONTENTION.pause(attempt, db.ambient()).await {
            return Err(Error::Contended.into());
        }
        attempt += 1;
    }
}

enum Committed {
    Yes,
    ReadsAreStale,
}

async fn commit(db: &Db, state: State) -> Result<Committed> {
    let State { reads, lookups, writes } = state;
    if writes.is_empty() && reads.len() < 2 {
        return Ok(Committed::Yes); // one linearizable read, or none, needs no second look
    }
    let written: HashSet<Key> = writes.iter().map(|write| write.key().clone()).collect();
    let mut operations: Vec<(Operation, Version)> = writes.into_iter().map(operation_of).collect();
    for (key, document) in &reads {
        if !written.contains(key) {
            let expect =
                document.as_ref().map_or(Expect::Absent, |document| Expect::Version(document.version));
            operations.push((Operation::Check { key: key.clone(), expect }, Version::NONE));
        }
    }
    let batch = Batch::with_versions(operations)?;
    let mut attempt = 1;
    loop {
        let error = match db.backend().commit(&batch).await {
            Ok(_) => return Ok(Committed::Yes),
            Err(error) => error,
        };
        match &error {
            Error::Contended => return Ok(Committed::ReadsAreStale),
            Error::Rejected(rejections)
                if rejections.iter().any(|r| is_stale(r, &batch, &reads, &lookups)) =>
            {
                return Ok(Committed::ReadsAreStale);
            }
            Error::Throttled { .. } | Error::Unavailable(_) => {
                if !Backoff::UNAVAILABLE.pause(attempt, db.ambient()).await {
                    return Err(error);
                }
                attempt += 1;
            }
            _ => return Err(error),
        }
    }
}

fn operation_of(write: Write) -> (Operation, Version) {
    match write {
        Write::Put { before: None, after } => {
            let Document { key, version, body, expires_at } = after;
            (Operation::Create { key, body, expires_at }, version)
        }
        Write::Put { before: Some(previous), after } => {
            let Document { version, body, expires_at, .. } = after;
            (Operation::Replace { previous, body, expires_at }, version)
        }
        Write::Delete { before } => (Operation::Delete { previous: before }, Version::NONE),
        Write::Increment { key, field, by, at_least, version } => {
            (Operation::Increment { key, field, by, at_least }, version)
        }
    }
}

/// Whether a rejection only says that the closure decided on what is no longer so.
fn is_stale(
    rejection: &Rejection,
    batch: &Batch,
    reads: &BTreeMap<Key, Option<Document>>,
    lookups: &HashSet<UniqueKey>,
) -> bool {
    match rejection.cause {
        Cause::AlreadyExists | Cause::NotFound | Cause::VersionMismatch | Cause::CheckFailed => {
            reads.contains_key(&rejection.key)
        }
        Cause::UniqueTaken { attribute } => {
            let prepared = batch.operations().get(rejection.operation);
            let mut claims = prepared.and_then(|prepared| prepared.after.as_ref()).into_iter();
            claims.any(|after| after.guards.iter().any(|g| g.attribute() == attribute && lookups.contains(g)))
        }
        Cause::BelowMinimum | Cause::Overflow => false,
    }
}
