//! Ids, each with its own type, so that one cannot be used for another.

use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};

/// The text is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID")]
pub struct ParseIdError;

/// Declares the type of an id: a UUID with its own type, read from text and from request bodies, and written as text.
///
/// ```
/// switchyard_kernel::id_type! {
///     /// The id of a note: a UUID of version 7.
///     NoteId
/// }
///
/// let id: NoteId = "0190A1B2-0000-7000-8000-000000000001".parse().unwrap();
/// assert_eq!(id.as_str(), "0190a1b2-0000-7000-8000-000000000001");
/// ```
// The text is kept beside the UUID because the typed layer of the database asks for ids as `&str`.
#[macro_export]
macro_rules! id_type {
    ($(#[doc = $doc:literal])* $name:ident) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name {
            uuid: $crate::value::Uuid,
            text: [u8; 36],
        }

        impl $name {
            /// The id as text: lower case, with hyphens.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.text).unwrap_or_default() // ASCII by construction
            }

            /// The id as a UUID.
            pub fn uuid(&self) -> $crate::value::Uuid {
                self.uuid
            }
        }

        impl ::std::convert::From<$crate::value::Uuid> for $name {
            fn from(uuid: $crate::value::Uuid) -> Self {
                let mut text = [0; 36];
                uuid.hyphenated().encode_lower(&mut text);
                Self { uuid, text }
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $crate::ParseIdError;

            fn from_str(text: &str) -> Result<Self, $crate::ParseIdError> {
                $crate::value::Uuid::try_parse(text).map(Self::from).map_err(|_| $crate::ParseIdError)
            }
        }

        impl ::std::convert::TryFrom<String> for $name {
            type Error = $crate::ParseIdError;

            fn try_from(text: String) -> Result<Self, $crate::ParseIdError> {
                text.parse()
            }
        }

        $crate::read_with_deserr!($name);

        impl $crate::utoipa::ToSchema for $name {}

        impl $crate::utoipa::PartialSchema for $name {
            fn schema() -> $crate::utoipa::openapi::RefOr<$crate::utoipa::openapi::Schema> {
                $crate::value::id_schema(concat!($($doc),*).trim())
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::std::fmt::Debug for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::serde::Serialize for $name {
            fn serialize<S: $crate::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> $crate::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as $crate::serde::Deserialize>::deserialize(deserializer)?
                    .parse()
                    .map_err($crate::serde::de::Error::custom)
            }
        }
    };
}

/// The schema of an id in the API's document.
#[doc(hidden)]
pub fn id_schema(description: &str) -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .format(Some(SchemaFormat::Custom("uuid".to_owned())))
        .description(Some(description))
        .examples(["0190a1b2-0000-7000-8000-000000000001"])
        .into()
}

id_type! {
    /// The id of a user: a UUID of version 7.
    UserId
}

id_type! {
    /// The id of a session: a UUID of version 7. Access tokens carry it as `sid`.
    SessionId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_and_written_as_text() {
        let id: UserId = "0190A1B2-0000-7000-8000-000000000001".parse().unwrap();
        assert_eq!(id.as_str(), "0190a1b2-0000-7000-8000-000000000001");
        assert_eq!(serde_json::to_string(&id).unwrap(), "\"0190a1b2-0000-7000-8000-000000000001\"");
        assert_eq!(UserId::from(id.uuid()), id);
        assert_eq!("7".parse::<UserId>(), Err(ParseIdError));
    }
}
