//! Reads bodies, query strings, paths and cookies into types, and reports all faults at once.

mod body;
mod cookies;
mod json;
mod json_text;
mod json_value;
mod patch;
mod path_parameters;
mod query;
mod search_words;
mod secret_header;
mod text;

pub use body::{MAX_BODY_BYTES, RawBody, limited_body};
pub use cookies::cookie;
pub use json::Json;
pub use patch::Patch;
pub use path_parameters::Path;
pub use query::Query;
pub use search_words::search_words;
pub use secret_header::secret_header;

pub(crate) use body::{BodyLimit, read_body};
pub(crate) use json::require_nothing;
pub(crate) use query::{read as read_query, require_no_parameters};
pub(crate) use text::decode as decode_text;
