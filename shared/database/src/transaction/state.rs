use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use crate::evaluate::cause_of_increment;
use crate::{Cause, Document, Error, Key, Rejection, Result, UniqueKey, Version};

/// The reads of a transaction and its pending writes.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The documents that were read, including absent ones. All of them must be unchanged at the commit.
    pub(super) reads: BTreeMap<Key, Option<Document>>,
    /// The unique values that were looked up in the database.
    pub(super) lookups: HashSet<UniqueKey>,
    /// The pending writes, one for each document, in the order in which the closure last wrote the documents.
    pub(super) writes: Vec<Write>,
    /// Whether the database failed to answer a read.
    pub(super) is_unreadable: bool,
    /// What runs once the writes are committed.
    pub(super) effects: Effects,
}

/// What runs after a commit, in the order in which it was added.
#[derive(Default)]
pub(super) struct Effects(Vec<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl Effects {
    /// How long all of them may take together. The caller of the transaction waits for them.
    const TIMEOUT: Duration = Duration::from_secs(1);

    pub(super) fn add(&mut self, effect: impl Future<Output = ()> + Send + 'static) {
        self.0.push(Box::pin(effect));
    }

    /// Runs them one after the other, until the time is over.
    pub(super) async fn run(self) {
        if self.0.is_empty() {
            return;
        }
        let all = async {
            for effect in self.0 {
                effect.await;
            }
        };
        let _ = tokio::time::timeout(Self::TIMEOUT, all).await;
    }
}

impl fmt::Debug for Effects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} effects", self.0.len())
    }
}

/// A pending write of a document.
#[derive(Debug)]
pub(super) enum Write {
    /// Changes the document from `before` to `after`; creates it if `before` is `None`.
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
    pub(super) fn key(&self) -> &Key {
        match self {
            Self::Put { after, .. } => &after.key,
            Self::Delete { before } => &before.key,
            Self::Increment { key, .. } => key,
        }
    }
}

impl State {
    /// The document as this transaction sees it; the outer `None` means that it has not been read yet.
    pub(super) fn known(&self, key: &Key) -> Result<Option<Option<Document>>> {
        match self.writes.iter().find(|write| write.key() == key) {
            Some(Write::Put { after, .. }) => Ok(Some(Some(after.clone()))),
            Some(Write::Delete { .. }) => Ok(Some(None)),
            Some(Write::Increment { .. }) => {
                Err(Error::Invalid(format!("{key} must be read before it is incremented, not afterwards")))
            }
            None => Ok(self.reads.get(key).cloned()),
        }
    }

    /// The pending document that holds a unique value.
    pub(super) fn written_holder(&self, unique: &UniqueKey) -> Option<Document> {
        self.writes.iter().find_map(|write| match write {
            Write::Put { after, .. } if unique.is_held_by(after) => Some(after.clone()),
            _ => None,
        })
    }

    /// Removes and returns the pending write of a document.
    pub(super) fn take_write(&mut self, key: &Key) -> Option<Write> {
        let place = self.writes.iter().position(|write| write.key() == key)?;
        Some(self.writes.remove(place))
    }

    /// The stored document that a new write replaces. `previous` may be a pending state of this transaction; its
    /// write is then removed.
    pub(super) fn before_of(&mut self, previous: &Document) -> Result<Option<Document>> {
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

    pub(super) fn increment(
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
            // If the transaction has read the document, it writes the whole document, because a batch has only one
            // operation for each document and could not also check the version.
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
                    let message = format!("two counters of {key} are incremented; read the document first");
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

/// Combines two additions to one counter. The combined addition is allowed exactly if both are: the number must be
/// at least `floor` after the first one, and therefore at least `floor + second` after both.
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

/// A rejection that is known without asking the database.
pub(super) fn rejected(key: &Key, cause: Cause) -> Error {
    Error::Rejected(vec![Rejection { operation: 0, key: key.clone(), cause }])
}
