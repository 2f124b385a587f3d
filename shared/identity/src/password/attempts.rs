use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Db, Entity, Error, Field, Index, Stored, Transaction};
use switchyard_kernel::{SessionId, UserId, rfc3339};

/// The number of wrong guesses in a row that lock an account.
pub(crate) const FAILURES_ALLOWED: i64 = 5;
/// How long a lock lasts.
const LOCK: Duration = Duration::from_secs(15 * 60);
/// The time without a guess after which earlier guesses are forgotten. Guessing at that pace is slower than
/// guessing between locks.
const MEMORY: Duration = Duration::from_secs(24 * 60 * 60);

/// How many sign-ins of a user pass between two counts of the user's sessions.
pub(crate) const SESSIONS_COUNTED_EVERY: u32 = 10;

/// Whose password is guessed at, and by whom. Each has its own count of guesses and its own lock.
#[derive(Clone, Debug)]
pub(crate) enum Guessed {
    /// An account, by anyone. Its guesses stay counted if its address changes.
    Account {
        /// The user.
        id: UserId,
        /// When the account was created.
        created_at: Timestamp,
    },
    /// An account, from a device on which its user has signed in before.
    FromDevice {
        /// The user.
        id: UserId,
        /// The session of the device's token.
        session: SessionId,
        /// How often the user had been unlocked: see [`UserRecord::unlocks`](crate::user::UserRecord::unlocks).
        unlocks: i64,
    },
    /// An address without an account: a keyed hash of it. The table must not reveal the addresses of strangers, nor
    /// passwords that people typed into the wrong field.
    Address(String),
}

impl Guessed {
    /// The id under which the guesses are counted.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Account { id, .. } => id.to_string(),
            Self::FromDevice { session, unlocks, .. } => format!("device:{session}:{unlocks}"),
            Self::Address(hash) => format!("address:{hash}"),
        }
    }

    /// Whom the guesses concern, for the audit log.
    pub(crate) fn subject(&self) -> String {
        match self {
            Self::Account { id, .. } | Self::FromDevice { id, .. } => id.to_string(),
            Self::Address(_) => self.id(),
        }
    }

    /// The session of the device's token, if the guesses come from a known device.
    pub(crate) fn device(&self) -> Option<SessionId> {
        match self {
            Self::FromDevice { session, .. } => Some(*session),
            Self::Account { .. } | Self::Address(_) => None,
        }
    }

    /// When the account was created that a lock is shown at. The locks of devices and of addresses are not shown.
    fn created_at(&self) -> Option<Timestamp> {
        match self {
            Self::Account { created_at, .. } => Some(*created_at),
            Self::FromDevice { .. } | Self::Address(_) => None,
        }
    }
}

/// The guesses at one password since the last right one, and when that was.
///
/// A guess is counted before it is verified, in its own commit. So of a hundred concurrent guesses, five are verified and the
/// others find the account locked. A right guess resets the count.
///
/// This is not a part of the user's record, because an admin who edits a user must not be disturbed by the user's log-in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attempts {
    id: String,
    guesses: i64,
    locked_until: Option<Timestamp>,
    /// When the guesses are forgotten.
    forget_at: Timestamp,
    /// When the user last signed in, after the registration.
    pub(crate) last_login_at: Option<Timestamp>,
    /// `locked` for an account that was locked since its user last signed in, so that admins find it.
    mark: Option<String>,
    /// The end of the lock of an account. The locks of devices and of addresses are in no index.
    account_locked_until: Option<Timestamp>,
    /// When the account was created, by which locked users are listed.
    account_created_at: Option<Timestamp>,
    /// The number of sign-ins since the sessions of the user were last counted.
    sign_ins: u32,
}

impl Entity for Attempts {
    const COLLECTION: &'static Collection = &Collection::new("sign_in_attempts")
        .fields(&[
            Field::integer("guesses"),
            Field::time("locked_until"),
            Field::time("last_login_at"),
            Field::string("mark"),
            Field::time("account_locked_until"),
            Field::time("account_created_at"),
        ])
        .indexes(&[
            Index::new("by_mark").partition(&["mark"]).sort(&["account_created_at"]).copying_documents(),
            Index::new("by_lock").sort(&["account_locked_until"]).shards(1).copying_documents(),
        ])
        .expiring();

    fn id(&self) -> &str {
        &self.id
    }

    fn expires_at(&self) -> Option<Timestamp> {
        self.last_login_at.is_none().then_some(self.forget_at)
    }
}

/// The outcome of reserving an attempt.
#[derive(Clone, Debug)]
pub(crate) enum Reservation {
    /// The guess is counted and may be verified.
    Granted(Box<Stored<Attempts>>),
    /// The account is locked.
    Locked {
        /// How long it stays locked.
        retry_after: Duration,
    },
}

impl Attempts {
    /// The mark of accounts that were locked.
    pub(crate) const LOCKED: &'static str = "locked";

