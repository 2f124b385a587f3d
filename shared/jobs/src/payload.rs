//! The values of jobs as they are stored: JSON text, or sealed.

use serde::Serialize;
use switchyard_database::Error;

/// The length of a job's value, in bytes of JSON.
pub const MAX_PAYLOAD_BYTES: usize = 64 * 1024;
/// The length of what a handler keeps between attempts, and of a result, in bytes of JSON.
pub const MAX_RESULT_BYTES: usize = 16 * 1024;

/// Writes and reads the values of jobs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Payloads(());

/// The field of a job that holds a text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Payload,
    Memo,
}

impl Payloads {
    /// Seals nothing. Jobs that are to be sealed cannot be stored.
    pub fn unsealed() -> Self {
        Self(())
    }

    /// The text in the form in which the job stores it.
    pub(crate) fn seal(&self, id: &str, part: Part, is_sealed: bool, text: String) -> Result<String, Error> {
        if !is_sealed {
            return Ok(text);
        }
        let place = place(id, part);
        Err(Error::Internal(format!("{place} is to be sealed, and the program has no ENCRYPTION_KEY")))
    }

    /// The text that a job has stored.
    ///
    /// # Errors
    ///
    /// What is wrong, if it cannot be opened.
    pub(crate) fn open(&self, id: &str, part: Part, is_sealed: bool, stored: &str) -> Result<String, String> {
        if !is_sealed {
            return Ok(stored.to_owned());
        }
        Err(format!("{} is sealed, and the program has no ENCRYPTION_KEY", place(id, part)))
    }
}

/// The place that a sealed text belongs to. Moved to another job, it cannot be opened.
fn place(id: &str, part: Part) -> String {
    let field = match part {
        Part::Payload => "payload",
        Part::Memo => "memo",
    };
    format!("jobs/{id}/{field}")
}

/// A value as JSON text of at most `limit` bytes.
pub(crate) fn json(value: &impl Serialize, limit: usize, what: &str) -> Result<String, Error> {
    let text = serde_json::to_string(value).map_err(|fault| Error::Internal(format!("{what}: {fault}")))?;
    if text.len() > limit {
        let length = text.len();
        return Err(Error::Limit(format!("{what} has {length} bytes; at most {limit} are allowed")));
    }
    Ok(text)
}
