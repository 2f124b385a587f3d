//! The conformance suite, which tests a backend against the contract.
//!
//! Every case is a plain function whose name states the tested behaviour. It asserts one exact result: there are
//! no alternatives, no skipped cases and no capability flags. To test a backend, implement [`Subject`], which
//! provides an empty store, and generate one test for each case with
//! [`conformance_tests!`](crate::conformance_tests):
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use switchyard_ambient::Ambient;
//! use switchyard_database::Database;
//! use switchyard_database::conformance::{Memory, Subject};
//!
//! /// An in-memory store. For another backend, this holds the name of its schema, its file or its table prefix.
//! struct InMemory(Memory);
//!
//! #[async_trait]
//! impl Subject for InMemory {
//!     async fn open(&self, ambient: Ambient) -> Arc<dyn Database> {
//!         Arc::new(self.0.with_ambient(ambient))
//!     }
//!
//!     async fn close(&self) {}
//! }
//!
//! // The expression is evaluated once for each case, in an async function, so it may use `.await`.
//! switchyard_database::conformance_tests!(InMemory(Memory::new(Ambient::system())));
//! # fn main() {}
//! ```
//!
//! Put the macro into a test of the backend's crate. The crate needs two dev-dependencies: `tokio` with `macros`
//! and `rt-multi-thread`, and this crate with the feature `conformance`. The macro generates a module for each
//! group of cases and a test for each case: `conformance::unique::two_documents_swap_their_values_in_one_batch`.
//!
//! What the cases assume:
//!
//! - **Separate stores.** Each case gets an empty store and migrates only the few collections that it needs.
//! - **Several instances.** [`Subject::open`] may be called again to get another handle to the same store. Each
//!   handle must see the writes of the others, and must accept their cursors.
//! - **Injected clock.** The cases set the clock. It starts in the year 2100, so that the database's own expiry
//!   (DynamoDB's TTL), which uses the machine's clock, removes no documents.
//! - **Lag.** Results of reads by key and by unique attribute are asserted at once. Results of queries, searches
//!   and scans are read again until they are as expected, for at most [`Subject::patience`].
//! - **Real time.** The cases wait only in back-offs and for indexes.
//!
//! [`CASES`] lists the cases, to run them in another way with [`run`] or [`run_named`]. The suite also has
//! [`walks`]: random operations, generated from seeds, whose results are compared with the in-memory store step by
//! step.

mod cases;
mod history;
mod lagging;
mod mutant;
mod store;
mod walk;
mod words;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use switchyard_ambient::Ambient;

use crate::Database;

pub use crate::Memory;
pub use cases::*;
pub use lagging::Lagging;
pub use mutant::{Fault, Mutant};
pub use store::Store;
pub use walk::walks;

/// A store on which a case runs. Each value represents one store, which is empty at first.
#[async_trait]
pub trait Subject: Send + Sync + 'static {
    /// Opens a handle to the store, with its own connections. Called once for every instance that a case uses. All
    /// handles must see the same documents.
    async fn open(&self, ambient: Ambient) -> Arc<dyn Database>;

    /// Removes the store. Called once after the case has ended, even if it failed.
    async fn close(&self);

    /// The maximum time for which an index or a search may lag behind writes.
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
}

/// Runs one case on a store.
///
/// # Panics
///
/// Panics if the case fails.
pub async fn run<C, F>(subject: impl Subject, case: C)
where
    C: FnOnce(Store) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let subject: Arc<dyn Subject> = Arc::new(subject);
    let store = Store::open(Arc::clone(&subject)).await;
    // A separate task, so that the store is removed even after a panic.
    let outcome = tokio::spawn(case(store)).await;
    subject.close().await;
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
}
