//! Encrypts fields of documents, so that a copy of the database does not reveal them.
//!
//! A [`Sealer`] has the keys. What it seals can be opened only with the same key, and only at the same place: a sealed text
//! that is copied to another document or another field is refused, as is one that was altered. The keys of a [`SealRing`] can
//! be replaced: the first seals, and all of them open.
//!
//! A place is `collection/id/field`. Names of collections and fields contain no slash, so no two fields have the same place.
//!
//! The length of a text is not hidden, and neither is an older text that was put back at its own place.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use switchyard_ambient::Ambient;
//! use switchyard_kernel::Rotating;
//! use switchyard_sealing::{SealRing, Sealed, Sealer};
//!
//! #[derive(Debug, Serialize, Deserialize)]
//! struct Device {
//!     id: String,
//!     secret: Sealed,
//! }
//!
//! let ring = SealRing::parse("an-example-of-a-key-with-32-chars").unwrap();
//! let sealer = Sealer::new(Rotating::new(SealRing::SETTING, ring), Ambient::system());
//! let secret = Sealed::seal(&sealer, "devices/7/secret", b"JBSWY3DPEHPK3PXP").unwrap();
//! let device = Device { id: "7".to_owned(), secret };
//! assert!(!format!("{device:?}").contains("JBSWY3DPEHPK3PXP"));
//!
//! assert_eq!(device.secret.open(&sealer, "devices/7/secret").unwrap(), b"JBSWY3DPEHPK3PXP");
//! assert!(device.secret.open(&sealer, "devices/8/secret").is_err());
//! ```

mod error;
mod seal_ring;
mod sealed;
mod sealer;

pub use error::SealError;
pub use seal_ring::SealRing;
pub use sealed::Sealed;
pub use sealer::{Sealer, key_id_of};

/// What the crate declares: its name alone, because it stores nothing itself.
pub const MANIFEST: switchyard_kernel::Manifest = switchyard_kernel::Manifest::new("sealing");
