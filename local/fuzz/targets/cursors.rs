//! Cursors: the pages of a list together are the whole list, and a cursor that was never issued is refused or stays
//! within the list.

#![no_main]

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::LazyLock;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::executor::block_on;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use switchyard_database::limits::MAX_SORT_KEY_BYTES;
use switchyard_database::paging::{self, Entry, Range, Ranges, Source};
use switchyard_database::{
    Collection, Document, Error, Field, Filter, Index, IndexEntry, Key, Page, Projection, Query, Result,
    Scalar, Scan, Search, Version, term_position, terms,
};

const NOTES: &Collection = &Collection::new("notes")
    .fields(&[Field::boolean("pinned"), Field::integer("rank"), Field::string("title")])
    .indexes(&[
        Index::new("by_rank").partition(&["pinned"]).sort(&["rank", "title"]).shards(2),
        Index::new("by_title").partition(&["pinned"]).sort(&["title"]).shards(2),
    ])
    .search(&["title"]);

static STORE: LazyLock<Vec<Document>> = LazyLock::new(|| {
    let ranks = [0, 1, -1, i64::MAX, i64::MIN, 255, 256];
    let titles = ["", "a", "ab", "ab a b", "Äpfel und Birnen", "b\u{1}", "山田", "😀 ab"];
    let numbers = 0..24;
    numbers
        .map(|number| {
            let (rank, title) = (ranks[number % ranks.len()], titles[number % titles.len()]);
            note(&format!("n{number}"), number % 5 != 0, rank, title)
        })
        .collect()
});

/// The index entries and search terms of each note.
static PROJECTIONS: LazyLock<Vec<Projection>> = LazyLock::new(|| STORE.iter().map(Projection::of).collect());

fn note(id: &str, pinned: bool, rank: i64, title: &str) -> Document {
    let body = json!({"pinned": pinned, "rank": rank, "title": title});
    let body = body.as_object().expect("an object").clone();
    let key = Key::new(NOTES, id).expect("a key");
    Document { key, version: Version::NONE, body, expires_at: None }
}

#[derive(Arbitrary, Debug)]
struct Input {
    by_title: bool,
    pinned: bool,
    from: Edge,
    to: Edge,
    descending: bool,
    /// Only notes of these ranks.
    ranks: Option<Vec<i64>>,
    limit: u8,
    words: String,
    /// A forged position.
    position: Vec<u8>,
    /// If set, resizes `position` to the maximum length plus this.
    longer: Option<i8>,
    id: String,
    /// Bytes to replace in the text of a cursor.
    edits: Vec<(u8, u8)>,
    cursor: String,
}

#[derive(Arbitrary, Debug)]
enum Edge {
    None,
    Included(i64, Option<String>),
    Excluded(i64, Option<String>),
}

