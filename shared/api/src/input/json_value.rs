use std::fmt;
use std::vec::IntoIter;

use deserr::{IntoValue, ValueKind};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};

/// 2⁵³. Below it, every whole number has an exact double.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A valid JSON text, of which one level is decoded at a time, when its type asks for it.
///
/// A number with a zero fraction is a whole number, as in JSON Schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JsonValue<'a>(&'a str);

/// The items of an array.
#[derive(Debug)]
pub(crate) struct Items<'a>(Vec<JsonValue<'a>>);

/// The members of an object.
#[derive(Debug, Default)]
pub(crate) struct Members<'a>(Vec<(String, JsonValue<'a>)>);

impl<'a> JsonValue<'a> {
    /// The value of a text that was checked: its names are distinct, and its nesting is bounded.
    pub(super) fn new(text: &'a RawValue) -> Self {
        Self(text.get())
    }

    /// Decodes the whole text.
    pub(crate) fn into_tree(self) -> Value {
        match self.into_value() {
            deserr::Value::Null => Value::Null,
            deserr::Value::Boolean(value) => value.into(),
            deserr::Value::Integer(value) => value.into(),
            deserr::Value::NegativeInteger(value) => value.into(),
            deserr::Value::Float(value) => Number::from_f64(value).map_or(Value::Null, Value::Number),
            deserr::Value::String(text) => text.into(),
            deserr::Value::Sequence(Items(items)) => items.into_iter().map(Self::into_tree).collect(),
            deserr::Value::Map(Members(members)) => {
                let members = members.into_iter().map(|(name, value)| (name, value.into_tree()));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// Decodes the text as a `T`. It is valid, so this does not fail.
    fn decode<T: Deserialize<'a> + Default>(self) -> T {
        serde_json::from_str(self.0).unwrap_or_default()
    }

    fn number(self) -> deserr::Value<Self> {
        if let Ok(whole) = self.0.parse::<u64>() {
            return deserr::Value::Integer(whole);
        }
        match self.0.parse::<i64>() {
            Ok(whole) => of_whole(whole),
            Err(_) => match self.decode::<f64>() {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "whole and within the range where doubles are exact"
                )]
                whole if whole.fract() == 0.0 && whole.abs() < EXACT => of_whole(whole as i64),
                number => deserr::Value::Float(number),
            },
        }
    }
}

fn of_whole<'a>(number: i64) -> deserr::Value<JsonValue<'a>> {
    u64::try_from(number).map_or(deserr::Value::NegativeInteger(number), deserr::Value::Integer)
}

impl<'a> IntoValue for JsonValue<'a> {
    type Sequence = Items<'a>;
    type Map = Members<'a>;

    fn kind(&self) -> ValueKind {
        match self.0.as_bytes().first() {
            Some(b'{') => ValueKind::Map,
            Some(b'[') => ValueKind::Sequence,
            Some(b'"') => ValueKind::String,
            Some(b't' | b'f') => ValueKind::Boolean,
            Some(b'-' | b'0'..=b'9') => self.number().kind(),
            _ => ValueKind::Null,
        }
    }

    fn into_value(self) -> deserr::Value<Self> {
        match self.0.as_bytes().first() {
            Some(b'{') => deserr::Value::Map(self.decode()),
            Some(b'[') => {
                let items = self.decode::<Vec<&RawValue>>().into_iter().map(Self::new);
                deserr::Value::Sequence(Items(items.collect()))
            }
            Some(b'"') => deserr::Value::String(self.decode()),
            Some(b't' | b'f') => deserr::Value::Boolean(self.decode()),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => deserr::Value::Null,
        }
    }
}

impl<'a> deserr::Sequence for Items<'a> {
    type Value = JsonValue<'a>;
    type Iter = IntoIter<JsonValue<'a>>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn into_iter(self) -> Self::Iter {
        IntoIterator::into_iter(self.0)
    }
}

impl<'a> deserr::Map for Members<'a> {
    type Value = JsonValue<'a>;
    type Iter = IntoIter<(String, JsonValue<'a>)>;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn remove(&mut self, name: &str) -> Option<JsonValue<'a>> {
        let place = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.swap_remove(place).1)
    }

    fn into_iter(self) -> Self::Iter {
        IntoIterator::into_iter(self.0)
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;

        impl<'de> Visitor<'de> for Reading {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Members<'de>, A::Error> {
                let mut read = Vec::new();
                while let Some((name, value)) = members.next_entry::<String, &'de RawValue>()? {
                    read.push((name, JsonValue::new(value)));
                }
                Ok(Members(read))
            }
        }

        deserializer.deserialize_map(Reading)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> JsonValue<'_> {
        JsonValue::new(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn a_number_with_a_zero_fraction_is_a_whole_number() {
        let numbers =
            value("[1.0, -0.0, -0, 2e3, -3.0, 0.5, 18446744073709551615, -9223372036854775808, 1e300]");
        let expected = json!([1, 0, 0, 2000, -3, 0.5, u64::MAX, i64::MIN, 1e300]);
        assert_eq!(numbers.into_tree(), expected);
    }

    #[test]
    fn a_text_is_decoded_level_by_level() {
        let text = r#" { "a\u0062" : [ {"x":[ ]} , "y\n" ] , "c":{ } , "d":null, "e":true,"f": -1.5e0 } "#;
        let expected = json!({"ab": [{"x": []}, "y\n"], "c": {}, "d": null, "e": true, "f": -1.5});
        assert_eq!(value(text).into_tree(), expected);
        let deserr::Value::Map(mut members) = value(text).into_value() else { panic!("an object") };
        let list = deserr::Map::remove(&mut members, "ab").unwrap();
        assert_eq!(list.0, r#"[ {"x":[ ]} , "y\n" ]"#);
        assert_eq!(list.kind(), ValueKind::Sequence);
    }
}
