use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use switchyard_ambient::{Ambient, Timestamp};

use crate::document::canonicalize;
use crate::limits::{ITEM_OVERHEAD_BYTES, MAX_BATCH_BYTES, MAX_BATCH_ITEMS};
use crate::{Body, Document, Error, Key, Projection, Result, UniqueKey, Version};

/// One change, or one condition, of a batch.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Stores a document that must not exist.
    Create {
        /// Its key.
        key: Key,
        /// Its content.
        body: Body,
        /// When it ceases to be; only in a collection that is declared `expiring`.
        expires_at: Option<Timestamp>,
    },
    /// Stores new content for a document that must still be in the state `previous`.
    Replace {
        /// The state that was read: its index entries, guards and terms are known without reading them again.
        previous: Document,
        /// The new content.
        body: Body,
        /// When it ceases to be.
        expires_at: Option<Timestamp>,
    },
    /// Removes a document that must still be in the state `previous`.
    Delete {
        /// The state that was read.
        previous: Document,
    },
    /// Adds to a counter of a document that must exist.
    Increment {
        /// The document.
        key: Key,
        /// One of its collection's counters.
        field: &'static str,
        /// What to add; negative to subtract.
        by: i64,
        /// The batch is rejected when the result is less.
        at_least: Option<i64>,
    },
    /// Changes nothing; the batch is rejected when the document is not as expected.
    Check {
        /// The document.
        key: Key,
        /// What it is expected to be.
        expect: Expect,
    },
}

impl Operation {
    /// The document that the operation is about.
    pub fn key(&self) -> &Key {
        match self {
            Self::Create { key, .. } | Self::Increment { key, .. } | Self::Check { key, .. } => key,
            Self::Replace { previous, .. } | Self::Delete { previous } => &previous.key,
        }
    }
}

/// What a `Check` expects of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It does not exist.
    Absent,
    /// It exists.
    Exists,
    /// It exists in this version.
    Version(Version),
}

/// Operations that are applied all or not at all: checked against every limit, with versions fixed, ready to commit
/// and to be tried again. Cheap to clone, for a backend that hands it to another thread.
#[derive(Clone, Debug)]
pub struct Batch {
    prepared: Arc<[Prepared]>,
    guard_changes: Arc<[GuardChange]>,
    term_changes: Arc<[TermChange]>,
}

/// An operation with what follows from it.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The operation; its body is in canonical form.
    pub operation: Operation,
    /// The version the document gets, [`Version::NONE`] for `Delete` and `Check`.
    pub version: Version,
    /// What is stored beside the previous state; of `Replace` and `Delete`.
    pub before: Option<Projection>,
    /// What is to be stored beside the new state; of `Create` and `Replace`.
    pub after: Option<Projection>,
}

impl Prepared {
    /// The document that the operation is about.
    pub fn key(&self) -> &Key {
        self.operation.key()
    }

    /// The state that the operation leaves behind; `None` for a `Delete` and a `Check`. An `Increment` needs the
    /// present state.
    pub fn outcome(&self, current: Option<&Document>) -> Option<Document> {
        let (body, expires_at) = match &self.operation {
            Operation::Create { body, expires_at, .. } | Operation::Replace { body, expires_at, .. } => {
                (body.clone(), *expires_at)
            }
            Operation::Increment { field, by, .. } => {
                let current = current?;
                let mut body = current.body.clone();
                let number = body.get_mut(*field)?;
                *number = number.as_i64()?.checked_add(*by)?.into();
                (body, current.expires_at)
            }
            Operation::Delete { .. } | Operation::Check { .. } => return None,
        };
        Some(Document { key: self.key().clone(), version: self.version, body, expires_at })
    }
}

/// A guard of a unique value that a batch writes: one physical item, also when the value moves between documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardChange {
    /// The value.
    pub guard: UniqueKey,
    /// The operation whose document held the value before, if one of this batch did.
    pub released_by: Option<usize>,
    /// The operation whose document holds the value afterwards, if one does.
    pub claimed_by: Option<usize>,
}

