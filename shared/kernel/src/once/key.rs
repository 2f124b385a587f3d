use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use ring::hmac;
use switchyard_ambient::Timestamp;
use switchyard_database::{Db, Error, Transaction};

use super::{Effect, EffectRecord};
use crate::AuditEvent;

/// The `Idempotency-Key` of a request. Cheap to clone; clones share what is known about the effect.
#[derive(Clone)]
pub struct RequestKey(Arc<Inner>);

struct Inner {
    id: String,
    seed: hmac::Key,
    forgotten_at: Timestamp,
    is_repeated: bool,
    earlier: Option<Effect>,
    progress: AtomicU8,
}

/// No transaction of this run has had an effect.
const NONE: u8 = 0;
/// A transaction with the effect is being committed, or its outcome is unknown.
const PENDING: u8 = 1;
/// The effect is committed.
const COMMITTED: u8 = 2;

impl RequestKey {
    /// The key of a request that has not run before. `id` identifies the request among all requests with keys, and `seed` is
    /// known only to who knows the request and its key. The effect is forgotten at `forgotten_at`.
    pub fn new(id: impl Into<String>, seed: &[u8], forgotten_at: Timestamp) -> Self {
        Self(Arc::new(Inner {
            id: id.into(),
            seed: hmac::Key::new(hmac::HMAC_SHA256, seed),
            forgotten_at,
            is_repeated: false,
            earlier: None,
            progress: AtomicU8::new(NONE),
        }))
    }

    /// The key of a request that has run before. Reads whether it took effect.
    pub async fn repeated(
        db: &Db,
        id: impl Into<String>,
        seed: &[u8],
        forgotten_at: Timestamp,
    ) -> Result<Self, Error> {
        let first = Self::new(id, seed, forgotten_at);
        let earlier = first.effect_now(db).await?;
        let Inner { id, seed, .. } = &*first.0;
        Ok(Self(Arc::new(Inner {
            id: id.clone(),
            seed: seed.clone(),
            forgotten_at,
            is_repeated: true,
            earlier,
            progress: AtomicU8::new(NONE),
        })))
    }

    /// Whether the request has run before. Whether it took effect then is another question.
    pub fn is_repeated(&self) -> bool {
        self.0.is_repeated
    }

    /// The effect of an earlier run of the request.
    pub fn earlier_effect(&self) -> Option<&Effect> {
        self.0.earlier.as_ref()
    }

    /// Whether this or an earlier run of the request has taken effect, or may have done so.
    pub fn may_have_taken_effect(&self) -> bool {
        self.0.earlier.is_some() || self.progress() != NONE
    }

    /// Reads the effect that the request has had by now.
    pub async fn effect_now(&self, db: &Db) -> Result<Option<Effect>, Error> {
        let record = db.collection::<EffectRecord>().get(&self.0.id).await?;
        Ok(record.map(|record| record.into_value().effect))
    }

    /// A secret for one purpose, the same in every run of the request. With it, a repetition can give out again what is
    /// stored only as a hash.
    pub fn secret(&self, purpose: &str) -> [u8; 32] {
        let mut secret = [0; 32];
        secret.copy_from_slice(hmac::sign(&self.0.seed, purpose.as_bytes()).as_ref());
        secret
    }

    /// Adds the effect to the transaction that has it. The first effect of a run counts, and further transactions of the same
    /// run are not checked.
    pub(crate) fn record(&self, tx: &Transaction, events: &[AuditEvent]) -> Result<(), Error> {
        let Some(effect) = Effect::of(events).filter(|_| self.progress() != COMMITTED) else { return Ok(()) };
        let Inner { id, forgotten_at, .. } = &*self.0;
        tx.insert(&EffectRecord { id: id.clone(), effect, forgotten_at: *forgotten_at })?;
        self.note(NONE, PENDING);
        Ok(())
    }

    /// Notes that the transaction with the effect has been committed.
    pub(crate) fn note_committed(&self) {
        self.note(PENDING, COMMITTED);
    }

    /// Notes that the transaction with the effect has certainly not been committed.
    pub(crate) fn note_not_applied(&self) {
        self.note(PENDING, NONE);
    }

    fn progress(&self) -> u8 {
        self.0.progress.load(Ordering::Acquire)
    }

    fn note(&self, from: u8, to: u8) {
        let _ = self.0.progress.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire);
    }
}

/// Does not show the seed.
impl fmt::Debug for RequestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestKey")
            .field("id", &self.0.id)
            .field("earlier", &self.0.earlier)
            .finish_non_exhaustive()
    }
}
