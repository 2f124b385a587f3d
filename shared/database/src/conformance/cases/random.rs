use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};
use switchyard_ambient::{Ambient, ManualClock, SeededRandomness, Timestamp};

use crate::conformance::words::{body, check, key};
use crate::conformance::{Memory, Store};
use crate::{
    Batch, Collection, Database, Document, Error, Expect, Field, Filter, Index, Key, Operation, Page, Query,
    Scan, Schema, Search, Unique, UniqueKey,
};

const THINGS: &Collection = &Collection::new("things")
    .fields(&[
        Field::string("group"),
        Field::integer("rank"),
        Field::string("code"),
        Field::string("title"),
        Field::integer("count"),
    ])
    .indexes(&[
        Index::new("of_group").partition(&["group"]).sort(&["rank"]),
        Index::new("by_rank").sort(&["rank", "code"]).shards(3),
    ])
    .uniques(&[Unique::new("code", &["code"]), Unique::new("place", &["group", "rank"])])
    .search(&["title"])
    .counters(&["count"])
    .expiring();

const STEPS: u32 = 60;

pub async fn seed_1_is_as_the_model(store: Store) {
    walk(store, 1).await;
}

pub async fn seed_2_is_as_the_model(store: Store) {
    walk(store, 2).await;
}

pub async fn seed_3_is_as_the_model(store: Store) {
    walk(store, 3).await;
}

pub async fn seed_4_is_as_the_model(store: Store) {
    walk(store, 4).await;
}

pub async fn seed_5_is_as_the_model(store: Store) {
    walk(store, 5).await;
}

pub async fn seed_6_is_as_the_model(store: Store) {
    walk(store, 6).await;
}

