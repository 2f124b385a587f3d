use serde_json::{Map, Number, Value};
use switchyard_ambient::Timestamp;

use crate::limits::{MAX_DEPTH, MAX_DOCUMENT_BYTES, MAX_FIELD_NAME_BYTES};
use crate::{Error, FieldKind, Key, Result, Version};

/// The content of a document: a JSON object.
pub type Body = Map<String, Value>;

/// A stored document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its collection and id.
    pub key: Key,
    /// The version of this state.
    pub version: Version,
    /// Its content, in canonical form.
    pub body: Body,
    /// The time from which on the document is absent.
    pub expires_at: Option<Timestamp>,
}

impl Document {
    /// Creates a document from what a backend read. Restores the canonical form of numbers, which databases may
    /// write differently (`1e2` as `100`).
    pub fn from_stored(key: Key, version: Version, mut body: Body, expires_at: Option<Timestamp>) -> Self {
        body.values_mut().for_each(restore);
        Self { key, version, body, expires_at }
    }

    /// Whether the document has expired.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        is_expired(self.expires_at, now)
    }
}

/// Whether a document that expires at `expires_at` has expired.
pub fn is_expired(expires_at: Option<Timestamp>, now: Timestamp) -> bool {
    expires_at.is_some_and(|expires_at| expires_at <= now)
}

