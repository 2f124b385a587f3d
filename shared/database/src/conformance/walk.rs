//! Random walks: operations generated from a seed, run on a store and on the in-memory model, and compared step by
//! step.

use std::any::Any;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use switchyard_ambient::{Ambient, ManualClock, SeededRandomness, Timestamp};
use tokio::task::{JoinError, JoinSet};

use super::words::{body, check, key};
use super::{Memory, Store, Subject, run};
use crate::{
    Batch, Collection, Consistency, Database, Document, Error, Expect, Field, Filter, Index, Key, Operation,
    Page, Query, Scan, Schema, Search, Unique, UniqueKey,
};

const THINGS: &Collection = &Collection::new("things")
    .fields(&[
        Field::string("group").few_values(),
        Field::integer("rank"),
        Field::string("code"),
        Field::string("title"),
        Field::integer("count"),
    ])
    .indexes(&[
        Index::new("of_group").partition(&["group"]).sort(&["rank"]).shards(2),
        Index::new("by_rank").sort(&["rank", "code"]).shards(3),
    ])
    .uniques(&[Unique::new("code", &["code"]), Unique::new("place", &["group", "rank"])])
    .search(&["title"])
    .counters(&["count"])
    .expiring();

const IDS: [&str; 8] = ["a", "A", "b", "é", "\u{ffff}", "😀", "a b", "zz"];
const CODES: [&str; 5] = ["x", "X", "y", "é", ""];

/// The number of moves in a walk.
const MOVES: usize = 60;
/// The default number of walks; the variable `SWITCHYARD_TEST_WALKS` overrides it.
const WALKS: u64 = 6;
/// The number of concurrent walks.
const AT_ONCE: usize = 6;
/// The maximum time for shortening a walk that fails.
const SEARCH: Duration = Duration::from_secs(60);

