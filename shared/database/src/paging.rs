//! How a backend answers queries, searches and scans: it reads ordered ranges ([`Ranges`]), and this module makes pages
//! of them, so that limits, filters, cursors and the end of a result are the same everywhere.

use std::collections::BTreeSet;
use std::ops::Bound;

use async_trait::async_trait;

use crate::collection::Index;
use crate::cursor::Fingerprint;
use crate::encoding::{self, successor_of_prefix};
use crate::limits::{MAX_EXAMINED, MAX_KEYS};
use crate::query::check_limit;
use crate::{Collection, Document, Error, Filter, Key, Page, Query, Result, Scalar, Scan, Search, terms};

/// Reads the ordered entries that a backend keeps beside its documents.
#[async_trait]
pub trait Ranges: Sync {
    /// The first `at_most` entries of `range` whose documents are live, in its order: fewer only where the range holds
    /// no more. May lag behind writes.
    async fn read_range(&self, range: &Range, at_most: usize) -> Result<Vec<Entry>>;

    /// The first `at_most` live documents of `collection` behind the id `after`, in the backend's own order, which must
    /// not change: fewer only where there are no more.
    async fn read_collection(
        &self,
        collection: &'static Collection,
        after: Option<&str>,
        at_most: usize,
    ) -> Result<Vec<Document>>;
}

/// A range of ordered entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The collection.
    pub collection: &'static Collection,
    /// Which entries.
    pub source: Source,
    /// The lowest position in the range.
    pub from: Vec<u8>,
    /// The lowest position above the range; `None`: no end.
    pub to: Option<Vec<u8>>,
    /// Highest first.
    pub descending: bool,
}

/// What a range is a range of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A partition of an index, positions as in [`IndexEntry`](crate::IndexEntry).
    Index {
        /// The index.
        index: &'static Index,
        /// The encoded partition values.
        partition: Vec<u8>,
    },
    /// The search terms that begin with `prefix`, positions as of [`term_position`](crate::term_position).
    Terms {
        /// At least one character.
        prefix: String,
    },
}

/// A document at its place in a range.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its position.
    pub position: Vec<u8>,
    /// The document, perhaps newer or older than the entry.
    pub document: Document,
}

/// Checks that [`Database::get_many`](crate::Database::get_many) is asked for no more keys than it may be.
pub fn check_keys(keys: &[Key]) -> Result<()> {
    if keys.len() <= MAX_KEYS {
        Ok(())
    } else {
        Err(Error::Limit(format!("{} keys are read at once, at most {MAX_KEYS} are possible", keys.len())))
    }
}

/// Answers [`Database::query`](crate::Database::query).
pub async fn query(ranges: &dyn Ranges, query: &Query) -> Result<Page> {
    query.check()?;
    let Some(index) = query.collection.index(query.index) else {
        return Err(Error::Internal("a checked query names an index".to_owned()));
    };
    let from = lower_bound(&query.from);
    let to = upper_bound(&query.to);
    let range = Range {
        collection: query.collection,
        source: Source::Index { index, partition: encoding::encode(&query.partition) },
        from,
        to,
        descending: query.descending,
    };
    let walk = Walk { range, filters: &query.filters, terms: None, limit: query.limit };
    walk.page(ranges, query.cursor.as_deref()).await
}

/// Answers [`Database::search`](crate::Database::search).
pub async fn search(ranges: &dyn Ranges, search: &Search) -> Result<Page> {
    search.check()?;
    let wanted = terms::of_search(&search.text)?;
    let Some(prefix) = terms::leading(&wanted).cloned() else {
        return match search.cursor {
            Some(_) => Err(Error::BadCursor),
            None => Ok(Page { documents: Vec::new(), next: None }),
        };
    };
    let range = Range {
        collection: search.collection,
        from: prefix.clone().into_bytes(),
        to: successor_of_prefix(prefix.as_bytes()),
        source: Source::Terms { prefix },
        descending: false,
    };
    let walk = Walk { range, filters: &search.filters, terms: Some(&wanted), limit: search.limit };
    walk.page(ranges, search.cursor.as_deref()).await
}