fuzz_target!(|input: Input| {
    let limit = u32::from(input.limit % 8) + 1;
    let query = query_of(&input);
    let search = Search::new(NOTES, input.words.clone());
    let scan = Scan::new(NOTES);

    let run_query =
        |limit, cursor| block_on(paging::query(&Store, &query.clone().limit(limit).after(cursor)));
    let run_search =
        |limit, cursor| block_on(paging::search(&Store, &search.clone().limit(limit).after(cursor)));
    let run_scan = |limit, cursor| block_on(paging::scan(&Store, &scan.clone().limit(limit).after(cursor)));

    let found = notes_of(&query);
    let found_by_words = terms::of_search(&input.words).map(|wanted| found_by(&wanted));
    let of_pages = [
        walk(|cursor| run_query(limit, cursor), &found),
        found_by_words.as_ref().map_or(Vec::new(), |found| walk(|cursor| run_search(limit, cursor), found)),
        walk(|cursor| run_scan(limit, cursor), &every_note()),
    ];
    assert!(found_by_words.is_ok() || matches!(run_search(limit, None), Err(Error::Limit(_))));

    // Pages of one note each return all valid cursors.
    let of_query = LazyCell::new(|| walk(|cursor| run_query(1, cursor), &found));
    let of_search = LazyCell::new(|| {
        found_by_words.as_ref().map_or(Vec::new(), |found| walk(|cursor| run_search(1, cursor), found))
    });
    let of_scan = LazyCell::new(|| walk(|cursor| run_scan(1, cursor), &every_note()));
    let edited = of_pages.iter().flatten().map(|cursor| edit(cursor, &input.edits));
    for cursor in edited.chain([input.cursor.clone()]) {
        let (any, [query, search, scan]) = (Some(cursor.clone()), of_pages.each_ref());
        let is_refused = run_query(limit, any.clone()) == Err(Error::BadCursor);
        assert!(is_refused || query.contains(&cursor) || of_query.contains(&cursor));
        let is_refused = run_search(limit, any.clone()).is_err();
        assert!(is_refused || search.contains(&cursor) || of_search.contains(&cursor));
        let is_refused = run_scan(limit, any) == Err(Error::BadCursor);
        assert!(is_refused || scan.contains(&cursor) || of_scan.contains(&cursor));
    }
    let mut position = input.position.clone();
    if let Some(longer) = input.longer {
        position.resize(MAX_SORT_KEY_BYTES.saturating_add_signed(longer.into()), 0);
    }
    a_forged_position_stays_within_the_query(&query, &found, &position);
    a_forged_id_stays_within_the_scan(&input.id);
});

fn query_of(input: &Input) -> Query {
    let index = if input.by_title { "by_title" } else { "by_rank" };
    let mut query = Query::new(NOTES, index).partition([input.pinned]);
    query.descending = input.descending;
    query.from = edge(&input.from, input.by_title);
    query.to = edge(&input.to, input.by_title);
    match &input.ranks {
        Some(ranks) => query.filter(Filter::one_of("rank", ranks.iter().copied().take(100))),
        None => query,
    }
}

fn edge(edge: &Edge, by_title: bool) -> Bound<Vec<Scalar>> {
    let values = |rank: &i64, title: &Option<String>| {
        let title = title.as_ref().map(|title| title.replace('\0', "")).filter(|title| title.len() <= 512);
        match title {
            Some(title) if by_title => vec![title.into()],
            Some(title) => vec![(*rank).into(), title.into()],
            None if by_title => vec![],
            None => vec![(*rank).into()],
        }
    };
    match edge {
        Edge::None => Bound::Unbounded,
        Edge::Included(rank, title) => Bound::Included(values(rank, title)),
        Edge::Excluded(rank, title) => Bound::Excluded(values(rank, title)),
    }
}

/// Reads a list page by page and returns the cursors that were issued.
fn walk(run: impl Fn(Option<String>) -> Result<Page>, expected: &[&str]) -> Vec<String> {
    let (mut ids, mut given) = (Vec::new(), Vec::<String>::new());
    loop {
        let page = run(given.last().cloned()).expect("an issued cursor is valid");
        ids.extend(page.documents.iter().map(|document| document.key.id().to_owned()));
        let Some(next) = page.next else { break };
        let bytes = URL_SAFE_NO_PAD.decode(&next).expect("a cursor is base64url");
        assert_eq!(URL_SAFE_NO_PAD.encode(bytes), next);
        assert!(!given.contains(&next), "a cursor was issued twice");
        given.push(next);
    }
    assert_eq!(ids, expected);
    given
}

