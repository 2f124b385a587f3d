//! Work that a transaction leaves for later.
//!
//! A [`Job`] is stored in the transaction of what causes it ([`Outbox::enqueue`]): both are there, or neither is. A [`Worker`]
//! finds it, claims it, and has a [`Handler`] do it, at least once. The effect happens once if the handler completes the job in
//! the transaction of the effect ([`Run::complete`]), or gives [`Run::idempotency_key`] to the one that has the effect.
//!
//! Nothing but the database holds the state of a job, and each change of it is a conditional write of the version that was
//! read. So of many workers one has a job, and one that was thought dead and comes back changes nothing.
//!
//! ```
//! use async_trait::async_trait;
//! use serde::{Deserialize, Serialize};
//! use switchyard_jobs::{Done, Handler, Job, JobError, Registry, Run};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Greet {
//!     name: String,
//! }
//!
//! impl Job for Greet {
//!     const KIND: &'static str = "examples.greet";
//! }
//!
//! struct Greeter;
//!
//! #[async_trait]
//! impl Handler for Greeter {
//!     type Job = Greet;
//!
//!     async fn run(&self, job: Greet, _: &Run) -> Result<Done, JobError> {
//!         println!("Hello {}", job.name);
//!         Ok(Done::new())
//!     }
//! }
//!
//! let mut registry = Registry::new();
//! registry.register(Greeter);
//! ```

mod admin;
mod announce;
mod counts;
mod handler;
mod job;
mod observe;
mod outbox;
mod payload;
mod presence;
mod record;
mod run;
pub mod schedule;
mod settings;
#[cfg(feature = "testing")]
pub mod testing;
mod value;
mod worker;

use switchyard_database::{Collection, Entity};
use switchyard_kernel::Manifest;

pub use admin::*;
pub use announce::{
    Announcement, Announcements, Announcer, LocalAnnouncer, NoAnnouncer, local_announcements,
};
pub use handler::{Done, Handler, JobError, Registry};
pub use job::{Job, JobDeclaration, JobOptions, Keep, Priority, Retry};
pub use observe::{EndedAttempt, JobObserver, NoJobObserver};
pub use outbox::{Dedupe, Enqueue, Enqueued, Outbox};
pub use payload::{MAX_PAYLOAD_BYTES, MAX_RESULT_BYTES, Payloads};
pub use record::{JobState, Progress, Tick};
pub use run::Run;
pub use settings::{JobsSettings, WorkerMode};
pub use value::{CronName, JobId, JobKind};
pub use worker::{Worked, Worker, WorkerSettings};

/// What the crate declares.
pub const MANIFEST: Manifest = Manifest::new("jobs")
    .collections(COLLECTIONS)
    .permissions(&[JOBS_READ, JOBS_WRITE])
    .codes(codes::ALL)
    .actions(actions::ALL);

/// The kinds of jobs of the crate itself.
pub const JOBS: &[JobDeclaration] = &[JobDeclaration::of::<RetryDead>(), JobDeclaration::of::<DiscardDead>()];

const COLLECTIONS: &[&Collection] = &[
    <record::JobRecord as Entity>::COLLECTION,
    <presence::WorkerRecord as Entity>::COLLECTION,
    <counts::CountRecord as Entity>::COLLECTION,
    <schedule::record::ScheduleRecord as Entity>::COLLECTION,
];
