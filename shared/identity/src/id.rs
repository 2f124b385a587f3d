//! Identifiers, each of a type of its own so that one cannot be taken for another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use switchyard_ambient::Uuid;
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// The text is not a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a UUID")]
pub struct ParseIdError;

// The text is kept beside the UUID because the typed layer of the database asks for ids as `&str`.
macro_rules! id_type {
    ($(#[doc = $doc:literal])* $name:ident) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name {
            uuid: Uuid,
            text: [u8; 36],
        }

        impl $name {
            /// The id as text: lower case, with hyphens.
            pub fn as_str(&self) -> &str {
                std::str::from_utf8(&self.text).unwrap_or_default() // ASCII by construction
            }

            /// The id as a UUID.
            pub fn uuid(&self) -> Uuid {
                self.uuid
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                let mut text = [0; 36];
                uuid.hyphenated().encode_lower(&mut text);
                Self { uuid, text }
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                Uuid::try_parse(text).map(Self::from).map_err(|_| ParseIdError)
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseIdError;

            fn try_from(text: String) -> Result<Self, ParseIdError> {
                text.parse()
            }
        }

        crate::value::read_with_deserr!($name);

        impl ToSchema for $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let description = concat!($($doc),*).trim();
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .format(Some(SchemaFormat::Custom("uuid".to_owned())))
                    .description(Some(description))
                    .examples(["0190a1b2-0000-7000-8000-000000000001"])
                    .into()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

id_type! {
    /// Names a user: a UUID of version 7.
    UserId
}

id_type! {
    /// Names a session: a UUID of version 7. It stands in access tokens as `sid`.
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
