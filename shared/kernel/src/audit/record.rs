use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field, Index};

use super::Outcome;
use super::seen::ChainEnd;
use crate::KeyRing;

/// How long entries are kept: six years, at most two of them leap years.
pub(super) const RETENTION: Duration = Duration::from_secs((6 * 365 + 2) * 24 * 60 * 60);

/// A stored entry.
///
/// Every audited change pays for the size of an entry, and for each index that it is in. So nothing is stored twice, and the
/// fields have short names: with the `User-Agent` of a browser an entry stays below the kilobyte that DynamoDB counts writes in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct AuditRecord {
    /// The document's id, which is not stored a second time. It is empty in an entry that was read.
    #[serde(skip)]
    pub(super) position: String,
    #[serde(rename = "entry")]
    pub(super) entry_id: String,
    pub(super) at: Timestamp,
    /// The user. Absent if there is none: the entries of strangers and of the program would all be at one place of `by_actor`.
    #[serde(rename = "actor", skip_serializing_if = "Option::is_none")]
    pub(super) user_id: Option<String>,
    /// Who the actor is, if it is not a user.
    #[serde(rename = "kind", skip_serializing_if = "Option::is_none")]
    pub(super) other_actor: Option<OtherActor>,
    #[serde(rename = "roles", default, skip_serializing_if = "Vec::is_empty")]
    pub(super) actor_roles: Vec<String>,
    pub(super) action: String,
    pub(super) outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resource: Option<String>,
    #[serde(rename = "ip", skip_serializing_if = "Option::is_none")]
    pub(super) address: Option<String>,
    #[serde(rename = "agent", skip_serializing_if = "Option::is_none")]
    pub(super) user_agent: Option<String>,
    #[serde(rename = "request")]
    pub(super) request_id: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) details: BTreeMap<String, String>,
    /// When the previous entry was written. Once that entry is gone, this shows whether it could have expired.
    #[serde(rename = "prev_at", skip_serializing_if = "Option::is_none")]
    pub(super) previous_at: Option<Timestamp>,
    #[serde(rename = "prev")]
    pub(super) previous_mac: String,
    /// The end of another chain, as the process had last seen it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seen: Option<ChainEnd>,
    #[serde(rename = "key")]
    pub(super) key_id: String,
    pub(super) mac: String,
}

/// An actor that is not a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum OtherActor {
    Anonymous,
    System,
}

impl OtherActor {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Anonymous => "anonymous",
            Self::System => "system",
        }
    }

    /// The actor of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Anonymous, Self::System].into_iter().find(|actor| actor.as_str() == name)
    }
}

impl Entity for AuditRecord {
    const COLLECTION: &'static Collection = &Collection::new("audit_entries")
        .fields(&[
            Field::string("entry"),
            Field::time("at"),
            Field::string("actor"),
            Field::string("kind").few_values(),
            Field::string("action"),
            Field::string("outcome"),
            Field::string("subject"),
            Field::string("resource"),
        ])
        .indexes(&[
            Index::new("by_time").sort(&["at"]).shards(16).copying_fields(&["action", "outcome", "kind"]),
            Index::new("by_subject").partition(&["subject"]).sort(&["at"]),
            Index::new("by_actor").partition(&["actor"]).sort(&["at"]),
        ])
        .expiring()
        .append_only();

    fn id(&self) -> &str {
        &self.position
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.at + RETENTION)
    }
}

impl AuditRecord {
    /// The key under which the entry of this number is stored: the chain in hexadecimal and the number, as in
    /// `7f-000000000042`. The next entry of a chain is therefore read by key, which sees every commit, and two writers cannot
    /// both write it.
    pub(super) fn position_of(chain: u8, sequence: i64) -> String {
        format!("{chain:02x}-{sequence:012}")
    }

    /// The chain and the number of the entry that is stored under this key; `None` if no entry is.
    pub(super) fn place_of(position: &str) -> Option<(u8, i64)> {
        let (chain, sequence) = position.split_once('-')?;
        let place = (u8::from_str_radix(chain, 16).ok()?, sequence.parse().ok()?);
        (place.1 >= 1 && Self::position_of(place.0, place.1) == position).then_some(place)
    }

    /// The code over an entry at this position, without the code itself; `None` if `keys` does not hold the entry's key.
    ///
    /// The message is the position and the JSON of the struct, with the fields in the order of declaration. Absent fields are
    /// left out, so a field that is added later does not change existing codes.
    pub(super) fn mac_with(&self, position: &str, keys: &KeyRing) -> Option<String> {
        let unsigned = Self { mac: String::new(), ..self.clone() };
        code_over("entry", position, &unsigned, &self.key_id, keys)
    }

    /// The actor: a user's id, `system` or `anonymous`.
    pub(super) fn actor(&self) -> &str {
        let other = self.other_actor.unwrap_or(OtherActor::Anonymous).as_str();
        self.user_id.as_deref().unwrap_or(other)
    }
}

/// The code under the key `key_id` over what is stored: its kind, where it is stored, and its JSON. The kind keeps one from
/// being passed off as another. Returns `None` if `keys` does not hold the key.
pub(super) fn code_over(
    kind: &str,
    id: &str,
    unsigned: &impl Serialize,
    key_id: &str,
    keys: &KeyRing,
) -> Option<String> {
    let mut message = format!("{kind}\n{id}\n").into_bytes();
    serde_json::to_writer(&mut message, unsigned).ok()?;
    keys.code(key_id, &message).map(|code| URL_SAFE_NO_PAD.encode(code.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_names_one_place() {
        for place in [(0, 1), (127, 42), (255, 999_999_999_999), (10, 1_000_000_000_000)] {
            assert_eq!(AuditRecord::place_of(&AuditRecord::position_of(place.0, place.1)), Some(place));
        }
        for other in [
            "",
            "elsewhere",
            "7F-000000000001",
            "7f-1",
            "7f-000000000000",
            "7f--00000000001",
            "100-000000000001",
        ] {
            assert_eq!(AuditRecord::place_of(other), None, "{other}");
        }
    }
}
