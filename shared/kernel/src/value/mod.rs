//! Values that are validated once, when they are read: an invalid one cannot exist.
//!
//! Each is made by `TryFrom<String>` or `FromStr`, whose error is a sentence for the person who typed it, and is read from
//! request bodies by `deserr` with the same sentence. `Deserialize` is for stored values and does not validate: they were
//! validated when they were written, and a rule that becomes stricter later must not make old documents unreadable.

mod characters;
mod country_code;
mod id;
mod key_text;
mod line;
pub mod rfc3339;
mod role_name;
mod user_agent;

pub use characters::{is_line_control, is_mark, is_space, is_unassigned, is_visible};
pub use country_code::{CountryCode, InvalidCountryCode};
pub use id::{ParseIdError, SessionId, UserId, id_schema};
pub use key_text::{InvalidKeyText, folded_key, key_spelling};
#[doc(hidden)]
pub use line::line_schema;
pub use line::{InvalidLine, check_line};
pub use role_name::{InvalidRoleName, RoleName};
#[doc(hidden)]
pub use switchyard_ambient::Uuid;
pub use user_agent::user_agent_text;

/// Implements what a validated text needs, for a newtype of `String` that implements `TryFrom<String>`: `as_str`,
/// `FromStr`, `Display`, `Into<String>`, and reading from request bodies.
///
/// ```
/// /// A note's title: 1 to 100 characters.
/// pub struct Title(String);
///
/// impl TryFrom<String> for Title {
///     type Error = &'static str;
///
///     fn try_from(text: String) -> Result<Self, &'static str> {
///         let fits = (1..=100).contains(&text.chars().count());
///         if fits { Ok(Self(text)) } else { Err("must have 1 to 100 characters") }
///     }
/// }
///
/// switchyard_kernel::text_value!(Title, &'static str);
/// assert_eq!("".parse::<Title>().err(), Some("must have 1 to 100 characters"));
/// ```
#[macro_export]
macro_rules! text_value {
    ($name:ident, $fault:ty) => {
        impl $name {
            /// The value as text.
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

        $crate::read_with_deserr!($name);
    };
}

/// Implements reading from a string of a request body, for a type that implements `TryFrom<String>`.
#[macro_export]
macro_rules! read_with_deserr {
    ($name:ident) => {
        impl<E: $crate::deserr::DeserializeError> $crate::deserr::Deserr<E> for $name {
            fn deserialize_from_value<V: $crate::deserr::IntoValue>(
                value: $crate::deserr::Value<V>,
                location: $crate::deserr::ValuePointerRef<'_>,
            ) -> Result<Self, E> {
                let text = <String as $crate::deserr::Deserr<E>>::deserialize_from_value(value, location)?;
                Self::try_from(text).map_err(|fault| {
                    let kind = $crate::deserr::ErrorKind::Unexpected::<V> { msg: fault.to_string() };
                    $crate::deserr::take_cf_content(E::error(None, kind, location))
                })
            }
        }
    };
}
