//! What comes in: bodies, query strings, paths and cookies, read into types with all faults told at once.

mod body;
mod cookies;
mod faults;
mod json;
mod json_text;
mod merge_patch;
mod path;
mod path_parameters;
mod query;
mod text;

pub use body::MAX_BODY_BYTES;
pub use cookies::cookie;
pub use faults::Faults;
pub use json::Json;
pub use merge_patch::MergePatch;
pub use path_parameters::Path;
pub use query::Query;

pub(crate) use body::read_body;
pub(crate) use query::read as read_query;
pub(crate) use text::decode as decode_text;
