//! Cursors: positions bound to their query.
//!
//! A cursor is the base64url of the position followed by sixteen bytes of SHA-256 over the query and the position.
//! It needs no state on the server, and stays valid if the document at its position is deleted. The digest detects
//! altered cursors and cursors of other queries. It is not a signature: with a forged cursor, a caller reads a
//! page of their own query from another position, and nothing outside of the query.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::{Error, Result};

const DIGEST_BYTES: usize = 16;
/// More than enough for a cursor, which holds at most a sort key.
const MAX_CURSOR_BYTES: usize = 4096;

/// A digest of the query that a cursor is bound to.
pub(crate) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of the query that `parts` describe completely.
    pub(crate) fn new<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// Returns the cursor for `position`.
    pub(crate) fn seal(&self, position: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode([position, &self.digest(position)].concat())
    }

    /// Returns the position of `cursor`.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::BadCursor`] if the cursor was altered or belongs to another query.
    pub(crate) fn open(&self, cursor: &str) -> Result<Vec<u8>> {
        if cursor.len() > MAX_CURSOR_BYTES {
            return Err(Error::BadCursor);
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| Error::BadCursor)?;
        let end = bytes.len().checked_sub(DIGEST_BYTES).ok_or(Error::BadCursor)?;
        let digest = bytes.split_off(end);
        if digest == self.digest(&bytes) { Ok(bytes) } else { Err(Error::BadCursor) }
    }

    fn digest(&self, position: &[u8]) -> [u8; DIGEST_BYTES] {
        let hash =
            Sha256::new().chain_update(b"switchyard cursor 1").chain_update(self.0).chain_update(position);
        let mut digest = [0; DIGEST_BYTES];
        digest.copy_from_slice(&hash.finalize()[..DIGEST_BYTES]);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_only_for_its_own_query_and_unaltered() {
        let fingerprint = Fingerprint::new([&b"users"[..], b"by_creation"]);
        let cursor = fingerprint.seal(b"position");
        assert_eq!(fingerprint.open(&cursor), Ok(b"position".to_vec()));
        let other = Fingerprint::new([&b"user"[..], b"sby_creation"]);
        assert_eq!(other.open(&cursor), Err(Error::BadCursor));
        for place in 0..cursor.len() {
            let mut altered = cursor.clone().into_bytes();
            altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(fingerprint.open(std::str::from_utf8(&altered).unwrap()), Err(Error::BadCursor));
        }
        for hostile in ["", "A", "====", "ä", &"A".repeat(100_000)] {
            assert_eq!(fingerprint.open(hostile), Err(Error::BadCursor));
        }
    }
}
