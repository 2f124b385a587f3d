use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use switchyard_ambient::Timestamp;
use switchyard_database::{Db, Error as DatabaseError};
use switchyard_kernel::Rotating;

use super::public_key::PublicKey;
use super::published::PublishedKeys;
use super::{Jwks, SigningKeys};

/// After this time the published keys are read again, so that one that was removed verifies nothing any longer.
const FRESH_FOR: Duration = Duration::from_secs(5 * 60);
/// The pause after an attempt to do so, if the store does not answer.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(10);
/// The pause between two reads for keys that are not known. Clients that make up ids of keys cause no more reads than this.
const UNKNOWN_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The keys of access tokens: those that are published, which verify, and those of a program that signs.
///
/// A program with signing keys publishes them before it signs with them. One that verifies reads the published keys at its
/// start, from time to time, and when a token names a key that it does not know. So a token of a new key is valid everywhere,
/// although each program gets the new secret at another time.
pub(crate) struct TokenKeys {
    own: Rotating<SigningKeys>,
    known: RwLock<Known>,
    /// Held while the store is read, so that requests that wait for the same key cause one read.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    published: Vec<Arc<PublicKey>>,
    /// When they were last read, and when that was last tried.
    read_at: Option<Timestamp>,
    tried_at: Option<Timestamp>,
    /// Why the last try failed, if it did.
    fault: Option<DatabaseError>,
}

impl Known {
    fn is_tried_within(&self, pause: Duration, now: Timestamp) -> bool {
        self.tried_at.is_some_and(|tried| now.since(tried) < pause)
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let is_fresh = self.read_at.is_some_and(|read| now.since(read) < FRESH_FOR);
        !is_fresh && !self.is_tried_within(TRY_AGAIN_AFTER, now)
    }
}

impl TokenKeys {
    pub(crate) fn new(own: Rotating<SigningKeys>) -> Self {
        Self { own, known: RwLock::default(), reading: tokio::sync::Mutex::default() }
    }

    /// The keys to sign with, after they were published.
    pub(super) async fn signer(&self, db: &Db, now: Timestamp) -> Result<Arc<SigningKeys>, DatabaseError> {
        let own = self.own.get()?;
        let (signer, _) = own.signer();
        let is_published = || self.read_known(|known| known.published.iter().any(|key| key.id() == signer));
        if !is_published() {
            let _reading = self.reading.lock().await;
            if !is_published() {
                self.synchronize(db, now).await?;
            }
        }
        Ok(own)
    }

    /// The key of this id. Reads the store if it is not known.
    pub(super) async fn find(
        &self,
        db: &Db,
        id: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<PublicKey>>, DatabaseError> {
        self.keep_fresh(db, now).await;
        if let Some(key) = self.known_key(id) {
            return Ok(Some(key));
        }
        self.read_again(db, now, |keys| keys.known_key(id).is_some()).await?;
        Ok(self.known_key(id))
    }

    /// The public keys, those of this program first.
    pub(crate) fn jwks(&self) -> Jwks {
        let mut jwks = self.own.current().map_or_else(|| Jwks { keys: Vec::new() }, |own| own.jwks());
        self.read_known(|known| {
            for key in &known.published {
                if jwks.keys.iter().all(|own| own.kid != key.id()) {
                    jwks.keys.push(key.jwk().clone());
                }
            }
        });
        jwks
    }

    /// Like [`jwks`](Self::jwks), with what others have published in the meantime. If the store does not answer, without.
    pub(crate) async fn latest_jwks(&self, db: &Db, now: Timestamp) -> Jwks {
        if let Err(fault) = self.read_again(db, now, |_| false).await {
            tracing::warn!(cause = %fault, "the public keys of access tokens could not be read");
        }
        self.jwks()
    }

    /// Reads the published keys. If this program signs, publishes its own.
    pub(crate) async fn synchronize(&self, db: &Db, now: Timestamp) -> Result<(), DatabaseError> {
        let published = self.exchange(db, now).await;
        self.write_known(|known| {
            known.tried_at = Some(now);
            known.fault = published.as_ref().err().cloned();
            let Ok(published) = &published else { return };
            let kept = |id: &str| known.published.iter().find(|key| key.id() == id).cloned();
            let read = published.jwks().filter_map(|jwk| {
                kept(&jwk.kid).or_else(|| PublicKey::of_jwk(jwk).map(Arc::new)) // with what it has verified
            });
            known.published = read.collect();
            known.read_at = Some(now);
        });
        published.map(drop)
    }

    async fn exchange(&self, db: &Db, now: Timestamp) -> Result<PublishedKeys, DatabaseError> {
        let own = self.own.current();
        let keys = db.collection::<PublishedKeys>();
        let stored = keys.get(PublishedKeys::ID).await?;
        let mut published = stored.map(|stored| stored.into_value()).unwrap_or_default();
        if let Some(own) = own.map(|own| own.jwks()).filter(|own| published.with(own, now) != published) {
            let own = &own;
            published = db
                .transact(|tx| async move {
                    let stored = tx.get::<PublishedKeys>(PublishedKeys::ID).await?;
                    let published = stored.as_deref().cloned().unwrap_or_default().with(own, now);
                    match &stored {
                        Some(stored) => tx.replace(stored, &published)?,
                        None => tx.insert(&published)?,
                    };
                    Ok::<_, DatabaseError>(published)
                })
                .await?;
        }
        Ok(published)
    }

    /// Reads the published keys again if it is time. If the store does not answer, the known ones stay.
    async fn keep_fresh(&self, db: &Db, now: Timestamp) {
        if !self.read_known(|known| known.is_due(now)) {
            return;
        }
        let Ok(_reading) = self.reading.try_lock() else { return };
        if let Err(fault) = self.synchronize(db, now).await {
            tracing::warn!(cause = %fault, "the public keys of access tokens could not be read");
        }
    }

    /// Reads the published keys again, unless that was tried in the last second, or another caller has just done what
    /// `is_done` looks for.
    async fn read_again(
        &self,
        db: &Db,
        now: Timestamp,
        is_done: impl Fn(&Self) -> bool,
    ) -> Result<(), DatabaseError> {
        let _reading = self.reading.lock().await;
        if is_done(self) {
            return Ok(());
        }
        let last = self.read_known(|known| {
            known.is_tried_within(UNKNOWN_AGAIN_AFTER, now).then(|| known.fault.clone().map_or(Ok(()), Err))
        });
        match last {
            Some(result) => result,
            None => self.synchronize(db, now).await,
        }
    }

    fn known_key(&self, id: &str) -> Option<Arc<PublicKey>> {
        let of_store = self.read_known(|known| known.published.iter().find(|key| key.id() == id).cloned());
        let of_own = || self.own.current()?.verifiers().iter().find(|key| key.id() == id).cloned();
        of_store.or_else(of_own)
    }

    fn read_known<T>(&self, read: impl FnOnce(&Known) -> T) -> T {
        read(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write_known(&self, write: impl FnOnce(&mut Known)) {
        write(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Shows only the ids of the keys.
impl fmt::Debug for TokenKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let published = self.read_known(|known| known.published.clone());
        f.debug_struct("TokenKeys")
            .field("own", &self.own)
            .field("published", &published)
            .finish_non_exhaustive()
    }
}
