//! Queries, searches and scans for backends. A backend reads ordered ranges ([`Ranges`]), and this module makes
//! pages of them. Limits, filters, cursors and the end of a result are therefore the same on every backend.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use async_trait::async_trait;

use crate::collection::Index;
use crate::cursor::Fingerprint;
use crate::encoding::{self, successor_of_prefix};
use crate::limits::{MAX_EXAMINED, MAX_KEYS, MAX_SORT_KEY_BYTES};
use crate::query::check_limit;
use crate::{
    Body, Collection, Document, Error, Filter, Key, Page, Query, Result, Scalar, Scan, Search, terms,
};

/// A word of a search is rare if it has fewer entries than this; then all of them are read at once. The first read
/// of a search for several words asks for at least this many entries of the leading word before the other words
/// are tried: fewer entries seldom contain a document with all words.
const RARE: usize = 25;

/// Reads the ordered entries that a backend stores besides its documents.
#[async_trait]
pub trait Ranges: Sync {
    /// Returns the first `at_most` entries of `range` whose documents are live, in the order of the range. Returns
    /// fewer only if the range has no more. May lag behind writes.
    async fn read_range(&self, range: &Range, at_most: usize) -> Result<Vec<Entry>>;

    /// Returns the first `at_most` live documents of `collection` after the id `after`, in an order of the
    /// backend's choice that must not change. Returns fewer only if there are no more.
    async fn read_collection(
        &self,
        collection: &'static Collection,
        after: Option<&str>,
        at_most: usize,
    ) -> Result<Vec<Document>>;
}

/// A range of ordered entries. It is never empty, and its bounds are never longer than a position can be
/// ([`MAX_SORT_KEY_BYTES`]), because DynamoDB refuses both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The collection.
    pub collection: &'static Collection,
    /// The entries in which the range lies.
    pub source: Source,
    /// The lowest position in the range.
    pub from: Vec<u8>,
    /// The lowest position above the range; `None` if the range has no upper bound.
    pub to: Option<Vec<u8>>,
    /// Highest first.
    pub descending: bool,
    /// What the caller will drop. A backend may use it to read less.
    pub filters: Vec<Filter>,
}

impl Range {
    /// Whether a filter refuses an entry whose index has copied these fields. Fields that were not copied decide
    /// nothing.
    pub fn refuses(&self, copied: &Body) -> bool {
        self.filters.iter().any(|filter| copied.contains_key(&filter.field) && !filter.matches(copied))
    }
}

/// The entries in which a range lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A partition of an index, with the positions of [`IndexEntry`](crate::IndexEntry).
    Index {
        /// The index.
        index: &'static Index,
        /// The encoded partition values.
        partition: Vec<u8>,
    },
    /// The search terms that begin with `prefix`, with the positions of [`term_position`](crate::term_position).
    Terms {
        /// At least one character.
        prefix: String,
    },
}

/// A document and its position in a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its position.
    pub position: Vec<u8>,
    /// The document, which may be newer or older than the entry. `None` if a filter of the range refuses it and it
    /// was therefore not read.
    pub document: Option<Document>,
}

/// Checks that a call of [`Database::get_many`](crate::Database::get_many) has at most [`MAX_KEYS`] keys.
pub fn check_keys(keys: &[Key]) -> Result<()> {
    if keys.len() <= MAX_KEYS {
        Ok(())
    } else {
        Err(Error::Limit(format!("{} keys are read at once; at most {MAX_KEYS} are allowed", keys.len())))
    }
}

/// Implements [`Database::query`](crate::Database::query).
pub async fn query(ranges: &dyn Ranges, query: &Query) -> Result<Page> {
    let index = query.check()?;
    let Some(from) = lower_bound(&query.from) else { return nothing(query.cursor.as_deref()) };
    let to = upper_bound(&query.to);
    let range = Range {
        collection: query.collection,
        source: Source::Index { index, partition: encoding::encode(&query.partition) },
        from,
        to,
        descending: query.descending,
        filters: query.filters.clone(),
    };
    let walk = Walk { range, terms: None, limit: query.limit };
    walk.page(ranges, query.cursor.as_deref()).await
}

