//! Values that arrive as text: query parameters and path parameters.

use deserr::{Deserr, ValueKind};
use serde_json::{Number, Value};

use switchyard_kernel::{FaultKind, Faults, FieldPath, Step};

/// Reads a `T` from a value whose leaves are all texts.
///
/// Only `T` knows which parameters are numbers, booleans or lists. So a first attempt finds the parameters that
/// have the wrong type and converts those whose text has the right form. Then `T` is read again. Two rounds are
/// enough: the first turns texts into lists and scalars, the second turns the elements of lists into scalars. A
/// `T` of strings alone needs none.
pub(crate) fn decode<T: Deserr<Faults>>(mut value: Value) -> Result<T, Faults> {
    loop {
        let faults = match deserr::deserialize::<T, _, Faults>(value.clone()) {
            Ok(decoded) => return Ok(decoded),
            Err(faults) => faults,
        };
        let mut converted = false;
        for fault in faults.iter() {
            if let FaultKind::WrongType { accepted, .. } = &fault.kind {
                converted |= find(&mut value, &fault.path).is_some_and(|place| convert(place, accepted));
            }
        }
        if !converted {
            return Err(worded_for_parameters(&faults));
        }
    }
}

fn find<'a>(value: &'a mut Value, path: &FieldPath) -> Option<&'a mut Value> {
    path.steps().iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
        Step::Literal(_) => None,
    })
}

fn convert(place: &mut Value, accepted: &[ValueKind]) -> bool {
    let Value::String(text) = place else { return false };
    let accepts = |kind| accepted.contains(&kind);
    let integer = accepts(ValueKind::Integer).then(|| whole_number(text)).flatten();
    let float = || accepts(ValueKind::Float).then(|| text.parse().ok().and_then(Number::from_f64)).flatten();
    let converted = if accepts(ValueKind::Boolean) {
        text.parse().ok().map(Value::Bool)
    } else if accepts(ValueKind::Sequence) {
        Some(Value::Array(vec![Value::String(std::mem::take(text))]))
    } else {
        integer.or_else(float).map(Value::Number)
    };
    converted.map(|value| *place = value).is_some()
}

/// A whole number in the syntax of JSON, which excludes `+1` and `01`.
fn whole_number(text: &str) -> Option<Number> {
    let number: Number =
        text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from)).ok()?;
    (number.to_string() == text).then_some(number)
}

/// The same faults, worded for parameters.
fn worded_for_parameters(faults: &Faults) -> Faults {
    let mut worded = Faults::new();
    for fault in faults.iter() {
        let kind = match &fault.kind {
            FaultKind::Unknown => FaultKind::Rule("is not a known parameter".to_owned()),
            FaultKind::WrongType { accepted, actual: ValueKind::Sequence }
                if !accepted.contains(&ValueKind::Map) =>
            {
                FaultKind::Rule("must be given once".to_owned())
            }
            kind => kind.clone(),
        };
        worded.push(fault.path.clone(), kind);
    }
    worded
}