/// The ids that a query finds, computed from the values of the notes instead of their encoding.
fn notes_of(query: &Query) -> Vec<&'static str> {
    let index = NOTES.index(query.index).expect("an index");
    let values = |note: &Document| -> Vec<Scalar> {
        index.sort.iter().map(|field| Scalar::from_json(&note.body[*field]).expect("a value")).collect()
    };
    let is_above = |values: &[Scalar]| match &query.from {
        Bound::Included(from) => values[..from.len()] >= from[..],
        Bound::Excluded(from) => values[..from.len()] > from[..],
        Bound::Unbounded => true,
    };
    let is_below = |values: &[Scalar]| match &query.to {
        Bound::Included(to) => values[..to.len()] <= to[..],
        Bound::Excluded(to) => values[..to.len()] < to[..],
        Bound::Unbounded => true,
    };
    let mut notes: Vec<&Document> = STORE
        .iter()
        .filter(|note| Scalar::from_json(&note.body["pinned"]).as_ref() == query.partition.first())
        .filter(|note| is_above(&values(note)) && is_below(&values(note)))
        .filter(|note| query.filters.iter().all(|filter| filter.matches(&note.body)))
        .collect();
    notes.sort_by_key(|note| (values(note), note.key.id()));
    if query.descending {
        notes.reverse();
    }
    notes.into_iter().map(|note| note.key.id()).collect()
}

/// The ids that a search finds, ordered by the lowest word that starts with the longest of `wanted`, then by id.
fn found_by(wanted: &BTreeSet<String>) -> Vec<&'static str> {
    let longest = wanted.iter().map(String::len).max();
    let Some(leading) = wanted.iter().find(|term| Some(term.len()) == longest) else { return Vec::new() };
    let mut found = BTreeSet::new();
    for (note, Projection { terms, .. }) in STORE.iter().zip(PROJECTIONS.iter()) {
        let met = |prefix: &String| terms.iter().find(|term| term.starts_with(prefix.as_str())).cloned();
        if wanted.iter().all(|prefix| met(prefix).is_some()) {
            found.insert((met(leading), note.key.id()));
        }
    }
    found.into_iter().map(|(_, id)| id).collect()
}

fn every_note() -> Vec<&'static str> {
    let ids: BTreeSet<&str> = STORE.iter().map(|note| note.key.id()).collect();
    ids.into_iter().collect()
}

