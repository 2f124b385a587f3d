use switchyard_ambient::Ambient;
use switchyard_kernel::{KeyRing, KeyRingError, Keys, Rotating, SecretRing};
use switchyard_settings::{Environment, Secret};

use crate::{SealError, message};

/// Keys that seal texts: the first seals, all of them open.
///
/// They have the form and the ids of the keys of a [`KeyRing`], and are replaced in the same steps. An old key can be removed
/// only once nothing that it has sealed is left.
#[derive(Clone, Debug)]
pub struct SealRing(SecretRing<Secret>);

impl SealRing {
    /// The name of the setting.
    pub const SETTING: &'static str = "ENCRYPTION_KEY";

    /// Reads keys separated by commas, the one to use first.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        SecretRing::parse(text, |secret| Secret::new(secret)).map(Self)
    }

    /// Reads the setting, if it is among the secrets that are `needed`. Returns `None` if it is missing or malformed;
    /// `environment` then has the fault.
    pub fn read(environment: &mut Environment, needed: &[&str]) -> Option<Rotating<Self>> {
        let meaning = "the keys that seal what the database must not reveal, the current one first";
        Rotating::read(environment, needed, Self::SETTING, KeyRing::FORM, meaning)
    }

    /// Encrypts a text for a place, with the first key.
    pub fn seal(&self, place: &str, plaintext: &[u8], ambient: &Ambient) -> String {
        message::seal((self.0.current_id(), self.0.current()), ambient.bytes(), place, plaintext)
    }

    /// Encrypts a text for a place, with the key `key_id`.
    ///
    /// # Errors
    ///
    /// [`SealError::UnknownKey`] if the ring does not hold it.
    pub fn seal_with(
        &self,
        key_id: &str,
        place: &str,
        plaintext: &[u8],
        ambient: &Ambient,
    ) -> Result<String, SealError> {
        Ok(message::seal((key_id, self.secret(key_id)?), ambient.bytes(), place, plaintext))
    }

    /// Decrypts a text that was sealed for this place.
    ///
    /// # Errors
    ///
    /// [`SealError::UnknownKey`] and [`SealError::Altered`].
    pub fn open(&self, place: &str, sealed: &str) -> Result<Vec<u8>, SealError> {
        let (key_id, message) = message::split(sealed).ok_or(SealError::Altered)?;
        message::open(self.secret(key_id)?, place, message).ok_or(SealError::Altered)
    }

    fn secret(&self, key_id: &str) -> Result<&Secret, SealError> {
        self.0.get(key_id).ok_or_else(|| SealError::UnknownKey { key_id: key_id.to_owned() })
    }
}

impl Keys for SealRing {
    type Fault = KeyRingError;

    const SEALS: bool = true;

    fn parse(text: &str) -> Result<Self, KeyRingError> {
        Self::parse(text)
    }

    fn ids(&self) -> Vec<String> {
        self.0.ids().map(str::to_owned).collect()
    }
}
