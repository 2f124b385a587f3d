//! Time, identifiers and randomness: the only crate that gets them from the operating system.
//!
//! All other code gets them from an [`Ambient`], so that a test can stop the clock and a replay can generate the
//! same identifiers again. The clippy configuration bans direct calls elsewhere.
//!
//! ```
//! use std::time::Duration;
//! use switchyard_ambient::{Ambient, ManualClock, SeededRandomness, Timestamp};
//!
//! let clock = ManualClock::at(Timestamp::from_micros(1_700_000_000_000_000));
//! let ambient = Ambient::new(clock.clone(), SeededRandomness::new(7));
//! let first = ambient.now();
//! clock.advance(Duration::from_secs(60));
//! assert_eq!(ambient.now() - first, Duration::from_secs(60));
//! assert_eq!(first.to_string(), "2023-11-14T22:13:20.000Z");
//! ```

mod clock;
mod randomness;
mod timestamp;

use std::sync::Arc;
use std::time::Duration;

pub use clock::{Clock, ManualClock, SystemClock};
pub use randomness::{Randomness, SeededRandomness, SystemRandomness};
pub use timestamp::{ParseTimestampError, Timestamp};
pub use uuid::Uuid;

/// A clock and a source of randomness. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ambient {
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
}

impl Ambient {
    /// Creates an `Ambient` from a clock and a source of randomness.
    pub fn new(clock: impl Clock, randomness: impl Randomness) -> Self {
        Self { clock: Arc::new(clock), randomness: Arc::new(randomness) }
    }

    /// The machine's clock and the operating system's cryptographic random number generator.
    pub fn system() -> Self {
        Self::new(SystemClock, SystemRandomness)
    }

    /// The same clock with other randomness.
    #[must_use]
    pub fn with_randomness(&self, randomness: impl Randomness) -> Self {
        Self { clock: Arc::clone(&self.clock), randomness: Arc::new(randomness) }
    }

    /// Returns the current time, to the microsecond.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Returns `N` random bytes, suitable for secrets if the source is [`SystemRandomness`].
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.randomness.fill(&mut bytes);
        bytes
    }

    /// Returns a new UUID of version 7 (RFC 9562 §5.7), which sorts by the millisecond of its creation.
    pub fn uuid_v7(&self) -> Uuid {
        let millis = u64::try_from(self.now().as_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// Returns a random duration from zero up to `ceiling`, for a back-off with full jitter.
    pub fn jitter(&self, ceiling: Duration) -> Duration {
        let fraction = f64::from(u32::from_le_bytes(self.bytes())) / f64::from(u32::MAX);
        ceiling.mul_f64(fraction)
    }
}
