//! What a kind of job declares.

mod options;
mod retry;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use options::{JobOptions, Keep, Priority};
pub use retry::Retry;
pub(crate) use retry::{doubled, growing_pause};

/// A kind of job: its value is what the job is about, and is stored as JSON until the job is done.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use switchyard_jobs::{Job, JobOptions, Retry};
///
/// #[derive(Serialize, Deserialize)]
/// struct SendReceipt {
///     order_id: String,
/// }
///
/// impl Job for SendReceipt {
///     const KIND: &'static str = "orders.send_receipt";
///     const OPTIONS: JobOptions = JobOptions::new().urgent().retry(Retry::PROVIDER);
/// }
/// ```
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The name of the kind, as in `orders.send_receipt`. It is stored with each job, so it is never changed.
    const KIND: &'static str;

    /// The version of the value's form. It grows when older programs could not read the value.
    const VERSION: u16 = 1;

    /// How jobs of this kind are run.
    const OPTIONS: JobOptions = JobOptions::new();

    /// Returns the JSON of the present version for that of an older `version`; `None` if that version is not known.
    fn upgrade(version: u16, payload: Value) -> Option<Value> {
        let _ = (version, payload);
        None
    }
}

/// A kind of job that a crate declares, so that a program can be compared with what its crates declare.
#[derive(Clone, Copy, Debug)]
pub struct JobDeclaration {
    /// The name of the kind.
    pub kind: &'static str,
    /// How its jobs are run.
    pub options: JobOptions,
}

impl JobDeclaration {
    /// The declaration of `J`.
    pub const fn of<J: Job>() -> Self {
        Self { kind: J::KIND, options: J::OPTIONS }
    }
}
