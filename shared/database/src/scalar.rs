use std::fmt;

use serde_json::Value;
use switchyard_ambient::Timestamp;

use crate::FieldKind;

/// A value that an index, a unique attribute or a filter can compare.
///
/// Strings are ordered by their UTF-8 bytes, numbers by value, `false` before `true`. Values of different kinds
/// are never equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scalar {
    /// `true` or `false`.
    Boolean(bool),
    /// A whole number; a [`Timestamp`] is one too, in microseconds.
    Integer(i64),
    /// Text.
    String(String),
}

impl Scalar {
    /// Converts a JSON value; `None` for fractions, `null`, lists and objects.
    pub fn from_json(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(Self::Boolean(*value)),
            Value::Number(number) => number.as_i64().map(Self::Integer),
            Value::String(text) => Some(Self::String(text.clone())),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Whether a field of this kind can hold the value.
    pub(crate) fn is_of(&self, kind: FieldKind) -> bool {
        match self {
            Self::Boolean(_) => kind == FieldKind::Boolean,
            Self::Integer(_) => matches!(kind, FieldKind::Integer | FieldKind::Time),
            Self::String(_) => kind == FieldKind::String,
        }
    }

    /// The kind of the value, for messages.
    pub(crate) fn described(&self) -> &'static str {
        match self {
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::String(_) => "a string",
        }
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::String(value) => write!(f, "{value:?}"),
        }
    }
}

impl From<bool> for Scalar {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<i64> for Scalar {
    fn from(value: i64) -> Self {
        Self::Integer(value)
    }
}

impl From<Timestamp> for Scalar {
    fn from(value: Timestamp) -> Self {
        Self::Integer(value.as_micros())
    }
}

impl From<&str> for Scalar {
    fn from(value: &str) -> Self {
        Self::String(value.to_owned())
    }
}

impl From<String> for Scalar {
    fn from(value: String) -> Self {
        Self::String(value)
    }
}

impl From<&String> for Scalar {
    fn from(value: &String) -> Self {
        Self::String(value.clone())
    }
}
