use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Db, Entity, Error, Field, Transaction};

/// The number of wrong guesses in a row that lock an account.
pub(crate) const FAILURES_ALLOWED: i64 = 5;
/// How long a lock lasts.
const LOCK: Duration = Duration::from_secs(15 * 60);
/// The time without a guess after which earlier guesses are forgotten. Guessing at that pace is slower than
/// guessing between locks.
const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// The guesses at the password of one address since the last right one, whether or not the address has an
/// account.
///
/// A guess is counted before it is verified, in its own commit. So of a hundred concurrent guesses, five are
/// verified and the others find the account locked. A right guess resets the count.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Attempts {
    /// A keyed hash of the address. The table must not reveal the addresses of strangers, nor passwords that
    /// people typed into the wrong field.
    id: String,
    guesses: i64,
    locked_until: Option<Timestamp>,
    forget_at: Timestamp,
}

impl Entity for Attempts {
    const COLLECTION: &'static Collection = &Collection::new("sign_in_attempts")
        .fields(&[Field::integer("guesses"), Field::time("locked_until")])
        .expiring();

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at(&self) -> Option<Timestamp> {
        Some(self.forget_at)
    }
}

/// The outcome of reserving an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reservation {
    /// The guess is counted and may be verified.
    Granted {
        /// The end of the lock that begins if this guess is wrong; `None` if it does not lock the account.
        locks_until: Option<Timestamp>,
    },
    /// The account is locked.
    Locked {
        /// How long it stays locked.
        retry_after: Duration,
    },
}

impl Attempts {
    /// How long the account stays locked; `None` if it is not locked.
    pub(crate) async fn remaining_lock(db: &Db, id: &str, now: Timestamp) -> Result<Option<Duration>, Error> {
        Ok(db.collection::<Self>().get(id).await?.and_then(|attempts| attempts.locked_for(now)))
    }

    fn locked_for(&self, now: Timestamp) -> Option<Duration> {
        self.locked_until.filter(|until| *until > now).map(|until| until - now)
    }

    /// Whether the guesses still count. When a lock ends, its guesses no longer do.
    fn still_count(&self, now: Timestamp) -> bool {
        self.locked_until.is_none_or(|until| until > now)
    }

    /// Counts a guess, unless the account is locked.
    pub(crate) async fn reserve(db: &Db, id: &str, now: Timestamp) -> Result<Reservation, Error> {
        db.transact(|tx| async move {
            let stored = tx.get::<Self>(id).await?;
            if let Some(retry_after) = stored.as_ref().and_then(|attempts| attempts.locked_for(now)) {
                return Ok(Reservation::Locked { retry_after });
            }
            let earlier = stored.as_ref().filter(|attempts| attempts.still_count(now));
            let guesses = earlier.map_or(0, |attempts| attempts.guesses) + 1;
            let locked_until = (guesses >= FAILURES_ALLOWED).then(|| now + LOCK);
            let attempts = Self { id: id.to_owned(), guesses, locked_until, forget_at: now + MEMORY };
            match &stored {
                Some(stored) => tx.replace(stored, &attempts)?,
                None => tx.insert(&attempts)?,
            };
            Ok(Reservation::Granted { locks_until: locked_until })
        })
        .await
    }

    /// Moves the count to another id, as part of a transaction: the guesses at a user's password stay counted
    /// when the user's address changes.
    pub(crate) async fn carry(tx: &Transaction, from: &str, to: &str, now: Timestamp) -> Result<(), Error> {
        let carried = tx.get::<Self>(from).await?.filter(|attempts| attempts.still_count(now));
        let Some(carried) = carried else { return Ok(()) };
        tx.delete(&carried)?;
        let carried = Self { id: to.to_owned(), ..(*carried).clone() };
        match tx.get::<Self>(to).await? {
            Some(there) if there.still_count(now) => {
                let attempts = Self {
                    guesses: carried.guesses.max(there.guesses),
                    locked_until: carried.locked_until.max(there.locked_until),
                    forget_at: carried.forget_at.max(there.forget_at),
                    ..carried
                };
                tx.replace(&there, &attempts)?;
            }
            Some(there) => drop(tx.replace(&there, &carried)?),
            None => drop(tx.insert(&carried)?),
        }
        Ok(())
    }

    /// Removes all guesses and the lock, as part of a transaction.
    pub(crate) async fn forget(tx: &Transaction, id: &str) -> Result<(), Error> {
        match tx.get::<Self>(id).await? {
            Some(stored) => tx.delete(&stored),
            None => Ok(()),
        }
    }
}
