use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use switchyard_ambient::{Ambient, Timestamp};

use crate::document::canonicalize;
use crate::limits::{ITEM_OVERHEAD_BYTES, MAX_BATCH_BYTES, MAX_BATCH_ITEMS};
use crate::{Body, Document, Error, Key, Projection, Result, UniqueKey, Version};

/// One change or one condition in a batch.
#[derive(Clone, Debug)]
pub enum Operation {
    /// Stores a document, which must not exist yet.
    Create {
        /// Its key.
        key: Key,
        /// Its content.
        body: Body,
        /// When it expires; only allowed if the collection is declared `expiring`.
        expires_at: Option<Timestamp>,
    },
    /// Stores new content for a document, which must still be in the state `previous`.
    Replace {
        /// The state that was read. Its index entries, guards and terms are derived from it without another read.
        previous: Document,
        /// The new content.
        body: Body,
        /// When it expires.
        expires_at: Option<Timestamp>,
    },
    /// Removes a document, which must still be in the state `previous`.
    Delete {
        /// The state that was read.
        previous: Document,
    },
    /// Adds to a counter of a document, which must exist.
    Increment {
        /// The document.
        key: Key,
        /// One of its collection's counters.
        field: &'static str,
        /// What to add; negative to subtract.
        by: i64,
        /// The batch is rejected if the result is less than this.
        at_least: Option<i64>,
    },
    /// Changes nothing. The batch is rejected if the document is not as expected.
    Check {
        /// The document.
        key: Key,
        /// The expected state.
        expect: Expect,
    },
}

impl Operation {
    /// The key of the operation's document.
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
    /// It exists and has this version.
    Version(Version),
}

/// Operations that are applied atomically. Their limits are checked and their versions are assigned, so that a
/// batch can be committed and retried as it is. Cheap to clone, for backends that pass it to another thread.
#[derive(Clone, Debug)]
#[must_use]
pub struct Batch {
    prepared: Arc<[Prepared]>,
    guard_changes: Arc<[GuardChange]>,
    term_changes: Arc<[TermChange]>,
}

/// An operation with everything derived from it.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The operation; its body is in canonical form.
    pub operation: Operation,
    /// The new version of the document; [`Version::NONE`] for `Delete` and `Check`.
    pub version: Version,
    /// The projection of the previous state; for `Replace` and `Delete`.
    pub before: Option<Projection>,
    /// The projection of the new state; for `Create` and `Replace`.
    pub after: Option<Projection>,
}

impl Prepared {
    /// The key of the operation's document.
    pub fn key(&self) -> &Key {
        self.operation.key()
    }

    /// The document after the operation; `None` for `Delete` and `Check`. An `Increment` needs the current
    /// document.
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

/// A guard of a unique value that a batch changes. It is one physical item, even if the value moves between
/// documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuardChange {
    /// The value.
    pub guard: UniqueKey,
    /// The operation whose document held the value before the batch, if there is one.
    pub released_by: Option<usize>,
    /// The operation whose document holds the value after the batch, if there is one.
    pub claimed_by: Option<usize>,
}

/// A search term that a batch writes or removes: one physical item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TermChange {
    /// The operation.
    pub operation: usize,
    /// The term.
    pub term: String,
    /// Whether the document has the term after the batch.
    pub present: bool,
}

impl Batch {
    /// Checks the operations and assigns the versions of the documents that they write. Does no I/O.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Invalid`] or [`Error::Limit`] if there is no operation, two operations have the same
    /// document, two documents would hold the same unique value, content or indexed values exceed a limit, or the
    /// batch has more than [`MAX_BATCH_ITEMS`] physical items or [`MAX_BATCH_BYTES`].
    pub fn new(operations: Vec<Operation>, ambient: &Ambient) -> Result<Self> {
        Self::with_versions(
            operations.into_iter().map(|operation| (operation, Version::new(ambient))).collect(),
        )
    }

