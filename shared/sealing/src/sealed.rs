use std::fmt;
use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::key_id_of;

/// A field of a document that holds a sealed value. It is stored as the sealed text, and `Debug` shows the id of its key alone.
///
/// Any text is read as one, so a document whose field was altered can still be read:
/// [`Sealer::open_value`](crate::Sealer::open_value) fails then.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed<T> {
    text: String,
    value: PhantomData<fn() -> T>,
}

impl<T> Sealed<T> {
    /// The field that holds a sealed text.
    pub fn from_text(text: String) -> Self {
        Self { text, value: PhantomData }
    }

    /// The sealed text.
    pub fn as_text(&self) -> &str {
        &self.text
    }

    /// The id of the key that has sealed the value. `None` if the text does not have the form of a sealed one.
    pub fn key_id(&self) -> Option<&str> {
        key_id_of(&self.text)
    }
}

// Derived, these would be there only for values that have them.
impl<T> Clone for Sealed<T> {
    fn clone(&self) -> Self {
        Self::from_text(self.text.clone())
    }
}

impl<T> PartialEq for Sealed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<T> Eq for Sealed<T> {}

impl<T> fmt::Debug for Sealed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the text itself, which may be a plain one that was stored by mistake.
        write!(f, "Sealed({})", self.key_id().unwrap_or("malformed"))
    }
}
