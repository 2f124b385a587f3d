use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use switchyard_ambient::{Ambient, ManualClock, SystemRandomness, Timestamp};
use tokio::sync::Notify;

use super::Memory;
use crate::memory::{apply, state_of};
use crate::paging::{self, Entry, Range, Ranges, Source};
use crate::{
    Addition, Batch, Cause, Collection, Consistency, Database, Document, Error, Expect, Filter, IndexEntry,
    Key, Operation, Page, Prepared, Query, Rejection, Result, Scan, Schema, Search, State, UniqueKey,
    Version, evaluate,
};

/// A fault of a backend. Each of them has been shipped in real software.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Unique values are not guarded.
    DropsGuards,
    /// A batch that fails leaves its guards behind.
    LeavesGuards,
    /// A write replaces any stored state, without checking the version.
    IgnoresVersions,
    /// A `Check` for absence always succeeds.
    IgnoresAbsence,
    /// A batch that only checks always succeeds.
    IgnoresChecks,
    /// An increment may go below its floor.
    IgnoresFloors,
    /// An increment is sent again if its response was lost.
    RepeatsLostIncrements,
    /// An addition counts on in a document that has expired.
    AddsToExpired,
    /// An addition reads the tally, and writes it without a condition.
    AddsWithoutLocks,
    /// A batch that fails applies the operations before the failing one.
    AppliesHalves,
    /// A batch is applied one operation at a time, and reads see it partly applied.
    AppliesInSteps,
    /// A commit is decided on a state that may change before the commit is applied.
    DecidesWithoutLocks,
    /// A document is read from a replica that lags behind.
    ReadsFromReplica,
    /// The last failure of a batch is reported first.
    TellsTheLastFailure,
    /// Expired documents can be read until they are swept.
    ForgetsExpiry,
    /// A sweep removes documents that were created over expired ones.
    SweepsTheLiving,
    /// Strings are ordered by their UTF-16 code units.
    OrdersByUtf16,
    /// Strings are ordered as in a dictionary.
    OrdersByLanguage,
    /// One of the shards of an index is not read.
    ForgetsAShard,
    /// The shards of an index are read one after the other.
    ConcatenatesShards,
    /// Every page claims to be the last one.
    LosesPages,
    /// A page starts with the last document of the previous page.
    RepeatsTheAnchor,
    /// Documents that do not fit into one response of the database are taken to be absent.
    IgnoresUnprocessedKeys,
    /// A query returns documents as they were when their index entries were created.
    KeepsOldContent,
    /// A query refuses documents by a field that its index does not copy.
    RefusesWhatIsNotCopied,
    /// A query returns documents where their index entries were created.
    ListsWhatHasMoved,
}

/// The in-memory store with a fault, to prove that the suite catches it.
#[derive(Debug)]
pub struct Mutant {
    memory: Memory,
    fault: Fault,
    remains: Arc<Mutex<Remains>>,
    /// Notified whenever a commit has been decided.
    decided: Arc<Notify>,
}

/// The data that the faults need.
#[derive(Debug, Default)]
struct Remains {
    guards: BTreeMap<UniqueKey, Key>,
    expiries: BTreeMap<Key, Timestamp>,
    first_states: BTreeMap<Key, Document>,
    replica: Option<(Instant, BTreeMap<Key, Document>)>,
    increments: u32,
}

impl Mutant {
    /// Creates an empty store with a fault.
    pub fn new(ambient: Ambient, fault: Fault) -> Self {
        Self { memory: Memory::new(ambient), fault, remains: Arc::default(), decided: Arc::default() }
    }

