use serde::{Deserialize, Serialize};
use std::time::Duration;
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity};

use super::{Jwk, Jwks};

/// The public keys of access tokens, as the programs that sign publish them in the store: one document. Programs that only verify
/// tokens read it, and hold no private key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PublishedKeys {
    keys: Vec<PublishedKey>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct PublishedKey {
    #[serde(flatten)]
    jwk: Jwk,
    published_at: Timestamp,
}

impl Entity for PublishedKeys {
    const COLLECTION: &'static Collection = &Collection::new("token_keys");

    fn id(&self) -> &str {
        Self::ID
    }
}

/// For how long a key stays that its publisher does not know. Two programs start at once with the secret as it was before and
/// after a rotation, and the older one must not remove the new key.
const UNKNOWN_KEY_STAYS: Duration = Duration::from_secs(10 * 60);

impl PublishedKeys {
    /// The id of the only document.
    pub(super) const ID: &'static str = "public";

    /// The keys.
    pub(super) fn jwks(&self) -> impl Iterator<Item = &Jwk> {
        self.keys.iter().map(|key| &key.jwk)
    }

    /// What is published once a program with `own` keys has been here: they are added, and those that are no longer in its
    /// secret are removed.
    pub(super) fn with(&self, own: &Jwks, now: Timestamp) -> Self {
        let is_own = |jwk: &Jwk| own.keys.iter().any(|key| key.kid == jwk.kid);
        let stays = |key: &&PublishedKey| is_own(&key.jwk) || now.since(key.published_at) < UNKNOWN_KEY_STAYS;
        let mut keys: Vec<_> = self.keys.iter().filter(stays).cloned().collect();
        for jwk in &own.keys {
            if keys.iter().all(|key| key.jwk.kid != jwk.kid) {
                keys.push(PublishedKey { jwk: jwk.clone(), published_at: now });
            }
        }
        Self { keys }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwks(ids: &[u8]) -> Jwks {
        Jwks { keys: ids.iter().map(|id| Jwk::p256(&[*id; 32], &[1; 32])).collect() }
    }

    #[test]
    fn a_key_that_a_publisher_lacks_is_removed_unless_it_is_new() {
        let at = |seconds: i64| Timestamp::from_seconds(1_700_000_000 + seconds);
        let published = |keys: &PublishedKeys| keys.jwks().cloned().collect::<Vec<_>>();
        let first = PublishedKeys::default().with(&jwks(&[1]), at(0));
        assert_eq!(first.with(&jwks(&[1]), at(10_000)), first);
        let second = first.with(&jwks(&[2, 1]), at(10_000));
        assert_eq!(published(&second), jwks(&[1, 2]).keys);
        assert_eq!(
            second.with(&jwks(&[1]), at(10_599)),
            second,
            "a program that lags behind removes nothing"
        );
        assert_eq!(published(&second.with(&jwks(&[2]), at(10_001))), jwks(&[2]).keys);
        assert_eq!(published(&second.with(&jwks(&[1]), at(10_600))), jwks(&[1]).keys);
    }
}
