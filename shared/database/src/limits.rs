//! The limits of the contract, the same on every backend. Most are DynamoDB's, enforced before any I/O.

/// Bytes in a document's id, at the most.
pub const MAX_ID_BYTES: usize = 256;
/// Bytes in a string that an index or a unique attribute uses, at the most.
pub const MAX_INDEXED_STRING_BYTES: usize = 512;
/// Bytes of an index's encoded sort values with the id behind them (DynamoDB's limit for a sort key).
pub const MAX_SORT_KEY_BYTES: usize = 1024;
/// Bytes of an index's or a unique attribute's encoded partition. With the sort values behind it, it has to fit into an
/// entry of a PostgreSQL index, which takes 2692 bytes (a third of a page, less its header); DynamoDB would take 2048,
/// with a shard and a name among them.
pub const MAX_PARTITION_KEY_BYTES: usize = 1664;
/// Bytes of a document by DynamoDB's accounting, at the most.
pub const MAX_DOCUMENT_BYTES: usize = 350 * 1024;
/// Bytes in the name of a field, at any depth, at the most (DynamoDB's limit for the name of an attribute).
pub const MAX_FIELD_NAME_BYTES: usize = 65_535;
/// Levels of lists and objects in a document, the body itself counted, at the most.
pub const MAX_DEPTH: usize = 30;
/// Physical items in a batch at the most: documents, guards of unique attributes that change and search terms that
/// change.
pub const MAX_BATCH_ITEMS: usize = 100;
/// Bytes in a batch, at the most: of documents, of their index entries, and [`ITEM_OVERHEAD_BYTES`] for each physical
/// item.
pub const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// What a backend stores with each physical item beside its content: ids, version, times, names of attributes.
pub const ITEM_OVERHEAD_BYTES: usize = 1024;
/// Keys in one `get_many`, at the most.
pub const MAX_KEYS: usize = 1000;
/// Documents in a page, at the most.
pub const MAX_PAGE: u32 = 1000;
/// Index entries examined for one page that filters, at the most.
pub const MAX_EXAMINED: usize = 1000;
/// Search terms kept of a document, at the most: the first ones, in the order of the declared fields.
pub const MAX_TERMS: usize = 32;
/// Bytes kept of a search term; what is longer is cut, in documents and in queries alike.
pub const MAX_TERM_BYTES: usize = 64;
/// Bytes in the text of a search, at the most.
pub const MAX_SEARCH_BYTES: usize = 512;
/// Terms in the text of a search, at the most.
pub const MAX_SEARCH_TERMS: usize = 16;
/// Values in a set filter, at the most.
pub const MAX_FILTER_VALUES: usize = 100;
