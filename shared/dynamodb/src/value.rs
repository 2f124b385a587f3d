//! Converts JSON to DynamoDB attribute values and back.
//!
//! DynamoDB's types match those of JSON, with two exceptions. Numbers are decimal strings: an i64 keeps every
//! digit, and a fraction is sent in its shortest form and read back as the nearest f64, which is the same number.
//! Attribute names must have at least one byte, but JSON names need not: the empty name is stored as U+0000, which
//! the contract does not allow in documents.
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html>

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Number, Value};
use switchyard_database::Body;

/// A stored item: its attributes.
pub(crate) type Item = HashMap<String, AttributeValue>;

const EMPTY_NAME: &str = "\0";

/// Returns the attribute value that stores a document's body.
pub(crate) fn map_of(body: &Body) -> AttributeValue {
    let fields = body.iter().map(|(name, value)| {
        let name = if name.is_empty() { EMPTY_NAME } else { name };
        (name.to_owned(), attribute_of(value))
    });
    AttributeValue::M(fields.collect())
}

/// Returns the attribute value that stores a JSON value.
pub(crate) fn attribute_of(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(items) => AttributeValue::L(items.iter().map(attribute_of).collect()),
        Value::Object(fields) => map_of(fields),
    }
}

/// Returns the body that a stored map holds, or `None` if the map contains a type that this crate never writes.
pub(crate) fn body_of(fields: HashMap<String, AttributeValue>) -> Option<Body> {
    fields
        .into_iter()
        .map(|(name, value)| {
            let name = if name == EMPTY_NAME { String::new() } else { name };
            Some((name, value_of(value)?))
        })
        .collect()
}

/// Returns the JSON value that an attribute holds, or `None` if it is of a type that this crate never writes.
pub(crate) fn value_of(value: AttributeValue) -> Option<Value> {
    Some(match value {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(value) => Value::Bool(value),
        AttributeValue::N(digits) => Value::Number(number_of(&digits)?),
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::L(items) => Value::Array(items.into_iter().map(value_of).collect::<Option<_>>()?),
        AttributeValue::M(fields) => Value::Object(body_of(fields)?),
        _ => return None,
    })
}

fn number_of(digits: &str) -> Option<Number> {
    match digits.parse::<i64>() {
        Ok(whole) => Some(whole.into()),
        Err(_) => Number::from_f64(digits.parse().ok()?),
    }
}

/// Returns text as an attribute value.
pub(crate) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// Returns a whole number as an attribute value.
pub(crate) fn number(number: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

/// Returns bytes as an attribute value.
pub(crate) fn bytes(bytes: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(value: Value) -> Body {
        let Value::Object(body) = value else { panic!("a body is an object") };
        body
    }

    fn round_trip(before: &Body) -> Body {
        let AttributeValue::M(fields) = map_of(before) else { panic!("a body is a map") };
        body_of(fields).unwrap()
    }

    #[test]
    fn json_values_survive_a_round_trip() {
        let before = body(json!({
            "": {"": "a name without a byte"},
            "null": null, "flags": [true, false], "text": "", "list": [], "map": {},
            "numbers": [i64::MIN, i64::MAX, 0.1, -2.5e-130, 9.99e125, 1e19],
        }));
        assert_eq!(round_trip(&before), before);
    }

    #[test]
    fn numbers_are_read_in_every_form_that_dynamodb_may_write() {
        assert_eq!(number_of("1E+3").unwrap().as_f64(), Some(1000.0));
        assert_eq!(number_of("-0.10").unwrap(), Number::from_f64(-0.1).unwrap());
        assert_eq!(number_of("9223372036854775807").unwrap(), Number::from(i64::MAX));
        assert_eq!(number_of("10000000000000000000").unwrap(), Number::from_f64(1e19).unwrap());
        assert_eq!(number_of("x"), None);
    }

    #[test]
    fn a_set_is_not_a_json_value() {
        assert_eq!(value_of(AttributeValue::Ss(vec!["a".to_owned()])), None);
    }
}
