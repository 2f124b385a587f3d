use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{SealError, Sealer, key_id_of};

/// A sealed text, for fields of documents. It is stored as a string, and its `Debug` shows nothing but the id of its key.
///
/// Any string is read as one: a document with an altered field can still be read, and only [`open`](Self::open) fails.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl Sealed {
    /// Encrypts a text for a place, `collection/id/field`.
    ///
    /// # Errors
    ///
    /// Those of [`Sealer::seal`].
    pub fn seal(sealer: &Sealer, place: &str, plaintext: &[u8]) -> Result<Self, SealError> {
        sealer.seal(place, plaintext).map(Self)
    }

    /// Decrypts the text, which was sealed at this place.
    ///
    /// # Errors
    ///
    /// Those of [`Sealer::open`].
    pub fn open(&self, sealer: &Sealer, place: &str) -> Result<Vec<u8>, SealError> {
        sealer.open(place, &self.0)
    }

    /// The id of the key that sealed the text. `None` if the string is not a sealed text.
    pub fn key_id(&self) -> Option<&str> {
        key_id_of(&self.0)
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the string itself: it may be a plain text that was stored by mistake.
        write!(f, "Sealed({})", self.key_id().unwrap_or("malformed"))
    }
}
