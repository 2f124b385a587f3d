//! Encrypts fields of documents, so that a copy of the database does not reveal them.
//!
//! A [`Sealer`] holds the keys of the setting `ENCRYPTION_KEY`. What it has sealed can be opened with the same key alone, and
//! only at the same place: a text that was altered, or copied to another document or another field, is refused. The keys can be
//! replaced while the program runs: the first seals, and all of them open.
//!
//! A place is `collection/id/field`. The names of collections and fields contain no slash, so no two fields have the same place.
//!
//! Not hidden are the length of a text, and whether an older text was put back at its own place.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use switchyard_ambient::Ambient;
//! use switchyard_sealing::{SealRing, Sealed, Sealer};
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! struct Device {
//!     id: String,
//!     secret: Sealed<String>,
//! }
//!
//! let keys = SealRing::parse("an-example-of-a-key-with-32-chars").unwrap();
//! let sealer = Sealer::with_keys(keys, Ambient::system());
//!
//! let secret = sealer.seal_value("devices/7/secret", &"JBSWY3DPEHPK3PXP".to_owned()).unwrap();
//! let device = Device { id: "7".to_owned(), secret };
//! assert!(!format!("{device:?}").contains("JBSWY3DPEHPK3PXP"));
//!
//! assert_eq!(sealer.open_value("devices/7/secret", &device.secret).unwrap(), "JBSWY3DPEHPK3PXP");
//! assert!(sealer.open_value("devices/8/secret", &device.secret).is_err());
//! ```

mod error;
mod message;
mod seal_ring;
mod sealed;
mod sealer;

use switchyard_kernel::Manifest;

pub use error::SealError;
pub use message::key_id_of;
pub use seal_ring::SealRing;
pub use sealed::Sealed;
pub use sealer::Sealer;

/// What the service declares. Which keys have sealed is recorded among the check values of secrets, which the kernel declares.
pub const MANIFEST: Manifest = Manifest::new("sealing");
