use std::ops::Bound;

use crate::key::check_scalars;
use crate::limits::{MAX_FILTER_VALUES, MAX_PAGE};
use crate::{Body, Collection, Document, Error, Index, Result, Scalar};

/// A page of a result, and where the next one begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The documents, in order.
    pub documents: Vec<Document>,
    /// What to pass to continue; `None` exactly when there is nothing more.
    pub next: Option<String>,
}

/// Asks for the documents of an index's partition, in order.
///
/// ```
/// use switchyard_database::{Collection, Field, Filter, Index, Query};
/// const ORDERS: &Collection = &Collection::new("orders")
///     .fields(&[Field::string("customer_id"), Field::time("placed_at")])
///     .indexes(&[Index::new("by_customer").partition(&["customer_id"]).sort(&["placed_at"])]);
///
/// let latest = Query::new(ORDERS, "by_customer")
///     .partition(["c-17"])
///     .descending()
///     .filter(Filter::one_of("status", ["paid", "shipped"]))
///     .limit(10);
/// # let _ = latest;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The collection.
    pub collection: &'static Collection,
    /// The index's name.
    pub index: &'static str,
    /// A value for each partition field.
    pub partition: Vec<Scalar>,
    /// Where the range of sort values begins: a value for each of the first sort fields.
    pub from: Bound<Vec<Scalar>>,
    /// Where the range of sort values ends, likewise.
    pub to: Bound<Vec<Scalar>>,
    /// Highest first; the ids are reversed with the sort values.
    pub descending: bool,
    /// What the documents must be besides.
    pub filters: Vec<Filter>,
    /// Documents in the page, 1 to [`MAX_PAGE`].
    pub limit: u32,
    /// The `next` of the page before.
    pub cursor: Option<String>,
}

impl Query {
    /// The first 100 documents of `index`, ascending.
    pub fn new(collection: &'static Collection, index: &'static str) -> Self {
        Self {
            collection,
            index,
            partition: Vec::new(),
            from: Bound::Unbounded,
            to: Bound::Unbounded,
            descending: false,
            filters: Vec::new(),
            limit: 100,
            cursor: None,
        }
    }

    /// Fixes the partition.
    pub fn partition(mut self, values: impl IntoIterator<Item = impl Into<Scalar>>) -> Self {
        self.partition = values.into_iter().map(Into::into).collect();
        self
    }

    /// Only sort values of at least these.
    pub fn at_least(mut self, values: impl IntoIterator<Item = impl Into<Scalar>>) -> Self {
        self.from = Bound::Included(values.into_iter().map(Into::into).collect());
        self
    }

    /// Only sort values above these.
    pub fn above(mut self, values: impl IntoIterator<Item = impl Into<Scalar>>) -> Self {
        self.from = Bound::Excluded(values.into_iter().map(Into::into).collect());
        self
    }

    /// Only sort values of at most these; with fewer values than sort fields, all that begin with them too.
    pub fn at_most(mut self, values: impl IntoIterator<Item = impl Into<Scalar>>) -> Self {
        self.to = Bound::Included(values.into_iter().map(Into::into).collect());
        self
    }

    /// Only sort values below these.
    pub fn below(mut self, values: impl IntoIterator<Item = impl Into<Scalar>>) -> Self {
        self.to = Bound::Excluded(values.into_iter().map(Into::into).collect());
        self
    }

    /// Highest first.
    pub fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// Only documents that fit `filter` too.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Documents in the page.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Continues after a page.
    pub fn after(mut self, cursor: Option<String>) -> Self {
        self.cursor = cursor;
        self
    }

    /// Checks the query against the declarations, and answers with its index.
    pub(crate) fn check(&self) -> Result<&'static Index> {
        let index = self.collection.index(self.index).ok_or_else(|| {
            Error::Invalid(format!("the collection `{}` has no index `{}`", self.collection.name, self.index))
        })?;
        check_scalars(self.collection, index.partition, &self.partition)?;
        for bound in [&self.from, &self.to] {
            if let Bound::Included(values) | Bound::Excluded(values) = bound {
                let fields = index.sort.get(..values.len()).unwrap_or(index.sort);
                check_scalars(self.collection, fields, values)?;
            }
        }
        check_limit(self.limit)?;
        self.filters.iter().try_for_each(Filter::check)?;
        Ok(index)
    }
}