/// Restores the canonical form of all numbers in `value`. A whole number outside of i64 is stored as a float, but
/// a database may return it as digits: `1e19` as `10000000000000000000`.
fn restore(value: &mut Value) {
    match value {
        Value::Number(number) => {
            if let Some(canonical) =
                number.as_f64().and_then(canonical_float).filter(|_| number.as_i64().is_none())
            {
                *number = canonical;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(restore),
        Value::Object(fields) => fields.values_mut().for_each(restore),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// Checks a body against the limits and its collection's fields, and brings its numbers into canonical form.
/// Returns its size in bytes by DynamoDB's accounting.
pub(crate) fn canonicalize(key: &Key, body: &mut Body) -> Result<usize> {
    let mut bytes = 0;
    for (name, value) in body.iter_mut() {
        check_name(name).map_err(|fault| fault.of(key))?;
        bytes += name.len() + canonicalize_value(value, 2).map_err(|fault| fault.at(name))?;
    }
    if bytes > MAX_DOCUMENT_BYTES {
        return Err(Error::Limit(format!(
            "{key} has {bytes} bytes; at most {MAX_DOCUMENT_BYTES} are allowed"
        )));
    }
    check_fields(key, body)?;
    Ok(bytes)
}

fn check_fields(key: &Key, body: &Body) -> Result<()> {
    let collection = key.collection();
    for field in collection.fields {
        let fits = match (field.kind, body.get(field.name)) {
            (FieldKind::Json, _) | (_, None | Some(Value::Null)) => true,
            (FieldKind::String, Some(value)) => value.is_string(),
            (FieldKind::Integer | FieldKind::Time, Some(value)) => value.is_i64(),
            (FieldKind::Boolean, Some(value)) => value.is_boolean(),
        };
        if !fits {
            let (name, expected) = (field.name, field.kind.described());
            return Err(Error::Invalid(format!("`{name}` of {key} must be {expected}")));
        }
    }
    for counter in collection.counters {
        if !body.get(*counter).is_some_and(Value::is_i64) {
            return Err(Error::Invalid(format!("`{counter}` of {key} is a counter and must be an integer")));
        }
    }
    Ok(())
}

/// A fault inside a body. Its path is completed while the fault is returned through the levels of the body.
struct Fault {
    path: String,
    error: fn(String) -> Error,
    message: String,
}

impl Fault {
    fn invalid(message: impl Into<String>) -> Self {
        Self { path: String::new(), error: Error::Invalid, message: message.into() }
    }

    fn limit(message: impl Into<String>) -> Self {
        Self { path: String::new(), error: Error::Limit, message: message.into() }
    }

    fn below(mut self, step: &str) -> Self {
        self.path.insert_str(0, step);
        self
    }

    fn at(self, name: &str) -> Error {
        (self.error)(format!("`{name}{}` {}", self.path, self.message))
    }

    /// The error for a fault of the body itself.
    fn of(self, key: &Key) -> Error {
        (self.error)(format!("{key} {}", self.message))
    }
}

/// Brings the numbers in `value` into canonical form. Returns the size by DynamoDB's accounting: the UTF-8 bytes
/// of a name or a string, about half the digits of a number, and for a list or an object three bytes and one for
/// each element.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
fn canonicalize_value(value: &mut Value, depth: usize) -> Result<usize, Fault> {
    match value {
        Value::Null | Value::Bool(_) => Ok(1),
        Value::Number(number) => canonicalize_number(number),
        Value::String(text) if text.contains('\0') => Err(Fault::invalid("must not contain U+0000")),
        Value::String(text) => Ok(text.len()),
        Value::Array(_) | Value::Object(_) if depth > MAX_DEPTH => {
            Err(Fault::limit(format!("is nested too deeply; at most {MAX_DEPTH} levels are allowed")))
        }
        Value::Array(items) => {
            let mut bytes = 3 + items.len();
            for (place, item) in items.iter_mut().enumerate() {
                bytes += canonicalize_value(item, depth + 1)
                    .map_err(|fault| fault.below(&format!("[{place}]")))?;
            }
            Ok(bytes)
        }
        Value::Object(fields) => {
            let mut bytes = 3 + fields.len();
            for (name, item) in fields.iter_mut() {
                check_name(name)?;
                bytes += name.len();
                bytes +=
                    canonicalize_value(item, depth + 1).map_err(|fault| fault.below(&format!(".{name}")))?;
            }
            Ok(bytes)
        }
    }
}

fn check_name(name: &str) -> Result<(), Fault> {
    if name.contains('\0') {
        return Err(Fault::invalid("has a field whose name contains U+0000"));
    }
    if name.len() > MAX_FIELD_NAME_BYTES {
        let bytes = name.len();
        return Err(Fault::limit(format!(
            "has a field whose name has {bytes} bytes; at most {MAX_FIELD_NAME_BYTES} are allowed"
        )));
    }
    Ok(())
}

/// DynamoDB's range of numbers, which is narrower than that of f64.
const FLOAT_MAGNITUDES: std::ops::Range<f64> = 1e-130..1e126;

fn canonicalize_number(number: &mut Number) -> Result<usize, Fault> {
    if number.is_u64() && number.as_i64().is_none() {
        return Err(Fault::invalid(format!(
            "is {number}, which is outside the range of a 64-bit signed integer"
        )));
    }
    if number.is_f64() {
        let canonical = number.as_f64().and_then(canonical_float);
        *number = canonical.ok_or_else(|| Fault::invalid("is a number that cannot be stored"))?;
        let magnitude = number.as_f64().unwrap_or(0.0).abs();
        if magnitude != 0.0 && !FLOAT_MAGNITUDES.contains(&magnitude) {
            return Err(Fault::invalid(format!(
                "is {number}; only magnitudes from 1e-130 up to 1e126 are allowed"
            )));
        }
    }
    let digits = number.to_string().bytes().filter(u8::is_ascii_digit).count();
    Ok(digits.div_ceil(2) + 2)
}

/// The canonical form of a float. Whole numbers that fit i64 become integers, so `-0.0` becomes `0`.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
fn canonical_float(value: f64) -> Option<Number> {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0; // 2^63
    if value.fract() == 0.0 && (-LIMIT..LIMIT).contains(&value) {
        return Some(Number::from(value as i64));
    }
    Number::from_f64(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{Collection, Field};

    const THINGS: &Collection = &Collection::new("things")
        .fields(&[Field::string("name"), Field::integer("stock"), Field::boolean("open")])
        .counters(&["stock"]);

    fn canonical(body: Value) -> Result<Value> {
        let Value::Object(mut body) = body else { panic!("a body must be an object") };
        canonicalize(&Key::new(THINGS, "t").unwrap(), &mut body)?;
        Ok(Value::Object(body))
    }

    #[test]
    fn numbers_have_one_form() {
        let body = json!({"stock": 1.0, "a": -0.0, "b": 2.5, "c": 1e19, "d": i64::MIN, "e": [1e3]});
        let expected = json!({"stock": 1, "a": 0, "b": 2.5, "c": 1e19, "d": i64::MIN, "e": [1000]});
        assert_eq!(canonical(body).unwrap(), expected);
    }

    #[test]
    fn numbers_out_of_range_are_refused_with_their_path() {
        let refused = canonical(json!({"stock": 0, "deep": {"list": [1, u64::MAX]}})).unwrap_err();
        let message =
            "`deep.list[1]` is 18446744073709551615, which is outside the range of a 64-bit signed integer";
        assert_eq!(refused, Error::Invalid(message.to_owned()));
        assert!(matches!(canonical(json!({"stock": 0, "x": 1e126})), Err(Error::Invalid(_))));
        assert!(matches!(canonical(json!({"stock": 0, "x": 1e-131})), Err(Error::Invalid(_))));
        assert!(canonical(json!({"stock": 0, "x": 9.99e125})).is_ok());
    }

    #[test]
    fn a_declared_field_of_another_kind_is_refused_but_null_is_allowed() {
        let refused = canonical(json!({"stock": 0, "name": 5})).unwrap_err();
        assert_eq!(refused, Error::Invalid("`name` of things/t must be a string".to_owned()));
        assert!(canonical(json!({"stock": 0, "name": null, "open": null})).is_ok());
    }

    #[test]
    fn a_counter_is_required() {
        let refused = canonical(json!({"name": "x"})).unwrap_err();
        assert_eq!(
            refused,
            Error::Invalid("`stock` of things/t is a counter and must be an integer".to_owned())
        );
    }

    #[test]
    fn names_of_fields_are_bounded_at_every_depth() {
        let (longest, longer) = ("n".repeat(MAX_FIELD_NAME_BYTES), "n".repeat(MAX_FIELD_NAME_BYTES + 1));
        assert!(canonical(json!({"stock": 0, &longest: {&longest: 1}})).is_ok());
        let message = "has a field whose name has 65536 bytes; at most 65535 are allowed";
        let refused = canonical(json!({"stock": 0, &longer: 1})).unwrap_err();
        assert_eq!(refused, Error::Limit(format!("things/t {message}")));
        let refused = canonical(json!({"stock": 0, "deep": [{&longer: 1}]})).unwrap_err();
        assert_eq!(refused, Error::Limit(format!("`deep[0]` {message}")));
    }

    #[test]
    fn depth_is_counted_from_the_body() {
        let nested = |levels: usize| (1..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(canonical(json!({"stock": 0, "x": nested(MAX_DEPTH)})).is_ok());
        assert!(matches!(canonical(json!({"stock": 0, "x": nested(MAX_DEPTH + 1)})), Err(Error::Limit(_))));
    }

    #[test]
    fn a_stored_number_is_read_in_canonical_form() {
        let body = serde_json::from_str(r#"{"a": 10000000000000000000, "b": 5.0, "c": [7]}"#).unwrap();
        let stored = Document::from_stored(Key::new(THINGS, "t").unwrap(), Version::NONE, body, None);
        assert_eq!(Value::Object(stored.body), json!({"a": 1e19, "b": 5, "c": [7]}));
    }
}
