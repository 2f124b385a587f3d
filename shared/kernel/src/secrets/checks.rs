//! What a database knows about the secrets of the programs that use it.
//!
//! A program with other secrets than those that its database was set up with starts without a fault, and fails at every right
//! password. So the database stores a check value for each secret: the id of its current key. A start compares them.

use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Consistency, Db, Entity, Error as DatabaseError, Field, Stored};

/// A secret of the settings, shown by the ids of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSecret {
    /// The name of the setting, as in `AUDIT_KEY`.
    pub setting: &'static str,
    /// The ids of its keys, the current one first. An id reveals nothing about its key.
    pub key_ids: Vec<String>,
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
    key_id: String,
    recorded_at: Timestamp,
}

impl Entity for SecretCheck {
    const COLLECTION: &'static Collection =
        &Collection::new("secret_checks").fields(&[Field::string("key_id"), Field::time("recorded_at")]);

    fn id(&self) -> &str {
        &self.setting
    }
}

/// The result of comparing secrets with the check values of a database.
enum Comparison {
    /// Every current key is recorded.
    Recorded,
    /// Secrets are new to the database, or have a new current key and still hold the recorded one.
    Changed,
    Other(OtherSecret),
}

fn compare(held: &[HeldSecret], recorded: &[Option<SecretCheck>]) -> Comparison {
    let mut comparison = Comparison::Recorded;
    for (secret, check) in held.iter().zip(recorded) {
        match check {
            Some(check) if !secret.key_ids.contains(&check.key_id) => {
                let key_id = check.key_id.clone();
                return Comparison::Other(OtherSecret { setting: secret.setting, key_id });
            }
            Some(check) if secret.key_ids.first() == Some(&check.key_id) => {}
            _ => comparison = Comparison::Changed,
        }
    }
    comparison
}

/// Returns the first of the secrets that does not hold the key that the database was last used with. One call of the
/// database, which changes nothing.
pub async fn other_secret(db: &Db, held: &[HeldSecret]) -> Result<Option<OtherSecret>, DatabaseError> {
    let recorded = recorded(db, held).await?;
    match compare(held, &recorded) {
        Comparison::Other(other) => Ok(Some(other)),
        Comparison::Recorded | Comparison::Changed => Ok(None),
    }
}

/// Records the current keys of the secrets, unless the database was used with other ones: then nothing is recorded, and the
/// first of these is returned.
///
/// A key is therefore replaced in three steps: the new one is added, then it becomes the current one, and after a start that
/// has recorded it the old one is removed.
pub async fn record_secrets(
    db: &Db,
    held: &[HeldSecret],
    now: Timestamp,
) -> Result<Option<OtherSecret>, DatabaseError> {
    match compare(held, &recorded(db, held).await?) {
        Comparison::Other(other) => return Ok(Some(other)),
        Comparison::Recorded => return Ok(None), // without a transaction, at every start
        Comparison::Changed => {}
    }
    db.transact(|tx| async move {
        let mut stored = Vec::new();
        for secret in held {
            stored.push(tx.get::<SecretCheck>(secret.setting).await?);
        }
        let recorded: Vec<_> = stored.iter().map(|check| check.as_deref().cloned()).collect();
        if let Comparison::Other(other) = compare(held, &recorded) {
            return Ok(Some(other)); // another program was first
        }
        for (secret, stored) in held.iter().zip(&stored) {
            let Some(key_id) = secret.key_ids.first() else { continue };
            let check =
                SecretCheck { setting: secret.setting.to_owned(), key_id: key_id.clone(), recorded_at: now };
            match stored {
                Some(stored) if stored.key_id == check.key_id => {}
                Some(stored) => drop(tx.replace(stored, &check)?),
                None => drop(tx.insert(&check)?),
            }
        }
        Ok(None)
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