/// Implements [`Database::search`](crate::Database::search).
pub async fn search(ranges: &dyn Ranges, search: &Search) -> Result<Page> {
    search.check()?;
    let wanted = terms::of_search(&search.text)?;
    let Some(prefix) = terms::leading(&wanted).cloned() else {
        return nothing(search.cursor.as_deref());
    };
    let range = range_of_terms(search.collection, &prefix, &search.filters);
    let walk = Walk { range, terms: Some(&wanted), limit: search.limit };
    walk.page(ranges, search.cursor.as_deref()).await
}

fn range_of_terms(collection: &'static Collection, prefix: &str, filters: &[Filter]) -> Range {
    Range {
        collection,
        from: prefix.as_bytes().to_vec(),
        to: successor_of_prefix(prefix.as_bytes()),
        source: Source::Terms { prefix: prefix.to_owned() },
        descending: false,
        filters: filters.to_vec(),
    }
}

/// Implements [`Database::scan`](crate::Database::scan).
pub async fn scan(ranges: &dyn Ranges, scan: &Scan) -> Result<Page> {
    check_limit(scan.limit)?;
    let fingerprint = Fingerprint::new([&b"scan"[..], scan.collection.name.as_bytes()]);
    let after = match &scan.cursor {
        Some(cursor) => Some(String::from_utf8(fingerprint.open(cursor)?).map_err(|_| Error::BadCursor)?),
        None => None,
    };
    let limit = scan.limit as usize;
    let mut documents = ranges.read_collection(scan.collection, after.as_deref(), limit + 1).await?;
    let more = documents.len() > limit;
    documents.truncate(limit);
    let last = documents.last().filter(|_| more);
    let next = last.map(|last| fingerprint.seal(last.key.id().as_bytes()));
    Ok(Page { documents, next })
}

/// The page of a result that is known to be empty. No page of such a result has a cursor, so a given one is wrong.
fn nothing(cursor: Option<&str>) -> Result<Page> {
    match cursor {
        Some(_) => Err(Error::BadCursor),
        None => Ok(Page { documents: Vec::new(), next: None }),
    }
}

/// The lowest position that a lower bound allows; `None` if it allows none.
fn lower_bound(bound: &Bound<Vec<Scalar>>) -> Option<Vec<u8>> {
    match bound {
        Bound::Included(values) => comparable(encoding::encode(values)),
        // Positions continue after the sort values, so the bound has to exclude all positions that begin with
        // them.
        Bound::Excluded(values) => successor_of_prefix(&encoding::encode(values)).and_then(comparable),
        Bound::Unbounded => Some(Vec::new()),
    }
}

/// The lowest position above all positions that an upper bound allows; `None` if there is none.
fn upper_bound(bound: &Bound<Vec<Scalar>>) -> Option<Vec<u8>> {
    match bound {
        Bound::Included(values) => successor_of_prefix(&encoding::encode(values)).and_then(comparable),
        Bound::Excluded(values) => comparable(encoding::encode(values)),
        Bound::Unbounded => None,
    }
}

/// The lowest byte string that is not longer than a position can be, and that has the same positions below and
/// above it as `bytes`.
fn comparable(bytes: Vec<u8>) -> Option<Vec<u8>> {
    match bytes.get(..MAX_SORT_KEY_BYTES) {
        Some(beginning) if bytes.len() > MAX_SORT_KEY_BYTES => successor_of_prefix(beginning),
        _ => Some(bytes),
    }
}

/// A walk along a range that collects one page.
struct Walk<'a> {
    range: Range,
    /// The terms that a document must have, if this is a search.
    terms: Option<&'a BTreeSet<String>>,
    limit: u32,
}