/// Runs walks on stores that the closure creates, with the seeds 1 to 6, or 1 to `SWITCHYARD_TEST_WALKS`.
///
/// # Panics
///
/// Panics if a store differs from the model. The message has the shortest list of moves that was found to show the
/// difference.
pub async fn walks<S, F>(subject: impl Fn() -> F + Clone + Send + Sync + 'static)
where
    S: Subject,
    F: Future<Output = S> + Send + 'static,
{
    let walks = std::env::var("SWITCHYARD_TEST_WALKS")
        .map_or(WALKS, |walks| walks.parse().expect("SWITCHYARD_TEST_WALKS is a number"));
    let mut running = JoinSet::new();
    for seed in 1..=walks {
        if running.len() == AT_ONCE {
            expect_sameness(running.join_next().await);
        }
        let subject = subject.clone();
        running.spawn(async move { walk(&subject, seed).await });
    }
    while let Some(walked) = running.join_next().await {
        expect_sameness(Some(walked));
    }
}

fn expect_sameness(walked: Option<Result<Result<(), String>, JoinError>>) {
    match walked {
        Some(Ok(Err(difference))) => panic!("{difference}"),
        Some(Err(failure)) => std::panic::resume_unwind(failure.into_panic()),
        Some(Ok(Ok(()))) | None => (),
    }
}

async fn walk<S, F>(subject: &(impl Fn() -> F + Sync), seed: u64) -> Result<(), String>
where
    S: Subject,
    F: Future<Output = S> + Send,
{
    let moves = Dice::new(ManualClock::at(Timestamp::from_micros(0)), seed).moves();
    let Err(difference) = follow(subject().await, moves.clone()).await else { return Ok(()) };
    let (moves, difference) = shorten(subject, moves, difference).await;
    let moves: Vec<_> = moves.iter().map(|step| format!("{step:?}")).collect();
    Err(format!("seed {seed}: {difference}\nafter these of its {MOVES} moves:\n{}", moves.join("\n")))
}

/// Removes as many moves as it can, starting with halves, while the remaining moves still fail: Zeller and
/// Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002).
async fn shorten<S, F>(
    subject: &(impl Fn() -> F + Sync),
    mut moves: Vec<Move>,
    mut difference: String,
) -> (Vec<Move>, String)
where
    S: Subject,
    F: Future<Output = S> + Send,
{
    let started = Instant::now();
    let mut length = moves.len() / 2;
    while length > 0 {
        let mut first = 0;
        while first < moves.len() && started.elapsed() < SEARCH {
            let mut rest = moves.clone();
            rest.drain(first..moves.len().min(first + length));
            match follow(subject().await, rest.clone()).await {
                Ok(()) => first += length,
                Err(shorter) => (moves, difference) = (rest, shorter),
            }
        }
        length /= 2;
    }
    (moves, difference)
}

/// Makes the moves on a store and on a model. Fails with the first difference.
async fn follow(subject: impl Subject, moves: Vec<Move>) -> Result<(), String> {
    let followed = tokio::spawn(run(subject, |store| make(store, moves))).await;
    followed.map_err(|failure| message_of(failure.into_panic()))
}

fn message_of(failure: Box<dyn Any + Send>) -> String {
    match failure.downcast::<String>() {
        Ok(message) => *message,
        Err(other) => other.downcast_ref::<&str>().map_or_else(String::new, |message| (*message).to_owned()),
    }
}

async fn make(store: Store, moves: Vec<Move>) {
    store.migrate(&[THINGS]).await;
    let model = Memory::new(store.ambient().clone());
    model.migrate(&Schema::new([THINGS]).expect("the schema is valid")).await.expect("the model migrates");
    let instances = [store.clone(), store.another().await];
    // All states that were read: a write may be based on an old one.
    let mut seen: BTreeMap<Key, Vec<Document>> = BTreeMap::new();
    for (instance, step) in instances.iter().cycle().zip(&moves) {
        match step {
            Move::Wait(time) => store.clock.advance(*time),
            Move::Sweep => sweep(instance, &model).await,
            Move::List(listing) => compare_pages(instance, &model, listing).await,
            Move::Commit(drafts) => {
                let operations = drafts.iter().map(|draft| draft.operation(&seen, store.ambient())).collect();
                commit(instance, &model, operations).await;
            }
        }
        compare_reads(instance, &model, &mut seen).await;
    }
}

/// One step of a walk. It does not depend on the state of the store, so that any part of a walk is a valid walk.
#[derive(Clone, Debug)]
enum Move {
    Wait(Duration),
    Sweep,
    List(Listing),
    Commit(Vec<Draft>),
}

/// An operation whose previous state is not known yet.
#[derive(Clone, Debug)]
struct Draft {
    kind: Kind,
    id: &'static str,
    /// Which of the states read so far the operation is based on; 0 is the latest one.
    age: usize,
    body: Map<String, Value>,
    expires_in: Option<Duration>,
}

#[derive(Clone, Debug)]
enum Kind {
    Create,
    Replace,
    Delete,
    CheckVersion,
    Check(Expect),
    Increment { by: i64, at_least: Option<i64> },
}

impl Draft {
    /// The operation; a `Create` if no state of the document has been read yet.
    fn operation(&self, seen: &BTreeMap<Key, Vec<Document>>, ambient: &Ambient) -> Operation {
        let key = key(THINGS, self.id);
        let states = seen.get(&key).map_or(&[][..], Vec::as_slice);
        let previous = states.iter().rev().nth(self.age).or(states.first()).cloned();
        let body = self.body.clone();
        let expires_at = self.expires_in.map(|time| ambient.now() + time);
        match (&self.kind, previous) {
            (Kind::Replace, Some(previous)) => Operation::Replace { previous, body, expires_at },
            (Kind::Delete, Some(previous)) => Operation::Delete { previous },
            (Kind::CheckVersion, Some(previous)) => check(THINGS, self.id, Expect::Version(previous.version)),
            (Kind::Check(expect), _) => check(THINGS, self.id, *expect),
            (Kind::Increment { by, at_least }, _) => {
                Operation::Increment { key, field: "count", by: *by, at_least: *at_least }
            }
            _ => Operation::Create { key, body, expires_at },
        }
    }
}

/// Draws everything from a seed, so that the seed determines the whole walk.
pub(super) struct Dice(Ambient);

impl Dice {
    pub(super) fn new(clock: ManualClock, seed: u64) -> Self {
        Self(Ambient::new(clock, SeededRandomness::new(seed)))
    }

    pub(super) fn below(&self, bound: usize) -> usize {
        usize::try_from(u64::from_le_bytes(self.0.bytes()) % bound as u64).unwrap_or(0)
    }

    fn one<T: Clone>(&self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn seconds(&self, bound: usize) -> Duration {
        Duration::from_secs(self.below(bound) as u64)
    }

    /// Draws the moves of a walk, which ends with several listings.
    fn moves(&self) -> Vec<Move> {
        let moves = (0..MOVES - 5).map(|_| match self.below(10) {
            0 => Move::Wait(self.seconds(30)),
            1 => Move::Sweep,
            2 => Move::List(self.listing()),
            _ => Move::Commit((0..=self.below(4)).map(|_| self.draft()).collect()),
        });
        let last = (0..5).map(|_| Move::List(self.listing()));
        moves.chain(last).collect()
    }

    fn draft(&self) -> Draft {
        let kind = match self.below(9) {
            0..=2 => Kind::Replace,
            3 => Kind::Delete,
            4 => Kind::CheckVersion,
            5 => Kind::Check(self.one(&[Expect::Absent, Expect::Exists])),
            6 | 7 => Kind::Increment {
                by: self.one(&[1, -1, 7, i64::MAX, i64::MIN]),
                at_least: self.one(&[None, None, Some(0), Some(i64::MIN)]),
            },
            _ => Kind::Create,
        };
        // Mostly the latest state that was read, sometimes an older one.
        let age = if self.below(6) == 0 { self.below(6) } else { 0 };
        let expires_in = (self.below(3) == 0).then(|| self.seconds(40));
        Draft { kind, id: self.one(&IDS), age, body: self.body(), expires_in }
    }

    /// Draws one of a few values, so that documents share values; sometimes `null` or none.
    fn value(&self, of: &[Value]) -> Option<Value> {
        match self.below(10) {
            0 => None,
            1 => Some(Value::Null),
            _ => Some(self.one(of)),
        }
    }

    fn body(&self) -> Map<String, Value> {
        let mut content = json!({"count": self.one(&[0, 1, -5, i64::MAX, i64::MIN])});
        let fields = [
            ("group", vec![json!("g"), json!("h"), json!("")]),
            ("rank", vec![json!(0), json!(1.0), json!(-1), json!(i64::MAX), json!(i64::MIN)]),
            ("code", vec![json!("x"), json!("X"), json!("y"), json!("é"), json!("")]),
            ("title", vec![json!("red shoe"), json!("Réd bag"), json!("shoes"), json!("%"), json!("")]),
            ("free", vec![json!(0.1), json!([1, {"a": null}]), json!(1e19), json!("")]),
        ];
        for (name, values) in fields {
            if let Some(value) = self.value(&values) {
                content[name] = value;
            }
        }
        body(content)
    }

    fn listing(&self) -> Listing {
        let limit = u32::try_from(1 + self.below(9)).unwrap_or(1);
        match self.below(3) {
            0 => Listing::Search(
                Search::new(THINGS, self.one(&["red", "sho", "r", "bag red", "x", "shoe"])).limit(limit),
            ),
            1 => Listing::Scan(Scan::new(THINGS).limit(limit)),
            _ => Listing::Query(self.query().limit(limit)),
        }
    }

    fn query(&self) -> Query {
        let mut query = match self.below(2) {
            0 => Query::new(THINGS, "of_group").partition([self.one(&["g", "h", ""])]),
            _ => Query::new(THINGS, "by_rank"),
        };
        if self.below(2) == 0 {
            query = query.descending();
        }
        match self.below(4) {
            0 => query.at_least([self.one(&[0, 1, -1, i64::MIN])]),
            1 => query.below([self.one(&[0, 1, i64::MAX])]),
            2 => query.filter(Filter::one_of("code", ["x", "y", ""])),
            _ => query,
        }
    }
}

async fn commit(store: &Store, model: &Memory, operations: Vec<Operation>) {
    // An invalid batch is refused before it is sent, in the same way on every backend.
    let Ok(batch) = Batch::new(operations, store.ambient()) else { return };
    let expected = model.commit(&batch).await;
    let mut answer = store.backend().commit(&batch).await;
    while answer.as_ref().is_err_and(Error::is_retryable) {
        tokio::time::sleep(Duration::from_millis(5)).await;
        answer = store.backend().commit(&batch).await;
    }
    // The contract promises only the lowest rejection; others may follow.
    let lowest = |outcome: &Result<_, Error>| match outcome {
        Err(error @ Error::Rejected(_)) => Err(error.rejection().cloned()),
        other => Ok(other.clone()),
    };
    assert_eq!(lowest(&answer), lowest(&expected), "commit");
}

async fn compare_reads(store: &Store, model: &Memory, seen: &mut BTreeMap<Key, Vec<Document>>) {
    let keys = IDS.map(|id| key(THINGS, id));
    let expected = model.get_many(&keys, Consistency::Linearizable).await;
    assert_eq!(store.backend().get_many(&keys, Consistency::Linearizable).await, expected, "get_many");
    for document in expected.expect("the model returns the documents").into_iter().flatten() {
        let states = seen.entry(document.key.clone()).or_default();
        if !states.contains(&document) {
            states.push(document);
        }
    }
    for code in CODES {
        let unique = UniqueKey::new(THINGS, "code", [code]).expect("the attribute is declared");
        let expected = model.lookup(&unique).await;
        assert_eq!(store.backend().lookup(&unique).await, expected, "lookup of `{code}`");
    }
}

async fn sweep(store: &Store, model: &Memory) {
    // An index that lags may find fewer documents, so the numbers are not compared. The documents are, after every
    // move.
    store.backend().sweep_expired(3).await.expect("expired documents are swept");
    model.sweep_expired(3).await.expect("the model sweeps");
}

async fn compare_pages(store: &Store, model: &Memory, listing: &Listing) {
    let expected = listing.pages(model).await;
    store.eventually(expected, || listing.pages(store.backend())).await;
}

/// A listing that is read page by page.
#[derive(Clone, Debug)]
enum Listing {
    Query(Query),
    Search(Search),
    Scan(Scan),
}

impl Listing {
    async fn page(&self, database: &dyn Database, cursor: Option<String>) -> Result<Page, Error> {
        match self {
            Self::Query(query) => database.query(&query.clone().after(cursor)).await,
            Self::Search(search) => database.search(&search.clone().after(cursor)).await,
            Self::Scan(scan) => database.scan(&scan.clone().after(cursor)).await,
        }
    }

    /// Returns the number of documents in each page, and the documents. A scan has no order, so its documents are
    /// sorted by id.
    async fn pages(&self, database: &dyn Database) -> (Vec<usize>, Vec<Document>) {
        let mut sizes = Vec::new();
        let mut documents = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.page(database, cursor).await.expect("the page is read");
            sizes.push(page.documents.len());
            documents.extend(page.documents);
            cursor = page.next;
            assert!(sizes.len() < 100, "the pages of {self:?} do not end");
            if cursor.is_none() {
                break;
            }
        }
        if matches!(self, Self::Scan(_)) {
            documents.sort_by(|a, b| a.key.cmp(&b.key));
        }
        (sizes, documents)
    }
}