    /// Another handle to the same store, with another clock.
    #[must_use]
    pub fn with_ambient(&self, ambient: Ambient) -> Self {
        Self {
            memory: self.memory.with_ambient(ambient),
            fault: self.fault,
            remains: Arc::clone(&self.remains),
            decided: Arc::clone(&self.decided),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn with_remains<T>(&self, change: impl FnOnce(&mut Remains) -> T) -> T {
        change(&mut self.remains.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until another commit has been decided, if there is one, so that the two overlap even on a busy
    /// machine.
    async fn let_another_decide(&self) {
        const IF_THERE_IS_ONE: Duration = Duration::from_millis(10);
        self.decided.notify_waiters();
        let _ = tokio::time::timeout(IF_THERE_IS_ONE, self.decided.notified()).await;
    }

    /// Reads from a copy, which is replaced when it has become too old.
    fn read_replica(&self, key: &Key) -> Option<Document> {
        const LAG: Duration = Duration::from_millis(3);
        let documents = self.memory.documents(); // always locked before `remains`
        self.with_remains(|remains| {
            let replica = remains.replica.take().filter(|(copied_at, _)| copied_at.elapsed() < LAG);
            let (_, replica) =
                remains.replica.insert(replica.unwrap_or_else(|| (Instant::now(), documents.clone())));
            replica.get(key).cloned()
        })
    }

    /// Whether the response to an increment is lost: true for every fifth batch of increments.
    fn loses_an_answer(&self, batch: &Batch) -> bool {
        let only_adds = batch
            .operations()
            .iter()
            .all(|prepared| matches!(prepared.operation, Operation::Increment { .. }));
        self.has(Fault::RepeatsLostIncrements)
            && only_adds
            && self.with_remains(|remains| {
                remains.increments += 1;
                remains.increments.is_multiple_of(5)
            })
    }

    /// The store that reads use. If the fault is `ForgetsExpiry`, it has a clock on which nothing has expired.
    fn reader(&self) -> Memory {
        if self.has(Fault::ForgetsExpiry) || self.has(Fault::AddsToExpired) {
            let stopped = ManualClock::at(Timestamp::from_micros(i64::MIN));
            self.memory.with_ambient(Ambient::new(stopped, SystemRandomness))
        } else {
            self.memory.clone()
        }
    }

    fn misread_shards(&self, range: &Range, entries: &mut Vec<Entry>) {
        let Source::Index { index, .. } = &range.source else { return };
        let shards = u64::from(index.shard_count());
        let sum_of = |id: &str| id.bytes().map(u64::from).sum::<u64>();
        let shard_of =
            |entry: &Entry| entry.document.as_ref().map_or(0, |document| sum_of(document.key.id()) % shards);
        match self.fault {
            Fault::ForgetsAShard if shards > 1 => entries.retain(|entry| shard_of(entry) > 0),
            Fault::ConcatenatesShards => entries.sort_by_key(shard_of),
            _ => {}
        }
    }

    fn misread_copies(&self, range: &Range, entries: &mut Vec<Entry>) {
        let Source::Index { index, partition } = &range.source else { return };
        let copied = index.copied_fields();
        match self.fault {
            Fault::RefusesWhatIsNotCopied if !copied.is_empty() => {
                let is_copied = |filter: &Filter| copied.contains(&filter.field.as_str());
                if !range.filters.iter().all(is_copied) {
                    entries.iter_mut().for_each(|entry| entry.document = None);
                }
            }
            Fault::ListsWhatHasMoved => {
                let documents = self.memory.documents(); // always locked before `remains`
                self.with_remains(|remains| {
                    for first in remains.first_states.values() {
                        let Some(document) = documents.get(&first.key) else { continue };
                        let place_of = |document| IndexEntry::of(document, index);
                        if let Some(place) = place_of(first)
                            && place_of(document).as_ref() != Some(&place)
                            && place.partition == *partition
                        {
                            let document = Some(document.clone());
                            entries.push(Entry { position: place.position, document });
                        }
                    }
                });
            }
            _ => {}
        }
    }

    fn misread(&self, state: &mut State) {
        if self.has(Fault::DropsGuards) {
            state.owners.clear();
        }
        self.with_remains(|remains| state.owners.extend(remains.guards.clone()));
    }

    fn forgives(&self, batch: &Batch, rejection: &Rejection) -> bool {
        let operation = &batch.operations()[rejection.operation].operation;
        let absence = matches!(operation, Operation::Check { expect: Expect::Absent, .. });
        match rejection.cause {
            Cause::VersionMismatch => self.has(Fault::IgnoresVersions),
            Cause::CheckFailed => self.has(Fault::IgnoresAbsence) && absence,
            Cause::BelowMinimum => self.has(Fault::IgnoresFloors),
            _ => false,
        }
    }

    fn decide(&self, batch: &Batch, state: &State, now: Timestamp) -> Result<()> {
        let Err(Error::Rejected(mut rejections)) = evaluate(batch, state, now) else { return Ok(()) };
        rejections.retain(|rejection| !self.forgives(batch, rejection));
        if self.has(Fault::TellsTheLastFailure) {
            rejections.reverse();
        }
        if rejections.is_empty() { Ok(()) } else { Err(Error::Rejected(rejections)) }
    }

    /// Decides on a batch and applies it. Returns the outcome, and the operations that are still to be applied.
    fn decide_and_apply<'b>(
        &self,
        batch: &'b Batch,
        mut state: State,
        now: Timestamp,
    ) -> Result<(Result<()>, &'b [Prepared])> {
        let mut documents = self.memory.documents();
        if !self.has(Fault::DecidesWithoutLocks) {
            state = state_of(batch, &documents, now)?;
        }
        self.misread(&mut state);
        let outcome = self.decide(batch, &state, now);
        self.remember(batch, &outcome);
        let applied = match &outcome {
            Ok(()) => batch.operations().len(),
            Err(error) if self.has(Fault::AppliesHalves) => {
                error.rejection().map_or(0, |first| first.operation)
            }
            Err(_) => 0,
        };
        let at_once = if self.has(Fault::AppliesInSteps) { applied.min(1) } else { applied };
        let (first, later) = batch.operations()[..applied].split_at(at_once);
        first.iter().for_each(|prepared| apply(prepared, &mut documents));
        Ok((outcome, later))
    }

    fn remember(&self, batch: &Batch, outcome: &Result<()>) {
        self.with_remains(|remains| {
            for change in batch.guard_changes().iter().filter(|_| self.has(Fault::LeavesGuards)) {
                if let (Some(place), Err(_)) = (change.claimed_by, outcome) {
                    remains.guards.insert(change.guard.clone(), batch.operations()[place].key().clone());
                }
            }
            for document in batch.operations().iter().filter_map(|prepared| prepared.outcome(None)) {
                if let Some(expires_at) = document.expires_at.filter(|_| outcome.is_ok()) {
                    remains.expiries.entry(document.key.clone()).or_insert(expires_at);
                }
                remains.first_states.entry(document.key.clone()).or_insert(document);
            }
        });
    }

    fn compare(&self, a: &[u8], b: &[u8]) -> Ordering {
        let text = |position: &[u8]| String::from_utf8_lossy(position).into_owned();
        match self.fault {
            Fault::OrdersByUtf16 => text(a).encode_utf16().cmp(text(b).encode_utf16()),
            Fault::OrdersByLanguage => text(a).to_lowercase().cmp(&text(b).to_lowercase()),
            _ => a.cmp(b),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Database for Mutant {
    async fn migrate(&self, schema: &Schema) -> Result<()> {
        self.memory.migrate(schema).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>> {
        if self.has(Fault::ReadsFromReplica) {
            self.memory.pause().await;
            return Ok(self.read_replica(key));
        }
        self.reader().get(key).await
    }

    async fn get_many(&self, keys: &[Key], consistency: Consistency) -> Result<Vec<Option<Document>>> {
        let mut found = self.reader().get_many(keys, consistency).await?;
        if self.has(Fault::IgnoresUnprocessedKeys) {
            found.iter_mut().skip(100).for_each(|document| *document = None);
        }
        Ok(found)
    }

    async fn lookup(&self, unique: &UniqueKey) -> Result<Option<Document>> {
        self.reader().lookup(unique).await
    }

    async fn query(&self, query: &Query) -> Result<Page> {
        let mut page = paging::query(self, query).await?;
        if self.has(Fault::LosesPages) {
            page.next = None;
        }
        Ok(page)
    }

    async fn search(&self, search: &Search) -> Result<Page> {
        paging::search(self, search).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        paging::scan(self, scan).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Version>> {
        self.memory.pause().await;
        let now = self.memory.ambient.now();
        let state = state_of(batch, &self.memory.documents(), now)?;
        if self.has(Fault::DecidesWithoutLocks) {
            self.let_another_decide().await;
        }
        if self.has(Fault::IgnoresChecks) && batch.only_checks() {
            return Ok(batch.versions());
        }
        let (outcome, rest) = self.decide_and_apply(batch, state, now)?;
        for prepared in rest {
            tokio::time::sleep(Duration::from_millis(1)).await;
            apply(prepared, &mut self.memory.documents());
        }
        if outcome.is_ok() && self.loses_an_answer(batch) {
            batch.operations().iter().for_each(|prepared| apply(prepared, &mut self.memory.documents()));
        }
        outcome.map(|()| batch.versions())
    }

    async fn add(&self, addition: &Addition) -> Result<i64> {
        if self.has(Fault::AddsToExpired) {
            return self.reader().add(addition).await;
        }
        if self.has(Fault::AddsWithoutLocks) {
            let before = self.memory.get(addition.key()).await?;
            self.let_another_decide().await;
            let (batch, tally) = addition.applied_to(before)?;
            batch.operations().iter().for_each(|prepared| apply(prepared, &mut self.memory.documents()));
            return Ok(tally);
        }
        self.memory.add(addition).await
    }

    async fn sweep_expired(&self, at_most: u32) -> Result<u64> {
        let swept = self.memory.sweep_expired(at_most).await?;
        if self.has(Fault::SweepsTheLiving) {
            let now = self.memory.ambient.now();
            let expired = self.with_remains(|remains| std::mem::take(&mut remains.expiries));
            let expired = expired.into_iter().filter(|(_, expires_at)| *expires_at <= now);
            expired.for_each(|(key, _)| drop(self.memory.documents().remove(&key)));
        }
        Ok(swept)
    }

    async fn ping(&self) -> Result<()> {
        self.memory.ping().await
    }
}

#[async_trait]
impl Ranges for Mutant {
    async fn read_range(&self, range: &Range, at_most: usize) -> Result<Vec<Entry>> {
        let mut range = range.clone();
        if self.has(Fault::RepeatsTheAnchor) && range.from.ends_with(&[0, 0]) {
            range.from.pop();
        }
        let mut entries = self.reader().read_range(&range, usize::MAX).await?;
        entries.sort_by(|a, b| self.compare(&a.position, &b.position));
        if range.descending {
            entries.reverse();
        }
        self.misread_shards(&range, &mut entries);
        self.misread_copies(&range, &mut entries);
        entries.truncate(at_most);
        if self.has(Fault::KeepsOldContent) {
            self.with_remains(|remains| {
                for document in entries.iter_mut().filter_map(|entry| entry.document.as_mut()) {
                    document.body.clone_from(&remains.first_states[&document.key].body);
                }
            });
        }
        Ok(entries)
    }

    async fn read_collection(
        &self,
        collection: &'static Collection,
        after: Option<&str>,
        at_most: usize,
    ) -> Result<Vec<Document>> {
        self.reader().read_collection(collection, after, at_most).await
    }
}