/// A search term that a batch writes or removes: one physical item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermChange {
    /// The operation.
    pub operation: usize,
    /// The term.
    pub term: String,
    /// Whether the document has the term afterwards.
    pub present: bool,
}

impl Batch {
    /// Checks the operations and fixes the versions of what they write.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] and [`Error::Limit`], before any I/O: no operation, two operations on one document, two
    /// documents that would hold one unique value, content or indexed values that break a limit, more than
    /// [`MAX_BATCH_ITEMS`] physical items or [`MAX_BATCH_BYTES`].
    pub fn new(operations: Vec<Operation>, ambient: &Ambient) -> Result<Self> {
        Self::with_versions(
            operations.into_iter().map(|operation| (operation, Version::new(ambient))).collect(),
        )
    }

    /// As [`Batch::new`], with the version that each operation's document gets, if it gets one.
    pub(crate) fn with_versions(operations: Vec<(Operation, Version)>) -> Result<Self> {
        if operations.is_empty() {
            return Err(Error::Invalid("a batch needs at least one operation".to_owned()));
        }
        let mut keys = HashSet::new();
        if let Some(twice) =
            operations.iter().map(|(operation, _)| operation.key()).find(|key| !keys.insert(*key))
        {
            return Err(Error::Invalid(format!("{twice} has two operations in one batch")));
        }
        let mut bytes = 0;
        let prepared = operations
            .into_iter()
            .map(|(operation, version)| {
                let (prepared, size) = prepare(operation, version)?;
                bytes += size;
                Ok(prepared)
            })
            .collect::<Result<Vec<_>>>()?;
        let guard_changes = guard_changes(&prepared)?;
        let term_changes = term_changes(&prepared);
        let items = prepared.len() + guard_changes.len() + term_changes.len();
        bytes += items * ITEM_OVERHEAD_BYTES;
        bytes += guard_changes.iter().map(|change| change.guard.value().len()).sum::<usize>();
        bytes += term_changes.iter().map(|change| change.term.len()).sum::<usize>();
        if items > MAX_BATCH_ITEMS || bytes > MAX_BATCH_BYTES {
            return Err(Error::Limit(format!(
                "the batch makes {items} items of {bytes} bytes, at most {MAX_BATCH_ITEMS} of {MAX_BATCH_BYTES} are \
                 possible; documents, unique values that change and search terms that change count as items"
            )));
        }
        Ok(Self {
            prepared: prepared.into(),
            guard_changes: guard_changes.into(),
            term_changes: term_changes.into(),
        })
    }

    /// The same batch, which also claims the unique values that stay with their documents: for a backend that finds such
    /// a value with another document, as one may be that was stored before the attribute was declared.
    pub fn claiming_kept_values(&self) -> Self {
        let mut changes = self.guard_changes.to_vec();
        let is_changed = |guard: &UniqueKey| self.guard_changes.iter().any(|change| change.guard == *guard);
        for (place, prepared) in self.prepared.iter().enumerate() {
            let guards = prepared.after.iter().flat_map(|after| &after.guards);
            changes.extend(guards.filter(|guard| !is_changed(guard)).map(|guard| GuardChange {
                guard: guard.clone(),
                released_by: Some(place),
                claimed_by: Some(place),
            }));
        }
        changes.sort_by(|one, other| one.guard.cmp(&other.guard));
        Self { guard_changes: changes.into(), ..self.clone() }
    }

    /// The operations, in order.
    pub fn operations(&self) -> &[Prepared] {
        &self.prepared
    }

    /// Whether the batch changes nothing: all of its operations are checks.
    pub fn only_checks(&self) -> bool {
        self.prepared.iter().all(|prepared| matches!(prepared.operation, Operation::Check { .. }))
    }

    /// The guards that the batch writes, ordered by value.
    pub fn guard_changes(&self) -> &[GuardChange] {
        &self.guard_changes
    }

    /// The search terms that the batch writes or removes.
    pub fn term_changes(&self) -> &[TermChange] {
        &self.term_changes
    }

    /// What `commit` returns: the version of each operation's document.
    pub fn versions(&self) -> Vec<Version> {
        self.prepared.iter().map(|prepared| prepared.version).collect()
    }
}