/// Answers [`Database::scan`](crate::Database::scan).
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

fn lower_bound(bound: &Bound<Vec<Scalar>>) -> Vec<u8> {
    match bound {
        Bound::Included(values) => encoding::encode(values),
        // Entries go on behind their sort values, so what lies above is what lies behind all that begins with them.
        Bound::Excluded(values) => {
            successor_of_prefix(&encoding::encode(values)).unwrap_or_else(|| vec![0xff; 2048])
        }
        Bound::Unbounded => Vec::new(),
    }
}

fn upper_bound(bound: &Bound<Vec<Scalar>>) -> Option<Vec<u8>> {
    match bound {
        Bound::Included(values) => successor_of_prefix(&encoding::encode(values)),
        Bound::Excluded(values) => Some(encoding::encode(values)),
        Bound::Unbounded => None,
    }
}

/// One page's walk along a range.
struct Walk<'a> {
    range: Range,
    filters: &'a [Filter],
    /// Of a search: the terms that a document must have.
    terms: Option<&'a BTreeSet<String>>,
    limit: u32,
}

impl Walk<'_> {
    async fn page(mut self, ranges: &dyn Ranges, cursor: Option<&str>) -> Result<Page> {
        let fingerprint = self.fingerprint();
        if let Some(cursor) = cursor {
            self.continue_behind(fingerprint.open(cursor)?);
        }
        let limit = self.limit as usize;
        let mut found: Vec<Entry> = Vec::new();
        let mut last_examined = Vec::new();
        let mut examined = 0;
        let mut ask = limit + 1;
        loop {
            // One more than may be examined tells whether the range goes on behind it.
            let ask_now = ask.min(MAX_EXAMINED + 1 - examined);
            let entries = ranges.read_range(&self.range, ask_now).await?;
            let exhausted = entries.len() < ask_now;
            for entry in entries {
                if examined == MAX_EXAMINED {
                    return Ok(page_of(found, Some(fingerprint.seal(&last_examined))));
                }
                examined += 1;
                last_examined.clone_from(&entry.position);
                if !self.fits(&entry) {
                    continue;
                }
                if found.len() == limit {
                    let next = found.last().map(|last| fingerprint.seal(&last.position));
                    return Ok(page_of(found, next));
                }
                found.push(entry);
            }
            if exhausted {
                return Ok(page_of(found, None));
            }
            self.continue_behind(last_examined.clone());
            ask *= 2; // what was found so far fits rarely: look further at once
        }
    }

    /// The rest of the range, behind `position`.
    fn continue_behind(&mut self, mut position: Vec<u8>) {
        if self.range.descending {
            self.range.to = Some(position);
        } else {
            position.push(0); // the lowest byte string above
            self.range.from = position;
        }
    }

    fn fits(&self, entry: &Entry) -> bool {
        let body = &entry.document.body;
        if !self.filters.iter().all(|filter| filter.matches(body)) {
            return false;
        }
        let (Some(wanted), Source::Terms { prefix }) = (self.terms, &self.range.source) else { return true };
        let terms = terms::of_document(self.range.collection, body);
        // A document stands in the range once for each of its terms with the prefix; the lowest one counts.
        let met = terms::lowest_with_prefix(&terms, prefix);
        terms::has_all(&terms, wanted)
            && met.is_some_and(|term| crate::term_position(term, entry.document.key.id()) == entry.position)
    }

    fn fingerprint(&self) -> Fingerprint {
        let Range { collection, source, from, to, descending } = &self.range;
        let (kind, name, place) = match source {
            Source::Index { index, partition } => ("index", index.name, &partition[..]),
            Source::Terms { prefix } => ("terms", "", prefix.as_bytes()),
        };
        let rest = format!("{to:?} {descending} {:?} {:?}", self.filters, self.terms);
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

fn page_of(found: Vec<Entry>, next: Option<String>) -> Page {
    Page { documents: found.into_iter().map(|entry| entry.document).collect(), next }
}