/// Asks for the documents that have every word of a text, as a word or as the beginning of one, in their collection's
/// search fields.
///
/// They come in the order of the word that the longest word of the text meets, then of the id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// The collection.
    pub collection: &'static Collection,
    /// The text. Without any word in it nothing is found.
    pub text: String,
    /// What the documents must be besides.
    pub filters: Vec<Filter>,
    /// Documents in the page, 1 to [`MAX_PAGE`].
    pub limit: u32,
    /// The `next` of the page before.
    pub cursor: Option<String>,
}

impl Search {
    /// The first 100 documents that have every word of `text`.
    pub fn new(collection: &'static Collection, text: impl Into<String>) -> Self {
        Self { collection, text: text.into(), filters: Vec::new(), limit: 100, cursor: None }
    }

    /// Only documents that fit `filter` too.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Documents in the page.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Continues after a page.
    pub fn after(mut self, cursor: Option<String>) -> Self {
        self.cursor = cursor;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.collection.search.is_empty() {
            return Err(Error::Invalid(format!(
                "the collection `{}` declares no search fields",
                self.collection.name
            )));
        }
        check_limit(self.limit)?;
        self.filters.iter().try_for_each(Filter::check)
    }
}

/// Asks for a whole collection in no particular order: for export, copy and backfill, never for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// The collection.
    pub collection: &'static Collection,
    /// Documents in the page, 1 to [`MAX_PAGE`].
    pub limit: u32,
    /// The `next` of the page before.
    pub cursor: Option<String>,
}

impl Scan {
    /// The first 1,000 documents of `collection`.
    pub fn new(collection: &'static Collection) -> Self {
        Self { collection, limit: MAX_PAGE, cursor: None }
    }

    /// Documents in the page.
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Continues after a page.
    pub fn after(mut self, cursor: Option<String>) -> Self {
        self.cursor = cursor;
        self
    }
}

pub(crate) fn check_limit(limit: u32) -> Result<()> {
    if (1..=MAX_PAGE).contains(&limit) {
        Ok(())
    } else {
        Err(Error::Limit(format!("a page has 1 to {MAX_PAGE} documents, not {limit}")))
    }
}

/// What a top-level field of a document must be. A document without the field, or with another kind of value in it,
/// does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The field.
    pub field: String,
    /// What it must be.
    pub condition: Condition,
}

/// What a field must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// One of these values.
    OneOf(Vec<Scalar>),
    /// A value of the bounds' kind between them.
    Between(Bound<Scalar>, Bound<Scalar>),
}

impl Filter {
    /// The field is `value`.
    pub fn equals(field: impl Into<String>, value: impl Into<Scalar>) -> Self {
        Self { field: field.into(), condition: Condition::OneOf(vec![value.into()]) }
    }

    /// The field is one of `values`.
    pub fn one_of(field: impl Into<String>, values: impl IntoIterator<Item = impl Into<Scalar>>) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self { field: field.into(), condition: Condition::OneOf(values) }
    }

    /// The field lies between the bounds.
    pub fn between(field: impl Into<String>, from: Bound<Scalar>, to: Bound<Scalar>) -> Self {
        Self { field: field.into(), condition: Condition::Between(from, to) }
    }

    /// Whether a document of this content fits.
    pub fn matches(&self, body: &Body) -> bool {
        let Some(value) = body.get(&self.field).and_then(Scalar::from_json) else { return false };
        match &self.condition {
            Condition::OneOf(values) => values.contains(&value),
            Condition::Between(from, to) => {
                let same_kind = |bound: &Bound<Scalar>| match bound {
                    Bound::Included(bound) | Bound::Excluded(bound) => {
                        std::mem::discriminant(bound) == std::mem::discriminant(&value)
                    }
                    Bound::Unbounded => true,
                };
                let above = match from {
                    Bound::Included(from) => value >= *from,
                    Bound::Excluded(from) => value > *from,
                    Bound::Unbounded => true,
                };
                let below = match to {
                    Bound::Included(to) => value <= *to,
                    Bound::Excluded(to) => value < *to,
                    Bound::Unbounded => true,
                };
                above && below && same_kind(from) && same_kind(to)
            }
        }
    }

    fn check(&self) -> Result<()> {
        match &self.condition {
            Condition::OneOf(values) if values.len() > MAX_FILTER_VALUES => Err(Error::Limit(format!(
                "the filter on `{}` has {} values, at most {MAX_FILTER_VALUES} are possible",
                self.field,
                values.len()
            ))),
            _ => Ok(()),
        }
    }
}
