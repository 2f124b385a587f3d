#![doc = include_str!("../README.md")]

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod encoding;
pub mod limits;
pub mod paging;
pub mod retry;
pub mod terms;

mod addition;
mod batch;
mod collection;
mod contract;
mod cursor;
mod db;
mod document;
mod entity;
mod error;
mod evaluate;
mod key;
#[cfg(feature = "memory")]
mod memory;
mod projection;
mod query;
mod scalar;
mod schema;
mod transaction;
mod version;

pub use addition::Addition;
pub use batch::{Batch, Expect, GuardChange, Operation, Prepared, TermChange};
pub use collection::{Collection, Copies, Field, FieldKind, Index, Unique};
pub use contract::{Consistency, Database};
pub use db::{Db, Documents, TypedPage};
pub use document::{Body, Document, is_expired};
pub use entity::{Entity, Stored};
pub use error::{Cause, Error, Rejection, Result};
pub use evaluate::{State, cause_of_document, evaluate};
pub use key::{Key, UniqueKey};
#[cfg(feature = "memory")]
pub use memory::Memory;
pub use projection::{IndexEntry, Projection, term_position};
pub use query::{Condition, Filter, Page, Query, Scan, Search};
pub use scalar::Scalar;
pub use schema::Schema;
pub use transaction::{Increment, Transaction};
pub use version::{ParseVersionError, Version};