impl Walk<'_> {
    async fn page(mut self, ranges: &dyn Ranges, cursor: Option<&str>) -> Result<Page> {
        let fingerprint = self.fingerprint();
        if let Some(cursor) = cursor {
            let position = fingerprint.open(cursor)?;
            if position.len() > MAX_SORT_KEY_BYTES {
                return Err(Error::BadCursor); // forged: no document has such a position
            }
            self.continue_behind(position);
        }
        let start = self.range.from.clone();
        let limit = self.limit as usize;
        let mut found: Vec<Found> = Vec::new();
        let mut last_examined = Vec::new();
        let mut examined = 0;
        let has_several_words = self.terms.is_some_and(|wanted| wanted.len() > 1);
        let first_ask = if has_several_words { RARE.max(limit + 1) } else { limit + 1 };
        let mut ask = first_ask;
        while !self.is_exhausted() {
            // The entry after the last one that may be examined shows whether the range continues.
            let ask_now = ask.min(MAX_EXAMINED + 1 - examined);
            let entries = ranges.read_range(&self.range, ask_now).await?;
            let exhausted = entries.len() < ask_now;
            for entry in entries {
                if examined == MAX_EXAMINED {
                    return Ok(page_of(found, Some(fingerprint.seal(&last_examined))));
                }
                examined += 1;
                last_examined.clone_from(&entry.position);
                let Some(entry) = self.fitting(entry) else { continue };
                if found.len() == limit {
                    let next = found.last().map(|last| fingerprint.seal(&last.position));
                    return Ok(page_of(found, next));
                }
                found.push(entry);
            }
            if exhausted {
                return Ok(page_of(found, None));
            }
            if ask == first_ask
                && let Some(mut found) = self.found_by_a_rare_term(ranges, &start).await?
            {
                let next = found.get(limit - 1).filter(|_| found.len() > limit);
                let next = next.map(|last| fingerprint.seal(&last.position));
                found.truncate(limit);
                return Ok(page_of(found, next));
            }
            self.continue_behind(last_examined.clone());
            ask *= 2; // few entries match, so read more of them at once
        }
        Ok(page_of(found, None))
    }

    /// If a search has a rare word: all results of the search from `start` on, in the order of the walk. The walk
    /// itself might have to read a million other entries first. `None` if no word besides the leading one is rare.
    async fn found_by_a_rare_term(&self, ranges: &dyn Ranges, start: &[u8]) -> Result<Option<Vec<Found>>> {
        let (Some(wanted), Source::Terms { prefix: leading }) = (self.terms, &self.range.source) else {
            return Ok(None);
        };
        for prefix in wanted.iter().filter(|prefix| *prefix != leading) {
            let range = range_of_terms(self.range.collection, prefix, &self.range.filters);
            let entries = ranges.read_range(&range, RARE).await?;
            if entries.len() == RARE {
                continue;
            }
            let mut found = BTreeMap::new();
            for document in entries.into_iter().filter_map(|entry| entry.document) {
                let terms = terms::of_document(document.key.collection(), &document.body);
                let Some(met) = terms::lowest_with_prefix(&terms, leading) else { continue };
                let position = crate::term_position(met, document.key.id());
                let entry = Entry { position, document: Some(document) };
                if *entry.position >= *start
                    && let Some(entry) = self.fitting(entry)
                {
                    found.insert(entry.position.clone(), entry);
                }
            }
            return Ok(Some(found.into_values().collect()));
        }
        Ok(None)
    }

    fn is_exhausted(&self) -> bool {
        self.range.to.as_ref().is_some_and(|to| *to <= self.range.from)
    }

    /// Shortens the range to what comes after `position`. A forged position outside of the range never extends it.
    fn continue_behind(&mut self, mut position: Vec<u8>) {
        let Range { from, to, descending, .. } = &mut self.range;
        if *descending {
            if to.as_ref().is_none_or(|to| position < *to) {
                *to = Some(position);
            }
        } else {
            position.push(0); // the lowest byte string above `position`
            // `comparable` returns `None` only if no document has this position.
            let next = comparable(position).unwrap_or_else(|| vec![0xff; MAX_SORT_KEY_BYTES]);
            if next > *from {
                *from = next;
            }
        }
    }

    /// The entry, if its document belongs to the result.
    fn fitting(&self, entry: Entry) -> Option<Found> {
        let Entry { position, document } = entry;
        let document = document?;
        if !self.range.filters.iter().all(|filter| filter.matches(&document.body)) {
            return None;
        }
        if let (Some(wanted), Source::Terms { prefix }) = (self.terms, &self.range.source) {
            let terms = terms::of_document(self.range.collection, &document.body);
            // A document has an entry for each of its terms with the prefix; only the lowest one counts.
            let met = terms::lowest_with_prefix(&terms, prefix)?;
            if !terms::has_all(&terms, wanted) || crate::term_position(met, document.key.id()) != position {
                return None;
            }
        }
        Some(Found { position, document })
    }

    fn fingerprint(&self) -> Fingerprint {
        let Range { collection, source, from, to, descending, filters } = &self.range;
        let (kind, name, place) = match source {
            Source::Index { index, partition } => ("index", index.name, &partition[..]),
            Source::Terms { prefix } => ("terms", "", prefix.as_bytes()),
        };
        let rest = format!("{to:?} {descending} {filters:?} {:?}", self.terms);
        Fingerprint::new([
            kind.as_bytes(),
            collection.name.as_bytes(),
            name.as_bytes(),
            place,
            from,
            rest.as_bytes(),
        ])
    }
}

