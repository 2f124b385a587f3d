use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use switchyard_ambient::Ambient;
use switchyard_kernel::Rotating;

use crate::{SealError, SealRing, Sealed};

/// Seals and opens texts with the keys of a program. Cheap to clone; all clones have the keys that replace others.
///
/// It seals with the first key that the database has recorded, so that no start without this key goes unnoticed. On AWS that is
/// the previous key until the deployment has recorded a new one.
#[derive(Clone, Debug)]
pub struct Sealer {
    keys: Rotating<SealRing>,
    ambient: Ambient,
}

impl Sealer {
    /// Creates a sealer from keys, and from where its salts come from.
    pub fn new(keys: Rotating<SealRing>, ambient: Ambient) -> Self {
        Self { keys, ambient }
    }

    /// Creates a sealer from keys that need not be recorded, for tests.
    pub fn with_keys(keys: SealRing, ambient: Ambient) -> Self {
        Self::new(Rotating::new(SealRing::SETTING, keys), ambient)
    }

    /// Creates the sealer of a program that does not have the secret. It neither seals nor opens.
    pub fn without_keys(ambient: Ambient) -> Self {
        Self::new(Rotating::missing(SealRing::SETTING), ambient)
    }

    /// Encrypts a text for a place, which is `collection/id/field`.
    ///
    /// # Errors
    ///
    /// [`SealError::NoKeys`] and [`SealError::NotRecorded`].
    pub fn seal(&self, place: &str, plaintext: &[u8]) -> Result<String, SealError> {
        self.keys()?;
        let (keys, key_id) = self.keys.recorded().ok_or(SealError::NotRecorded)?;
        keys.seal_with(&key_id, place, plaintext, &self.ambient)
    }

    /// Decrypts a text that was sealed for this place.
    ///
    /// # Errors
    ///
    /// [`SealError::NoKeys`], [`SealError::UnknownKey`] and [`SealError::Altered`].
    pub fn open(&self, place: &str, sealed: &str) -> Result<Vec<u8>, SealError> {
        self.keys()?.open(place, sealed)
    }

    /// Encrypts a value for a place, as JSON.
    ///
    /// # Errors
    ///
    /// Those of [`seal`](Self::seal), and [`SealError::Form`] if it has no JSON form.
    pub fn seal_value<T: Serialize>(&self, place: &str, value: &T) -> Result<Sealed<T>, SealError> {
        let plaintext = serde_json::to_vec(value).map_err(|_| SealError::Form)?;
        self.seal(place, &plaintext).map(Sealed::from_text)
    }

    /// Decrypts a value that was sealed for this place.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), and [`SealError::Form`] if it is no longer the JSON form of such a value.
    pub fn open_value<T: DeserializeOwned>(&self, place: &str, sealed: &Sealed<T>) -> Result<T, SealError> {
        serde_json::from_slice(&self.open(place, sealed.as_text())?).map_err(|_| SealError::Form)
    }

    fn keys(&self) -> Result<Arc<SealRing>, SealError> {
        self.keys.current().ok_or(SealError::NoKeys)
    }
}