fn prepare(mut operation: Operation, new_version: Version) -> Result<(Prepared, usize)> {
    check_declared(&operation)?;
    let mut bytes = operation.key().id().len();
    let (mut before, mut after) = (None, None);
    let mut version = Version::NONE;
    match &mut operation {
        Operation::Create { key, body, expires_at } => {
            bytes += canonicalize(key, body)?;
            after = Some(Projection::new(key, body, *expires_at)?);
            version = new_version;
        }
        Operation::Replace { previous, body, expires_at } => {
            bytes += canonicalize(&previous.key, body)?;
            before = Some(Projection::of(previous));
            after = Some(Projection::new(&previous.key, body, *expires_at)?);
            version = new_version;
        }
        Operation::Delete { previous } => before = Some(Projection::of(previous)),
        Operation::Increment { .. } => version = new_version,
        Operation::Check { .. } => {}
    }
    let entries = after.iter().flat_map(|after| after.entries.iter().flatten());
    bytes += entries.map(|entry| entry.partition.len() + entry.position.len()).sum::<usize>();
    Ok((Prepared { operation, version, before, after }, bytes))
}

fn check_declared(operation: &Operation) -> Result<()> {
    let collection = operation.key().collection();
    match operation {
        Operation::Create { expires_at: Some(_), .. } | Operation::Replace { expires_at: Some(_), .. }
            if !collection.expiring =>
        {
            Err(Error::Invalid(format!("the collection `{}` is not declared as expiring", collection.name)))
        }
        Operation::Increment { field, .. } if !collection.counters.contains(field) => {
            Err(Error::Invalid(format!("the collection `{}` declares no counter `{field}`", collection.name)))
        }
        _ => Ok(()),
    }
}

/// A value that stays with its document needs no write, unless the moment at which it is freed changes.
fn guard_changes(prepared: &[Prepared]) -> Result<Vec<GuardChange>> {
    let mut changes: BTreeMap<&UniqueKey, GuardChange> = BTreeMap::new();
    for (place, operation) in prepared.iter().enumerate() {
        for guard in operation.after.iter().flat_map(|after| &after.guards) {
            let change = change_of(&mut changes, guard);
            if change.claimed_by.replace(place).is_some() {
                return Err(Error::Invalid(format!(
                    "two documents of the batch would hold one value of `{}`",
                    guard.attribute()
                )));
            }
        }
        for guard in operation.before.iter().flat_map(|before| &before.guards) {
            change_of(&mut changes, guard).released_by = Some(place);
        }
    }
    let is_kept = |change: &GuardChange| {
        change.claimed_by == change.released_by
            && change.claimed_by.is_some_and(|place| !expiry_changes(&prepared[place]))
    };
    Ok(changes.into_values().filter(|change| !is_kept(change)).collect())
}

fn change_of<'c, 'g>(
    changes: &'c mut BTreeMap<&'g UniqueKey, GuardChange>,
    guard: &'g UniqueKey,
) -> &'c mut GuardChange {
    changes.entry(guard).or_insert_with(|| GuardChange {
        guard: guard.clone(),
        released_by: None,
        claimed_by: None,
    })
}

fn term_changes(prepared: &[Prepared]) -> Vec<TermChange> {
    let none = BTreeSet::new();
    let mut changes = Vec::new();
    for (operation, prepared) in prepared.iter().enumerate() {
        let before = prepared.before.as_ref().map_or(&none, |before| &before.terms);
        let after = prepared.after.as_ref().map_or(&none, |after| &after.terms);
        let gone = before.difference(after).map(|term| (term, false));
        let rewritten = expiry_changes(prepared);
        let new = after.iter().filter(|term| rewritten || !before.contains(*term)).map(|term| (term, true));
        changes.extend(gone.chain(new).map(|(term, present)| TermChange {
            operation,
            term: term.clone(),
            present,
        }));
    }
    changes
}

/// Guards and terms carry the moment at which their document ceases to be.
fn expiry_changes(prepared: &Prepared) -> bool {
    match (&prepared.before, &prepared.after) {
        (Some(before), Some(after)) => before.expires_at != after.expires_at,
        _ => false,
    }
}
