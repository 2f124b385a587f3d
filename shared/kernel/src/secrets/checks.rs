//! What a database knows about the secrets of the programs that use it.
//!
//! A program with other secrets than those that its database was set up with starts without a fault, and fails at every right
//! password. So the database stores a check value for each secret: the id of its current key. A start compares them.

use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Consistency, Db, Entity, Error as DatabaseError, Field, Stored};

use super::ReplaceableSecret;

/// A secret of the settings, shown by the ids of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSecret {
    /// The name of the setting, as in `AUDIT_KEY`.
    pub setting: &'static str,
    /// The ids of its keys, the current one first. An id reveals nothing about its key.
    pub key_ids: Vec<String>,
    /// Whether what its keys have made needs them: see [`Keys::SEALS`](super::Keys::SEALS).
    pub seals: bool,
}

/// A secret that the database was used with and that the settings lack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherSecret {
    /// The name of the setting.
    pub setting: &'static str,
    /// The id of the missing key.
    pub key_id: String,
}

/// The collection of the check values: one document for each secret.
pub const SECRET_CHECKS: &Collection = SecretCheck::COLLECTION;

/// The check value of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SecretCheck {
    setting: String,
    /// The current key.
    key_id: String,
    /// The keys that were current before and are still needed: those of a secret that seals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    older_key_ids: Vec<String>,
    recorded_at: Timestamp,
}

impl SecretCheck {
    /// The check value with the current key of `held`. `None` if it has that already.
    fn with_current_of(stored: Option<&Self>, held: &HeldSecret, now: Timestamp) -> Option<Self> {
        let key_id = held.key_ids.first()?;
        if stored.is_some_and(|stored| stored.key_id == *key_id) {
            return None;
        }
        let in_use = stored.filter(|_| held.seals).into_iter().flat_map(Self::key_ids);
        Some(Self {
            setting: held.setting.to_owned(),
            key_id: key_id.clone(),
            older_key_ids: in_use.filter(|id| *id != key_id).cloned().collect(),
            recorded_at: now,
        })
    }

    /// The ids of the keys in use, that of the current one first.
    fn key_ids(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.key_id).chain(&self.older_key_ids)
    }
}

impl Entity for SecretCheck {
    const COLLECTION: &'static Collection =
        &Collection::new("secret_checks").fields(&[Field::string("key_id"), Field::time("recorded_at")]);

    fn id(&self) -> &str {
        &self.setting
    }
}

/// The result of comparing secrets with the check values of a database.
pub(super) enum Comparison {
    /// Every secret holds the keys that are recorded for it: these, for each secret.
    Held(Vec<Vec<String>>),
    /// A secret lacks one of them.
    Other(OtherSecret),
}

fn compare(held: &[HeldSecret], recorded: &[Option<SecretCheck>]) -> Comparison {
    let mut in_use = Vec::new();
    for (secret, check) in held.iter().zip(recorded) {
        let key_ids: Vec<_> = check.iter().flat_map(SecretCheck::key_ids).cloned().collect();
        if let Some(missing) = key_ids.iter().find(|id| !secret.key_ids.contains(id)) {
            return Comparison::Other(OtherSecret { setting: secret.setting, key_id: missing.clone() });
        }
        in_use.push(key_ids);
    }
    Comparison::Held(in_use)
}

/// Returns the first of the secrets that lacks a key that the database was last used with, or one that it needs. The others
/// learn which of their keys are recorded. One call of the database, which changes nothing.
pub async fn other_secret<'a>(
    db: &Db,
    secrets: impl IntoIterator<Item = &'a dyn ReplaceableSecret>,
) -> Result<Option<OtherSecret>, DatabaseError> {
    let (secrets, held) = held(secrets);
    Ok(noted(&secrets, compare_held(db, &held).await?))
}

/// Records the current keys of the secrets, unless the database was used with other ones: then nothing is recorded, and the
/// first of these is returned.
///
/// A key is therefore replaced in three steps: the new one is added, then it becomes the current one, and after a start that
/// has recorded it the old one is removed. The old one of a secret that [seals](super::Keys::SEALS) stays.
pub async fn record_secrets<'a>(
    db: &Db,
    secrets: impl IntoIterator<Item = &'a dyn ReplaceableSecret>,
    now: Timestamp,
) -> Result<Option<OtherSecret>, DatabaseError> {
    let (secrets, held) = held(secrets);
    Ok(noted(&secrets, record_held(db, &held, now).await?))
}

/// The secrets that the program has, and the ids of their keys.
fn held<'a>(
    secrets: impl IntoIterator<Item = &'a dyn ReplaceableSecret>,
) -> (Vec<&'a dyn ReplaceableSecret>, Vec<HeldSecret>) {
    secrets.into_iter().filter_map(|secret| Some((secret, secret.held()?))).unzip()
}

/// Tells the secrets which of their keys are recorded.
fn noted(secrets: &[&dyn ReplaceableSecret], comparison: Comparison) -> Option<OtherSecret> {
    match comparison {
        Comparison::Other(other) => Some(other),
        Comparison::Held(in_use) => {
            for (secret, key_ids) in secrets.iter().zip(in_use) {
                secret.note_recorded(key_ids);
            }
            None
        }
    }
}

pub(super) async fn compare_held(db: &Db, held: &[HeldSecret]) -> Result<Comparison, DatabaseError> {
    Ok(compare(held, &recorded(db, held).await?))
}

pub(super) async fn record_held(
    db: &Db,
    held: &[HeldSecret],
    now: Timestamp,
) -> Result<Comparison, DatabaseError> {
    let compared = compare_held(db, held).await?;
    if let Comparison::Held(in_use) = &compared
        && held.iter().zip(in_use).any(|(secret, key_ids)| secret.key_ids.first() != key_ids.first())
    {
        return record(db, held, now).await;
    }
    Ok(compared) // without a transaction, at nearly every start
}

async fn record(db: &Db, held: &[HeldSecret], now: Timestamp) -> Result<Comparison, DatabaseError> {
    db.transact(|tx| async move {
        let mut stored = Vec::new();
        for secret in held {
            stored.push(tx.get::<SecretCheck>(secret.setting).await?);
        }
        let mut checks: Vec<_> = stored.iter().map(|check| check.as_deref().cloned()).collect();
        if let Comparison::Other(other) = compare(held, &checks) {
            return Ok(Comparison::Other(other)); // another program was first
        }
        for ((secret, stored), check) in held.iter().zip(&stored).zip(&mut checks) {
            let Some(new) = SecretCheck::with_current_of(check.as_ref(), secret, now) else { continue };
            match stored {
                Some(stored) => drop(tx.replace(stored, &new)?),
                None => drop(tx.insert(&new)?),
            }
            *check = Some(new);
        }
        Ok(compare(held, &checks))
    })
    .await
}

/// Removes the check value of a secret, so that the next start may bring another one. Returns `false` if there was none.
pub async fn forget_secret(db: &Db, setting: &str) -> Result<bool, DatabaseError> {
    db.transact(|tx| async move {
        let stored = tx.get::<SecretCheck>(setting).await?;
        if let Some(stored) = &stored {
            tx.delete(stored)?;
        }
        Ok(stored.is_some())
    })
    .await
}

async fn recorded(db: &Db, held: &[HeldSecret]) -> Result<Vec<Option<SecretCheck>>, DatabaseError> {
    let checks = db
        .collection::<SecretCheck>()
        .get_many(held.iter().map(|secret| secret.setting), Consistency::Linearizable)
        .await?;
    Ok(checks.into_iter().map(|check| check.map(Stored::into_value)).collect())
}
