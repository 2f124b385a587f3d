//! Tests what is sealed: against another implementation, for any text and any change of it, and as it is shown. And
//! which keys seal.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod keys;
mod properties;
mod records;
mod shown;
mod vectors;

use switchyard_ambient::{Ambient, ManualClock, Randomness, SeededRandomness, Timestamp};
use switchyard_sealing::{SealRing, Sealer};

const OLD: &str = "old-key-old-key-old-key-old-key-";
const NEW: &str = "new-key-new-key-new-key-new-key-";
const PLACE: &str = "users/7/totp_secret";

fn sealer(keys: &str) -> Sealer {
    sealer_with(keys, SeededRandomness::new(1))
}

fn sealer_with(keys: &str, randomness: impl Randomness) -> Sealer {
    let ambient = Ambient::new(ManualClock::at(Timestamp::from_micros(0)), randomness);
    Sealer::with_keys(SealRing::parse(keys).unwrap(), ambient)
}
