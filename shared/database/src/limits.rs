//! The limits of the contract, which are the same on every backend. Most are DynamoDB's. They are enforced before
//! any I/O.

/// The maximum length of a document's id, in bytes.
pub const MAX_ID_BYTES: usize = 256;
/// The maximum length of a string that an index or a unique attribute uses, in bytes.
pub const MAX_INDEXED_STRING_BYTES: usize = 512;
/// The maximum length of an index's encoded sort values followed by the id, in bytes (DynamoDB's limit for a sort
/// key).
pub const MAX_SORT_KEY_BYTES: usize = 1024;
/// The maximum length of an index's encoded partition values, or of a unique attribute's encoded values, in bytes.
/// Partition and sort values together have to fit into an entry of a PostgreSQL index, which takes 2692 bytes (a
/// third of a page, less its header). DynamoDB would take 2048 bytes, which include a shard and a name.
pub const MAX_PARTITION_KEY_BYTES: usize = 1664;
/// The maximum size of a document by DynamoDB's accounting, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 350 * 1024;
/// The maximum length of a field's name, at any depth, in bytes (DynamoDB's limit for the name of an attribute).
pub const MAX_FIELD_NAME_BYTES: usize = 65_535;
/// The maximum depth of lists and objects in a document; the body itself is level 1.
pub const MAX_DEPTH: usize = 30;
/// The maximum number of physical items in a batch: documents, changed guards of unique values, and changed search
/// terms.
pub const MAX_BATCH_ITEMS: usize = 100;
/// The maximum size of a batch, in bytes: its documents, their index entries, guards and search terms, and
/// [`ITEM_OVERHEAD_BYTES`] for each physical item.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// The bytes that a backend stores with each physical item besides its content: ids, version, times, names of
/// attributes.
pub const ITEM_OVERHEAD_BYTES: usize = 1024;
/// The maximum number of keys in one `get_many`.
pub const MAX_KEYS: usize = 1000;
/// The maximum number of documents in a page.
pub const MAX_PAGE: u32 = 1000;
/// The maximum number of entries examined for one page of a query with filters, or of a search.
pub const MAX_EXAMINED: usize = 1000;
/// The maximum number of search terms kept for a document: the first ones, in the order of the declared fields.
pub const MAX_TERMS: usize = 32;
/// The bytes kept of a search term. Longer terms are cut, in documents and in searches.
pub const MAX_TERM_BYTES: usize = 64;
/// The maximum length of the text of a search, in bytes.
pub const MAX_SEARCH_BYTES: usize = 512;
/// The maximum number of terms in the text of a search.
pub const MAX_SEARCH_TERMS: usize = 16;
/// The maximum number of values in a set filter.
pub const MAX_FILTER_VALUES: usize = 100;