fn edit(cursor: &str, edits: &[(u8, u8)]) -> String {
    let mut bytes = cursor.as_bytes().to_vec();
    for (place, byte) in edits {
        let place = usize::from(*place) % bytes.len();
        bytes[place] = *byte;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The digest in a cursor is not a signature, so anyone can forge a cursor. A forged cursor must stay within the list.
fn a_forged_position_stays_within_the_query(query: &Query, found: &[&str], position: &[u8]) {
    let Some(cursor) = forged_cursor(query, position) else { return };
    let page = block_on(paging::query(&Store, &query.clone().limit(1000).after(Some(cursor.clone()))));
    let mut other = query.clone().after(Some(cursor));
    other.descending = !query.descending;
    assert_eq!(block_on(paging::query(&Store, &other)), Err(Error::BadCursor));
    if position.len() > MAX_SORT_KEY_BYTES {
        assert_eq!(page, Err(Error::BadCursor));
        return;
    }
    let is_behind = |id: &&&str| {
        let place = STORE.iter().position(|note| note.key.id() == **id).expect("a note");
        let entries = PROJECTIONS[place].entries.iter().flatten();
        let mut of_index = entries.filter(|entry| entry.index.name == query.index);
        let of_note = &of_index.next().expect("an entry").position;
        if query.descending { **of_note < *position } else { **of_note > *position }
    };
    let expected: Vec<&str> = found.iter().filter(is_behind).copied().collect();
    let page = page.expect("the digest is right");
    let ids: Vec<&str> = page.documents.iter().map(|document| document.key.id()).collect();
    assert_eq!(ids, expected);
    assert_eq!(page.next, None);
}

/// The cursor that is issued if a store has a note at `position`. Returns `None` if the query matches no note.
fn forged_cursor(query: &Query, position: &[u8]) -> Option<String> {
    let rank = query.filters.first().map_or(Some(0), |filter| match &filter.condition {
        switchyard_database::Condition::OneOf(values) => match values.first() {
            Some(Scalar::Integer(rank)) => Some(*rank),
            _ => None,
        },
        switchyard_database::Condition::Between(..) => None,
    })?;
    let forger = Forger(note("made-up", true, rank, ""), position.to_vec());
    block_on(paging::query(&forger, &query.clone().limit(1))).expect("a page").next
}

fn a_forged_id_stays_within_the_scan(id: &str) {
    if Key::new(NOTES, id).is_err() {
        return;
    }
    let forger = Forger(note(id, true, 0, ""), Vec::new());
    let cursor = block_on(paging::scan(&forger, &Scan::new(NOTES).limit(1))).expect("a page").next;
    assert!(cursor.is_some());
    let mut scan = Scan::new(NOTES);
    scan.cursor = cursor;
    let page = block_on(paging::scan(&Store, &scan)).expect("the digest is right");
    let ids: Vec<&str> = page.documents.iter().map(|document| document.key.id()).collect();
    let expected: Vec<&str> = every_note().into_iter().filter(|other| *other > id).collect();
    assert_eq!(ids, expected);
}

/// The notes as a database stores them.
struct Store;

#[async_trait]
impl Ranges for Store {
    async fn read_range(&self, range: &Range, at_most: usize) -> Result<Vec<Entry>> {
        let is_inside =
            |position: &Vec<u8>| *position >= range.from && range.to.as_ref().is_none_or(|to| position < to);
        let longest = range.to.as_ref().map_or(0, Vec::len).max(range.from.len());
        assert!(longest <= MAX_SORT_KEY_BYTES, "DynamoDB would refuse a bound of {longest} bytes");
        assert!(range.to.as_ref().is_none_or(|to| range.from < *to), "DynamoDB would refuse an empty range");
        let mut entries = Vec::new();
        for (note, projection) in STORE.iter().zip(PROJECTIONS.iter()) {
            let positions: Vec<Vec<u8>> = match &range.source {
                Source::Index { index, partition } => {
                    let of_note = projection.entries.iter().flatten();
                    let is_here =
                        |entry: &&IndexEntry| entry.index == *index && entry.partition == *partition;
                    of_note.filter(is_here).map(|entry| entry.position.clone()).collect()
                }
                Source::Terms { prefix } => {
                    let met = projection.terms.iter().filter(|term| term.starts_with(prefix.as_str()));
                    met.map(|term| term_position(term, note.key.id())).collect()
                }
            };
            let positions = positions.into_iter().filter(is_inside);
            entries.extend(positions.map(|position| Entry { position, document: Some(note.clone()) }));
        }
        entries.sort_by(|a, b| a.position.cmp(&b.position));
        if range.descending {
            entries.reverse();
        }
        entries.truncate(at_most);
        Ok(entries)
    }

    async fn read_collection(
        &self,
        _collection: &'static Collection,
        after: Option<&str>,
        at_most: usize,
    ) -> Result<Vec<Document>> {
        let ids = every_note().into_iter().filter(|id| after.is_none_or(|after| *id > after));
        let note = |id| STORE.iter().find(|note| note.key.id() == id).cloned();
        Ok(ids.filter_map(note).take(at_most).collect())
    }
}

/// A store that returns the same note at the same position for every read.
struct Forger(Document, Vec<u8>);

#[async_trait]
impl Ranges for Forger {
    async fn read_range(&self, _range: &Range, at_most: usize) -> Result<Vec<Entry>> {
        let entry = Entry { position: self.1.clone(), document: Some(self.0.clone()) };
        Ok(vec![entry; at_most])
    }

    async fn read_collection(
        &self,
        _collection: &'static Collection,
        _after: Option<&str>,
        at_most: usize,
    ) -> Result<Vec<Document>> {
        Ok(vec![self.0.clone(); at_most])
    }
}
