//! The suite that holds a backend to the contract.
//!
//! Every case is a plain function named by the sentence that it pins, and asserts one exact result: no either/or, no
//! skip, no flag that says what a backend can do. To hold a backend against it, say how an empty store comes to be
//! ([`Subject`]) and let [`conformance_tests!`](crate::conformance_tests) write one test for each case:
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use switchyard_ambient::Ambient;
//! use switchyard_database::Database;
//! use switchyard_database::conformance::{Memory, Subject};
//!
//! /// A store in memory; another backend keeps the name of its schema, its file or its table prefix here.
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
//! // Evaluated once for each case, in an async function: it may `.await`.
//! switchyard_database::conformance_tests!(InMemory(Memory::new(Ambient::system())));
//! # fn main() {}
//! ```
//!
//! The macro belongs in a test of the backend's crate, which needs `tokio` with `macros` and `rt-multi-thread`, and this
//! crate with the feature `conformance`, among its dev-dependencies. Each group of cases becomes a module of its own and
//! each case a test: `conformance::unique::two_documents_swap_their_values_in_one_batch`.
//!
//! What the cases take for granted, and what they do not:
//!
//! - **A store of its own.** Each case gets an empty store and migrates only the few collections that it needs.
//! - **Several instances.** [`Subject::open`] is called again for another handle on the same store: what one handle
//!   wrote the other one must see, and a cursor of one must work on the other.
//! - **The clock** is injected and set by the cases. It stands in the year 2100, so that no expiry of the database's own
//!   (DynamoDB's TTL) takes documents away by the machine's clock.
//! - **Lag.** Reads by key and by unique attribute are asserted at once. Results of indexes and searches are read again
//!   until they are what they have to be, for [`Subject::patience`] at the most.
//! - **Real time** passes only in back-offs and in waiting for indexes.
//!
//! [`CASES`] lists the cases for those who run them in another way, by [`run`] or [`run_named`]. Beside them go [`walks`]:
//! operations drawn from seeds, compared with the store in memory step by step.

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

/// A store that a case runs on. A value stands for one store, empty at first.
#[async_trait]
pub trait Subject: Send + Sync + 'static {
    /// A handle on the store, with connections of its own. Called once for every instance that a case plays; all of
    /// them see the same documents.
    async fn open(&self, ambient: Ambient) -> Arc<dyn Database>;

    /// Takes the store away. Called once, after the case has ended, also after it has failed.
    async fn close(&self);

    /// How long an index or a search may lag behind the writes, at the most.
    fn patience(&self) -> Duration {
        Duration::from_secs(10)
    }
}

/// Runs one case on a store.
///
/// # Panics
///
/// When the case fails.
pub async fn run<C, F>(subject: impl Subject, case: C)
where
    C: FnOnce(Store) -> F,
    F: Future<Output = ()> + Send + 'static,
{
    let subject: Arc<dyn Subject> = Arc::new(subject);
    let store = Store::open(Arc::clone(&subject)).await;
    // A task of its own, so that the store is taken away after a failure too.
    let outcome = tokio::spawn(case(store)).await;
    subject.close().await;
    if let Err(failure) = outcome {
        std::panic::resume_unwind(failure.into_panic());
    }
}