    fn none(id: String, now: Timestamp) -> Self {
        Self {
            id,
            guesses: 0,
            locked_until: None,
            forget_at: now + MEMORY,
            last_login_at: None,
            mark: None,
            account_locked_until: None,
            account_created_at: None,
            sign_ins: 0,
        }
    }

    /// How long the account stays locked; `None` if it is not locked.
    pub(crate) fn locked_for(&self, now: Timestamp) -> Option<Duration> {
        self.locked_until.filter(|until| *until > now).map(|until| until - now)
    }

    /// Whether the guesses still count. When a lock ends, its guesses no longer do.
    fn still_count(&self, now: Timestamp) -> bool {
        self.forget_at > now && self.locked_until.is_none_or(|until| until > now)
    }

    /// The state after one more guess.
    fn with_guess(previous: Option<&Self>, guessed: &Guessed, now: Timestamp) -> Self {
        let earlier = previous.filter(|attempts| attempts.still_count(now));
        let guesses = earlier.map_or(0, |attempts| attempts.guesses) + 1;
        let locked_until = (guesses >= FAILURES_ALLOWED).then(|| now + LOCK);
        let locked_account = guessed.created_at().filter(|_| locked_until.is_some());
        Self {
            guesses,
            locked_until,
            last_login_at: previous.and_then(|attempts| attempts.last_login_at),
            sign_ins: previous.map_or(0, |attempts| attempts.sign_ins),
            mark: locked_account.map(|_| Self::LOCKED.to_owned()),
            account_locked_until: locked_account.and(locked_until),
            account_created_at: locked_account,
            ..Self::none(guessed.id(), now)
        }
    }

    /// Counts a guess, unless the account is locked. `known` is the state that the caller has read: if it is still the
    /// stored one, this is a single write.
    pub(crate) async fn reserve(
        db: &Db,
        guessed: &Guessed,
        known: Option<Stored<Self>>,
        now: Timestamp,
    ) -> Result<Reservation, Error> {
        let attempts = db.collection::<Self>();
        let next = Self::with_guess(known.as_deref(), guessed, now);
        let written = match &known {
            Some(stored) => attempts.replace(stored, &next).await,
            None => attempts.insert(&next).await,
        };
        match written {
            Ok(counted) => return Ok(Reservation::Granted(Box::new(counted))),
            Err(Error::Rejected(_)) => {} // another guess came first
            Err(error) => return Err(error),
        }
        db.transact(|tx| async move {
            let id = guessed.id();
            let stored = tx.get::<Self>(&id).await?;
            if let Some(retry_after) = stored.as_ref().and_then(|attempts| attempts.locked_for(now)) {
                return Ok(Reservation::Locked { retry_after });
            }
            let next = Self::with_guess(stored.as_deref(), guessed, now);
            let counted = match &stored {
                Some(stored) => tx.replace(stored, &next)?,
                None => tx.insert(&next)?,
            };
            Ok(Reservation::Granted(Box::new(counted)))
        })
        .await
    }

    /// Whether the guesses so far lock the account, unless the last one is right.
    pub(crate) fn is_locked(&self) -> bool {
        self.locked_until.is_some()
    }

    /// Whether the sessions of the user are to be counted at this sign-in.
    pub(crate) fn counts_sessions(&self) -> bool {
        self.sign_ins == 0
    }

    /// Forgets the guesses that were counted with `guessed`, the right one among them, because the user `account` has signed in
    /// at `now`. As part of a transaction. Returns what is known of the account.
    ///
    /// A user who signs in from a known device neither forgets what others have guessed nor unlocks the account for them:
    /// otherwise each sign-in of the user would give them more guesses.
    pub(crate) async fn signed_in(
        tx: &Transaction,
        guessed: &Guessed,
        account: UserId,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let is_from_device = guessed.device().is_some();
        if is_from_device {
            Self::forget(tx, &guessed.id(), now).await?;
        }
        let stored = tx.get::<Self>(account.as_str()).await?;
        let kept = stored.as_deref().filter(|attempts| is_from_device && attempts.still_count(now)).cloned();
        let sign_ins = stored.as_ref().map_or(0, |attempts| attempts.sign_ins) + 1;
        let attempts = Self {
            last_login_at: Some(rfc3339::to_millisecond(now)),
            sign_ins: sign_ins % SESSIONS_COUNTED_EVERY,
            ..kept.unwrap_or_else(|| Self::none(account.to_string(), now))
        };
        match &stored {
            Some(stored) => tx.replace(stored, &attempts)?,
            None => tx.insert(&attempts)?,
        };
        Ok(attempts)
    }

    /// Forgets all guesses and unlocks, as part of a transaction.
    pub(crate) async fn forget(tx: &Transaction, id: &str, now: Timestamp) -> Result<(), Error> {
        let Some(stored) = tx.get::<Self>(id).await? else { return Ok(()) };
        if stored.last_login_at.is_none() {
            return tx.delete(&stored);
        }
        let attempts = Self { last_login_at: stored.last_login_at, ..Self::none(id.to_owned(), now) };
        tx.replace(&stored, &attempts)?;
        Ok(())
    }
}
