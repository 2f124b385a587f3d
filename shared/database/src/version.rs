use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use switchyard_ambient::Ambient;

/// The version of a document: opaque, new for every write, never used twice. It can serve as an HTTP entity tag.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version([u8; 16]);

impl Version {
    /// The version that `commit` returns for operations that write no document (`Delete`, `Check`).
    pub const NONE: Self = Self([0; 16]);

    /// A new version that has never been used.
    pub fn new(ambient: &Ambient) -> Self {
        Self(ambient.bytes())
    }

    /// The version stored as these bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// 22 characters of base64url.
impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a version must be 22 characters of base64url")]
pub struct ParseVersionError;

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, ParseVersionError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| ParseVersionError)?;
        bytes.try_into().map(Self).map_err(|_| ParseVersionError)
    }
}