/// Draws operations from a seed, does each on the store and on the model, and compares what they answer.
async fn walk(store: Store, seed: u64) {
    println!("seed {seed}");
    store.migrate(&[THINGS]).await;
    let model = Memory::new(store.ambient().clone());
    model.migrate(&Schema::new([THINGS]).expect("the schema is one")).await.expect("the model migrates");
    // Cases draw from the seed alone, so that a seed says all that happens.
    let dice = Dice::new(store.clock.clone(), seed);
    let instances = [store.clone(), store.another().await];
    // States that were read at some time: what a write is based on may be old.
    let mut seen: BTreeMap<Key, Vec<Document>> = BTreeMap::new();
    for step in 0..STEPS {
        let step = format!("seed {seed}, step {step}");
        let instance = &instances[dice.below(2)];
        match dice.below(10) {
            0 => store.clock.advance(Duration::from_secs(dice.below(30) as u64)),
            1 => sweep(instance, &model, &step).await,
            2 => compare_listings(instance, &model, &dice, &step).await,
            _ => commit(instance, &model, &dice, &mut seen, &step).await,
        }
        compare_reads(instance, &model, &mut seen, &step).await;
    }
    for _ in 0..5 {
        compare_listings(&store, &model, &dice, &format!("seed {seed}, at the end")).await;
    }
}

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

    /// A value of a few, so that documents meet.
    fn value(&self, of: &[Value]) -> Option<Value> {
        match self.below(10) {
            0 => None,
            1 => Some(Value::Null),
            _ => Some(self.one(of)),
        }
    }

    fn id(&self) -> &'static str {
        self.one(&["a", "A", "b", "é", "\u{ffff}", "😀", "a b", "zz"])
    }

    fn expires_at(&self) -> Option<Timestamp> {
        match self.below(3) {
            0 => Some(self.0.now() + Duration::from_secs(self.below(40) as u64)),
            _ => None,
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

    fn operation(&self, seen: &BTreeMap<Key, Vec<Document>>) -> Operation {
        let key = key(THINGS, self.id());
        // Mostly the newest state that was read, sometimes an older one.
        let previous = seen.get(&key).map(|states| match self.below(6) {
            0 => self.one(states),
            _ => states[states.len() - 1].clone(),
        });
        match (self.below(9), previous) {
            (0..=2, Some(previous)) => {
                Operation::Replace { previous, body: self.body(), expires_at: self.expires_at() }
            }
            (3, Some(previous)) => Operation::Delete { previous },
            (4, Some(previous)) => check(THINGS, key.id(), Expect::Version(previous.version)),
            (5, _) => check(THINGS, key.id(), self.one(&[Expect::Absent, Expect::Exists])),
            (6 | 7, _) => Operation::Increment {
                key,
                field: "count",
                by: self.one(&[1, -1, 7, i64::MAX, i64::MIN]),
                at_least: self.one(&[None, None, Some(0), Some(i64::MIN)]),
            },
            _ => Operation::Create { key, body: self.body(), expires_at: self.expires_at() },
        }
    }
}

async fn commit(
    store: &Store,
    model: &Memory,
    dice: &Dice,
    seen: &mut BTreeMap<Key, Vec<Document>>,
    step: &str,
) {
    let operations: Vec<Operation> = (0..1 + dice.below(4)).map(|_| dice.operation(seen)).collect();
    println!("{step}: {operations:?}");
    // What contradicts itself is refused before it is sent, in the same way for everybody.
    let Ok(batch) = Batch::new(operations, store.ambient()) else { return };
    let expected = model.commit(&batch).await;
    let mut answer = store.backend().commit(&batch).await;
    while answer.as_ref().is_err_and(Error::is_retryable) {
        tokio::time::sleep(Duration::from_millis(5)).await;
        answer = store.backend().commit(&batch).await;
    }
    // The lowest rejection is promised, others may be told.
    let lowest = |outcome: &Result<_, Error>| match outcome {
        Err(error @ Error::Rejected(_)) => Err(error.rejection().cloned()),
        other => Ok(other.clone()),
    };
    assert_eq!(lowest(&answer), lowest(&expected), "{step}: commit");
}

async fn compare_reads(store: &Store, model: &Memory, seen: &mut BTreeMap<Key, Vec<Document>>, step: &str) {
    let keys: Vec<Key> =
        ["a", "A", "b", "é", "\u{ffff}", "😀", "a b", "zz"].iter().map(|id| key(THINGS, id)).collect();
    let expected = model.get_many(&keys).await;
    assert_eq!(store.backend().get_many(&keys).await, expected, "{step}: get_many");
    for document in expected.expect("the model answers").into_iter().flatten() {
        let states = seen.entry(document.key.clone()).or_default();
        if !states.contains(&document) {
            states.push(document);
        }
    }
    for code in ["x", "X", "y", "é", ""] {
        let unique = UniqueKey::new(THINGS, "code", [code]).expect("the attribute is declared");
        let expected = model.lookup(&unique).await;
        assert_eq!(store.backend().lookup(&unique).await, expected, "{step}: lookup of `{code}`");
    }
}

async fn sweep(store: &Store, model: &Memory, step: &str) {
    println!("{step}: sweep");
    // How much is found is up to indexes that may lag; what is left is compared after every step.
    store.backend().sweep_expired(3).await.expect("expired documents are swept");
    model.sweep_expired(3).await.expect("the model sweeps");
}

async fn compare_listings(store: &Store, model: &Memory, dice: &Dice, step: &str) {
    let limit = u32::try_from(1 + dice.below(9)).unwrap_or(1);
    let mut query = match dice.below(2) {
        0 => Query::new(THINGS, "of_group").partition([dice.one(&["g", "h", ""])]),
        _ => Query::new(THINGS, "by_rank"),
    }
    .limit(limit);
    if dice.below(2) == 0 {
        query = query.descending();
    }
    query = match dice.below(4) {
        0 => query.at_least([dice.one(&[0, 1, -1, i64::MIN])]),
        1 => query.below([dice.one(&[0, 1, i64::MAX])]),
        2 => query.filter(Filter::one_of("code", ["x", "y", ""])),
        _ => query,
    };
    let search = Search::new(THINGS, dice.one(&["red", "sho", "r", "bag red", "x", "shoe"])).limit(limit);
    let scan = Scan::new(THINGS).limit(limit);
    for listing in [Listing::Query(query), Listing::Search(search), Listing::Scan(scan)] {
        println!("{step}: {listing:?}");
        let expected = listing.pages(model).await;
        store.eventually(expected, || listing.pages(store.backend())).await;
    }
}

/// What is read page by page.
#[derive(Debug)]
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

    /// How many documents each page has, and the documents; those of a scan, which has no order, in that of their ids.
    async fn pages(&self, database: &dyn Database) -> (Vec<usize>, Vec<Document>) {
        let mut sizes = Vec::new();
        let mut documents = Vec::new();
        let mut cursor = None;
        loop {
            let page = self.page(database, cursor).await.expect("the page is read");
            sizes.push(page.documents.len());
            documents.extend(page.documents);
            cursor = page.next;
            assert!(sizes.len() < 100, "the pages of {self:?} come to no end");
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
