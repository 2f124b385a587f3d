use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::Error;

use super::chain::{Chain, unsigned};
use super::record::code_over;
use super::seen::ChainEnd;
use crate::KeyRing;

/// The ends of all chains at some time, signed with the key of the audit log.
///
/// What is in the database can be set back together: chains, entries and what they name of each other. An anchor is kept where
/// the application cannot rewrite it, and a log that was set back behind it contradicts it. As text it is one line of JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditAnchor {
    #[serde(rename = "anchored_at")]
    at: Timestamp,
    ends: Vec<ChainEnd>,
    key_id: String,
    mac: String,
}

/// Why a text is not an anchor of this log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnchorError {
    /// It is not an anchor, or only a part of one.
    #[error("is not an anchor of an audit log")]
    Malformed,
    /// It was signed with a key that the ring does not hold.
    #[error("was signed with a key that AUDIT_KEY does not hold")]
    UnknownKey,
    /// It was not written with the key that it names, or was changed.
    #[error("is not what was written")]
    Altered,
    /// A chain ends before the end that an earlier anchor names, or has another entry there.
    #[error("contradicts the anchor before it: the log was set back in between")]
    SetBack,
}

impl AuditAnchor {
    pub(super) fn new(at: Timestamp, ends: &[Option<Chain>], keys: &KeyRing) -> Result<Self, Error> {
        let ends = (0..=u8::MAX).zip(ends);
        let ends = ends.filter_map(|(chain, end)| Some(end.as_ref()?.seen(chain))).collect();
        let unsigned_anchor = Self { at, ends, key_id: keys.current_id().to_owned(), mac: String::new() };
        let mac = unsigned_anchor.mac_with(keys).ok_or_else(unsigned)?;
        Ok(Self { mac, ..unsigned_anchor })
    }

    /// Reads the anchor of a line, and checks that it was written with one of these keys.
    pub(super) fn parse(line: &str, keys: &KeyRing) -> Result<Self, AnchorError> {
        let anchor: Self = serde_json::from_str(line).map_err(|_| AnchorError::Malformed)?;
        match anchor.mac_with(keys) {
            Some(mac) if mac == anchor.mac => Ok(anchor),
            Some(_) => Err(AnchorError::Altered),
            None => Err(AnchorError::UnknownKey),
        }
    }

    fn mac_with(&self, keys: &KeyRing) -> Option<String> {
        let unsigned = Self { mac: String::new(), ..self.clone() };
        code_over("anchor", "", &unsigned, &self.key_id, keys)
    }

    /// When it was written.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    pub(super) fn ends(&self) -> &[ChainEnd] {
        &self.ends
    }

    /// The anchor as a line of JSON, without the line's end.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() // integers and text only
    }

    /// Checks that every chain continues from where `earlier` saw its end.
    ///
    /// # Errors
    ///
    /// [`AnchorError::SetBack`] otherwise.
    pub fn follows(&self, earlier: &Self) -> Result<(), AnchorError> {
        let continues = earlier.ends.iter().all(|before| {
            self.ends
                .iter()
                .any(|now| now.chain == before.chain && (now == before || now.sequence > before.sequence))
        });
        if continues { Ok(()) } else { Err(AnchorError::SetBack) }
    }
}
