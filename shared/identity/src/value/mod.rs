//! Values that are checked once, at the door: inside, one that breaks its rule cannot be written down.
//!
//! Each is made by `TryFrom<String>` or `FromStr`, whose error is the sentence for the person who typed it, and is
//! read from request bodies by `deserr` with the same sentence. `Deserialize` is for what was stored: it was checked
//! when it was written, and a rule that becomes stricter later must not make old documents unreadable.

mod email;
mod password;
mod person_name;
mod profile;
mod role_name;
mod session_text;

pub use email::{EmailAddress, InvalidEmail};
pub use password::{InvalidPassword, Password};
pub use person_name::{InvalidName, PersonName};
pub use profile::{
    Bio, CountryCode, DateOfBirth, InvalidProfileValue, LocaleTag, PhoneNumber, PostalLine, TimeZoneName,
    WebAddress,
};
pub use role_name::{InvalidRoleName, RoleName};
pub(crate) use session_text::user_agent_text;
pub use session_text::{DeviceName, InvalidDeviceName};

/// Gives a newtype of `String` that implements `TryFrom<String>` the rest of what a value needs.
macro_rules! text_value {
    ($name:ident, $fault:ty) => {
        impl $name {
            /// The value as text, as it was written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $fault;

            fn from_str(text: &str) -> Result<Self, $fault> {
                Self::try_from(text.to_owned())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        $crate::value::read_with_deserr!($name);
    };
}

/// Reads a type that implements `TryFrom<String>` from a body's string.
macro_rules! read_with_deserr {
    ($name:ident) => {
        impl<E: deserr::DeserializeError> deserr::Deserr<E> for $name {
            fn deserialize_from_value<V: deserr::IntoValue>(
                value: deserr::Value<V>,
                location: deserr::ValuePointerRef<'_>,
            ) -> Result<Self, E> {
                let text = String::deserialize_from_value(value, location)?;
                Self::try_from(text).map_err(|fault| {
                    let kind = deserr::ErrorKind::Unexpected::<V> { msg: fault.to_string() };
                    deserr::take_cf_content(E::error(None, kind, location))
                })
            }
        }
    };
}

pub(crate) use {read_with_deserr, text_value};

/// Whether `text` has characters that no line of text has: they forge log lines and mail headers.
pub(crate) fn has_controls(text: &str) -> bool {
    text.chars().any(char::is_control)
}