/// A document of the result.
struct Found {
    position: Vec<u8>,
    document: Document,
}

fn page_of(found: Vec<Found>, next: Option<String>) -> Page {
    Page { documents: found.into_iter().map(|entry| entry.document).collect(), next }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use switchyard_ambient::Ambient;

    use super::*;
    use crate::conformance::Memory;
    use crate::{Batch, Database as _, Field, Operation, Version};

    const NOTES: &Collection = &Collection::new("notes")
        .fields(&[Field::integer("rank"), Field::string("a"), Field::string("b")])
        .indexes(&[Index::new("by_rank").sort(&["rank"]), Index::new("by_text").sort(&["a", "b"])])
        .search(&["text"]);

    /// Forwards reads to a store, and records their ranges.
    struct Watched {
        memory: Memory,
        ranges: Mutex<Vec<Range>>,
    }

    impl Watched {
        fn new() -> Self {
            Self { memory: Memory::new(Ambient::system()), ranges: Mutex::default() }
        }

        async fn create(&self, id: &str, body: serde_json::Value) {
            let key = Key::new(NOTES, id).unwrap();
            let body: Body = body.as_object().unwrap().clone();
            let create = Operation::Create { key, body, expires_at: None };
            let batch = Batch::new(vec![create], &Ambient::system()).unwrap();
            self.memory.commit(&batch).await.unwrap();
        }
    }

    #[async_trait]
    impl Ranges for Watched {
        async fn read_range(&self, range: &Range, at_most: usize) -> Result<Vec<Entry>> {
            assert!(
                range.to.as_ref().is_none_or(|to| range.from < *to),
                "an empty range was read: {range:?}"
            );
            let longest = range.to.as_ref().map_or(0, Vec::len).max(range.from.len());
            assert!(longest <= MAX_SORT_KEY_BYTES, "a bound has {longest} bytes");
            self.ranges.lock().unwrap().push(range.clone());
            self.memory.read_range(range, at_most).await
        }

        async fn read_collection(
            &self,
            collection: &'static Collection,
            after: Option<&str>,
            at_most: usize,
        ) -> Result<Vec<Document>> {
            self.memory.read_collection(collection, after, at_most).await
        }
    }

    fn ids(page: &Page) -> Vec<&str> {
        page.documents.iter().map(|document| document.key.id()).collect()
    }

    #[tokio::test]
    async fn an_empty_range_is_answered_without_reading() {
        let watched = Watched::new();
        watched.create("n", serde_json::json!({"rank": i64::MAX})).await;
        let by_rank = Query::new(NOTES, "by_rank");
        for nothing in [
            by_rank.clone().above([i64::MAX]),
            by_rank.clone().at_least([2]).at_most([1]),
            by_rank.clone().above([1]).below([1]),
            by_rank.clone().below([i64::MIN]).at_least([i64::MIN]),
        ] {
            assert_eq!(ids(&query(&watched, &nothing).await.unwrap()), [""; 0], "{nothing:?}");
            let with_cursor = nothing.after(Some("AAAA".to_owned()));
            assert_eq!(query(&watched, &with_cursor).await, Err(Error::BadCursor));
        }
        assert_eq!(*watched.ranges.lock().unwrap(), []);
        assert_eq!(ids(&query(&watched, &by_rank.at_least([i64::MAX])).await.unwrap()), ["n"]);
    }

    #[tokio::test]
    async fn bounds_longer_than_a_position_still_separate_positions() {
        let watched = Watched::new();
        let (a, b) = ("a".repeat(512), "b".repeat(512 - 6)); // 513 + 507 and the id: 1024 bytes
        for id in ["123", "124"] {
            watched.create(id, serde_json::json!({"a": a, "b": b})).await;
        }
        let by_text = Query::new(NOTES, "by_text");
        let longer = "b".repeat(512);
        for (bounded, expected) in [
            (by_text.clone().below([&a, &longer]), &["123", "124"][..]),
            (by_text.clone().at_most([&a, &longer]), &["123", "124"]),
            (by_text.clone().at_least([&a, &longer]), &[]),
            (by_text.clone().above([&a, &longer]), &[]),
            (by_text.clone().at_least([&a, &b]), &["123", "124"]),
            (by_text.clone().above([&a, &b]), &[]),
        ] {
            assert_eq!(ids(&query(&watched, &bounded).await.unwrap()), expected);
        }
        let first = query(&watched, &by_text.clone().limit(1)).await.unwrap();
        assert_eq!(ids(&first), ["123"]);
        let second = query(&watched, &by_text.clone().limit(1).after(first.next)).await.unwrap();
        assert_eq!(ids(&second), ["124"]);
        assert_eq!(second.next, None);
    }

    #[tokio::test]
    async fn a_forged_cursor_cannot_leave_the_range() {
        let watched = Watched::new();
        for (id, rank) in [("a", 1), ("b", 2), ("c", 3), ("d", 4)] {
            watched.create(id, serde_json::json!({"rank": rank})).await;
        }
        let middle = Query::new(NOTES, "by_rank").at_least([2]).at_most([3]);
        for (query, expected) in [(middle.clone(), ["b", "c"]), (middle.descending(), ["c", "b"])] {
            for position in [&[][..], &[0xff]] {
                let liar = Liar(position.to_vec());
                let made_up = super::query(&liar, &query.clone().limit(1)).await.unwrap().next;
                assert!(made_up.is_some());
                let page = super::query(&watched, &query.clone().after(made_up)).await.unwrap();
                let is_behind = query.descending != position.is_empty();
                assert_eq!(ids(&page), if is_behind { &expected[..] } else { &[] }, "{query:?}");
            }
        }
    }

    /// Returns a document at the same position for every range, so that cursors hold this position.
    struct Liar(Vec<u8>);

    #[async_trait]
    impl Ranges for Liar {
        async fn read_range(&self, _range: &Range, at_most: usize) -> Result<Vec<Entry>> {
            let key = Key::new(NOTES, "made-up")?;
            let body = Body::new();
            let document = Some(Document { key, version: Version::NONE, body, expires_at: None });
            Ok(vec![Entry { position: self.0.clone(), document }; at_most])
        }

        async fn read_collection(
            &self,
            _collection: &'static Collection,
            _after: Option<&str>,
            _at_most: usize,
        ) -> Result<Vec<Document>> {
            Ok(Vec::new())
        }
    }

    #[tokio::test]
    async fn a_search_with_a_rare_word_finds_documents_beyond_the_examined_entries() {
        let watched = Watched::new();
        for number in 0..=MAX_EXAMINED {
            let rare = if number.is_multiple_of(100) { "rare" } else { "usual" };
            let text = format!("{rare} everywhere");
            watched.create(&format!("{number:04}"), serde_json::json!({"text": text})).await;
        }
        let text = Search::new(NOTES, "everywhere rar").limit(6);
        let first = search(&watched, &text).await.unwrap();
        assert_eq!(ids(&first), ["0000", "0100", "0200", "0300", "0400", "0500"]);
        let second = search(&watched, &text.clone().after(first.next)).await.unwrap();
        assert_eq!(ids(&second), ["0600", "0700", "0800", "0900", "1000"]);
        assert_eq!(second.next, None);
        let reads = watched.ranges.lock().unwrap().len();
        assert_eq!(reads, 4, "each page must read once along the longest word and once along the rare one");

        let whole = search(&watched, &text.clone().limit(20)).await.unwrap();
        assert_eq!(
            (whole.documents.len(), whole.next),
            (11, None),
            "the document after the last examined entry must be found too"
        );

        let filtered = text.clone().filter(Filter::equals("text", "rare somewhere"));
        assert_eq!(search(&watched, &filtered).await, Ok(Page { documents: Vec::new(), next: None }));
        let both_usual = search(&watched, &Search::new(NOTES, "everywhere usua").limit(3)).await.unwrap();
        assert_eq!(ids(&both_usual), ["0001", "0002", "0003"]);
    }

    #[tokio::test]
    async fn one_read_is_enough_for_a_page_without_filters() {
        let watched = Watched::new();
        for id in ["a", "b", "c"] {
            watched.create(id, serde_json::json!({"rank": 1})).await;
        }
        query(&watched, &Query::new(NOTES, "by_rank").limit(2)).await.unwrap();
        assert_eq!(watched.ranges.lock().unwrap().len(), 1);
    }
}