    /// Like [`Batch::new`], but with a given version for each operation; `Delete` and `Check` ignore theirs.
    pub(crate) fn with_versions(operations: Vec<(Operation, Version)>) -> Result<Self> {
        operations.iter().try_for_each(|(operation, _)| check_permitted(operation))?;
        Self::of_any_collection(operations)
    }

    /// The removal of a document that has expired, for a backend that sweeps. A collection that is append-only permits
    /// it too.
    pub fn of_expired(previous: Document) -> Result<Self> {
        Self::of_any_collection(vec![(Operation::Delete { previous }, Version::NONE)])
    }

    /// Like [`Batch::with_versions`], also for what only a backend may do to the documents of some collections.
    pub(crate) fn of_any_collection(operations: Vec<(Operation, Version)>) -> Result<Self> {
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
                "the batch has {items} items and {bytes} bytes; at most {MAX_BATCH_ITEMS} items and {MAX_BATCH_BYTES} \
                 bytes are allowed; documents, changed unique values and changed search terms count as items"
            )));
        }
        Ok(Self {
            prepared: prepared.into(),
            guard_changes: guard_changes.into(),
            term_changes: term_changes.into(),
        })
    }

    /// The same batch, but it also claims the unique values that its documents keep. A backend uses it if it finds
    /// that another document holds such a value, which is possible if that value was stored before the attribute
    /// was declared.
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

    /// Whether all operations are checks, so that the batch changes nothing.
    pub fn only_checks(&self) -> bool {
        self.prepared.iter().all(|prepared| matches!(prepared.operation, Operation::Check { .. }))
    }

    /// The guards that the batch changes, ordered by value.
    pub fn guard_changes(&self) -> &[GuardChange] {
        &self.guard_changes
    }

    /// The search terms that the batch writes or removes.
    pub fn term_changes(&self) -> &[TermChange] {
        &self.term_changes
    }

    /// The version of each operation's document, which `commit` returns.
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

/// Whether the collection permits callers this operation.
fn check_permitted(operation: &Operation) -> Result<()> {
    check_not_tallied(operation)?;
    let collection = operation.key().collection();
    let changes = match operation {
        Operation::Create { .. } | Operation::Check { .. } => false,
        Operation::Replace { .. } | Operation::Delete { .. } | Operation::Increment { .. } => true,
    };
    if collection.append_only && changes {
        return Err(Error::Invalid(format!(
            "the collection `{}` is append-only, so {} is neither changed nor removed",
            collection.name,
            operation.key()
        )));
    }
    Ok(())
}

/// Documents with a tally are written by additions alone, so that a backend can store the tally apart from the rest.
fn check_not_tallied(operation: &Operation) -> Result<()> {
    let collection = operation.key().collection();
    let writes = matches!(
        operation,
        Operation::Create { .. } | Operation::Replace { .. } | Operation::Increment { .. }
    );
    match collection.tally.filter(|_| writes) {
        Some(tally) => Err(Error::Invalid(format!(
            "the collection `{}` has the tally `{tally}`, so its documents are written by additions alone",
            collection.name
        ))),
        None => Ok(()),
    }
}

/// The guards that have to be written. A value that stays with its document needs no write, unless the document's
/// expiry time changes.
fn guard_changes(prepared: &[Prepared]) -> Result<Vec<GuardChange>> {
    let mut changes: BTreeMap<&UniqueKey, GuardChange> = BTreeMap::new();
    for (place, operation) in prepared.iter().enumerate() {
        for guard in operation.after.iter().flat_map(|after| &after.guards) {
            let change = change_of(&mut changes, guard);
            if change.claimed_by.replace(place).is_some() {
                return Err(Error::Invalid(format!(
                    "two documents of the batch would hold the same value of `{}`",
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

/// Whether the document's expiry time changes: its guards and terms store it too, so they have to be rewritten.
fn expiry_changes(prepared: &Prepared) -> bool {
    match (&prepared.before, &prepared.after) {
        (Some(before), Some(after)) => before.expires_at != after.expires_at,
        _ => false,
    }
}
