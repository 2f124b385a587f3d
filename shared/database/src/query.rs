use std::ops::Bound;

use crate::key::check_scalars;
use crate::limits::{MAX_FILTER_VALUES, MAX_PAGE};
use crate::{Body, Collection, Document, Error, Index, Result, Scalar};

/// A page of a result, and the cursor of the next page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The documents, in order.
    pub documents: Vec<Document>,
    /// The cursor to continue with; `None` exactly if there are no more documents.
    pub next: Option<String>,
}

/// A query for the documents of an index's partition, in order.
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
#[must_use]
pub struct Query {
    /// The collection.
    pub collection: &'static Collection,
    /// The index's name.
    pub index: &'static str,
    /// A value for each partition field.
    pub partition: Vec<Scalar>,
    /// The lower bound of the sort values: values for the first sort fields, at most one for each.
    pub from: Bound<Vec<Scalar>>,
    /// The upper bound of the sort values, in the same form.
    pub to: Bound<Vec<Scalar>>,
    /// Whether the highest sort values come first; the order of ids is reversed too.
    pub descending: bool,
    /// The conditions that the documents must also meet.
    pub filters: Vec<Filter>,
    /// The number of documents in a page, 1 to [`MAX_PAGE`].
    pub limit: u32,
    /// The `next` of the previous page.
    pub cursor: Option<String>,
}

impl Query {
    /// Queries the first 100 documents of `index`, ascending.
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

    /// Sets the values of the partition fields.
    pub fn partition(mut self, values: impl IntoIterator<Item = impl Into<Scalar>>) -> Self {
        self.partition = values.into_iter().map(Into::into).collect();
        self
    }

    /// Restricts the result to sort values of at least these.
    pub fn at_least(mut self, values: impl IntoIterator<Item = impl Into<Scalar>>) -> Self {
        self.from = Bound::Included(values.into_iter().map(Into::into).collect());
        self
    }

    /// Restricts the result to sort values above these.
    pub fn above(mut self, values: impl IntoIterator<Item = impl Into<Scalar>>) -> Self {
        self.from = Bound::Excluded(values.into_iter().map(Into::into).collect());
        self
    }

    /// Restricts the result to sort values of at most these. If there are fewer values than sort fields, all sort
    /// values that begin with them are included.
    pub fn at_most(mut self, values: impl IntoIterator<Item = impl Into<Scalar>>) -> Self {
        self.to = Bound::Included(values.into_iter().map(Into::into).collect());
        self
    }

    /// Restricts the result to sort values below these.
    pub fn below(mut self, values: impl IntoIterator<Item = impl Into<Scalar>>) -> Self {
        self.to = Bound::Excluded(values.into_iter().map(Into::into).collect());
        self
    }

    /// Reverses the order: highest sort values and ids first.
    pub fn descending(mut self) -> Self {
        self.descending = true;
        self
    }

    /// Restricts the result to documents that match `filter`.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Sets the number of documents in a page, 1 to [`MAX_PAGE`].
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Continues after the page whose `next` is `cursor`.
    pub fn after(mut self, cursor: Option<String>) -> Self {
        self.cursor = cursor;
        self
    }

    /// Checks the query against the declarations, and returns its index.
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

/// A search for the documents whose search fields contain every word of a text, as a whole word or as a prefix.
///
/// The results are ordered by the word that matches the longest word of the text, then by id.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Search {
    /// The collection.
    pub collection: &'static Collection,
    /// The text. If it has no word, nothing is found.
    pub text: String,
    /// The conditions that the documents must also meet.
    pub filters: Vec<Filter>,
    /// The number of documents in a page, 1 to [`MAX_PAGE`].
    pub limit: u32,
    /// The `next` of the previous page.
    pub cursor: Option<String>,
}

impl Search {
    /// Searches for the first 100 documents that contain every word of `text`.
    pub fn new(collection: &'static Collection, text: impl Into<String>) -> Self {
        Self { collection, text: text.into(), filters: Vec::new(), limit: 100, cursor: None }
    }

    /// Restricts the result to documents that match `filter`.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Sets the number of documents in a page, 1 to [`MAX_PAGE`].
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Continues after the page whose `next` is `cursor`.
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

/// A scan of a whole collection, in no particular order: for export, copying and backfills, never for a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Scan {
    /// The collection.
    pub collection: &'static Collection,
    /// The number of documents in a page, 1 to [`MAX_PAGE`].
    pub limit: u32,
    /// The `next` of the previous page.
    pub cursor: Option<String>,
}

impl Scan {
    /// Scans the first 1,000 documents of `collection`.
    pub fn new(collection: &'static Collection) -> Self {
        Self { collection, limit: MAX_PAGE, cursor: None }
    }

    /// Sets the number of documents in a page, 1 to [`MAX_PAGE`].
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }

    /// Continues after the page whose `next` is `cursor`.
    pub fn after(mut self, cursor: Option<String>) -> Self {
        self.cursor = cursor;
        self
    }
}

pub(crate) fn check_limit(limit: u32) -> Result<()> {
    if (1..=MAX_PAGE).contains(&limit) {
        Ok(())
    } else {
        Err(Error::Limit(format!("a page must have 1 to {MAX_PAGE} documents, not {limit}")))
    }
}

/// A condition on a top-level field of a document. A document without the field, or with another kind of value in
/// it, does not match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The field.
    pub field: String,
    /// The condition.
    pub condition: Condition,
}

/// The condition on the value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The value is one of these.
    OneOf(Vec<Scalar>),
    /// The value is of the bounds' kind and lies between them.
    Between(Bound<Scalar>, Bound<Scalar>),
}

impl Filter {
    /// The field must equal `value`.
    pub fn equals(field: impl Into<String>, value: impl Into<Scalar>) -> Self {
        Self { field: field.into(), condition: Condition::OneOf(vec![value.into()]) }
    }

    /// The field must equal one of `values`.
    pub fn one_of(field: impl Into<String>, values: impl IntoIterator<Item = impl Into<Scalar>>) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self { field: field.into(), condition: Condition::OneOf(values) }
    }

    /// The field must lie between the bounds.
    pub fn between(field: impl Into<String>, from: Bound<Scalar>, to: Bound<Scalar>) -> Self {
        Self { field: field.into(), condition: Condition::Between(from, to) }
    }

    /// Whether a document with this content matches.
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
                "the filter on `{}` has {} values; at most {MAX_FILTER_VALUES} are allowed",
                self.field,
                values.len()
            ))),
            _ => Ok(()),
        }
    }
}
