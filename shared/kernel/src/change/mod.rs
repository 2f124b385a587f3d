//! Edits of a resource: what is wrong with the input, merge patches, and preconditions.

mod faults;
mod field_path;
mod merge_patch;
mod precondition;

pub use faults::{Fault, FaultKind, Faults};
pub use field_path::{FieldPath, Step};
pub use merge_patch::MergePatch;
pub use precondition::{EntityTag, Precondition, Versioned};
