use deserr::Deserr;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{FaultKind, Faults, FieldPath};

/// A JSON Merge Patch (RFC 7396), as the body of a PATCH.
///
/// It is applied to the part of the resource that a PUT would replace. The result is read like the body of a PUT, by the
/// same rules and with the same faults.
///
/// ```
/// use deserr::Deserr;
/// use serde::Serialize;
/// use switchyard_kernel::{Faults, MergePatch};
///
/// #[derive(Debug, PartialEq, Serialize, Deserr)]
/// #[deserr(error = Faults, deny_unknown_fields)]
/// struct Profile {
///     name: String,
///     #[deserr(default)]
///     phone: Option<String>,
/// }
///
/// let present = Profile { name: "Ada".into(), phone: Some("1".into()) };
/// let patch = MergePatch::new(serde_json::json!({ "phone": null })).unwrap();
/// assert_eq!(patch.apply_to(&present).unwrap(), Profile { name: "Ada".into(), phone: None });
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MergePatch(Map<String, Value>);

impl MergePatch {
    /// The media type of RFC 7396.
    pub const MEDIA_TYPE: &'static str = "application/merge-patch+json";

    /// A patch from JSON.
    ///
    /// # Errors
    ///
    /// If it is not an object: any other value would replace the whole resource.
    pub fn new(patch: Value) -> Result<Self, Faults> {
        match patch {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(Faults::at(FieldPath::root(), "must be an object")),
        }
    }

    /// Whether the patch has a member of this name, `null` or not.
    pub fn touches(&self, field: &str) -> bool {
        self.0.contains_key(field)
    }

    /// `present` with the patch applied.
    ///
    /// # Errors
    ///
    /// All faults of the result.
    pub fn apply_to<T: Serialize + Deserr<Faults>>(&self, present: &T) -> Result<T, Faults> {
        let target = serde_json::to_value(present)
            .map_err(|error| Faults::at(FieldPath::root(), format!("cannot be patched: {error}")))?;
        let mut faults = self.unknown_removals::<T>(&target);
        match deserr::deserialize::<T, _, Faults>(merge(target, &self.0)) {
            Ok(patched) => faults.or(patched),
            Err(others) => {
                faults.extend(others);
                Err(faults)
            }
        }
    }

    /// Faults for `null` members that name no field. A `null` member removes its field and so is gone before the result is
    /// read. These members are therefore checked on their own, kept as `null`.
    fn unknown_removals<T: Deserr<Faults>>(&self, target: &Value) -> Faults {
        let mut probe = target.clone();
        if !keep_strange_nulls(&mut probe, &self.0) {
            return Faults::new();
        }
        let mut faults = deserr::deserialize::<T, _, Faults>(probe).err().unwrap_or_default();
        faults.retain(|fault| fault.kind == FaultKind::Unknown);
        faults
    }
}

/// The algorithm of RFC 7396 §2. The depth to which a body may nest bounds its recursion.
fn merge(target: Value, patch: &Map<String, Value>) -> Value {
    let mut members = match target {
        Value::Object(members) => members,
        _ => Map::new(),
    };
    for (name, change) in patch {
        match change {
            Value::Null => {
                members.remove(name);
            }
            Value::Object(inner) => {
                let before = members.remove(name).unwrap_or_default();
                members.insert(name.clone(), merge(before, inner));
            }
            other => {
                members.insert(name.clone(), other.clone());
            }
        }
    }
    Value::Object(members)
}

/// Adds to `target`, as `null`, each member that `patch` removes and that is not there. Returns whether there was one.
fn keep_strange_nulls(target: &mut Value, patch: &Map<String, Value>) -> bool {
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(members) = target else { return false };
    let mut found = false;
    for (name, change) in patch {
        match change {
            Value::Null if !members.contains_key(name) => {
                members.insert(name.clone(), Value::Null);
                found = true;
            }
            Value::Object(inner) => {
                found |= keep_strange_nulls(members.entry(name).or_insert(Value::Null), inner);
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc_come_out_as_printed_there() {
        // Appendix A, those whose patch is an object.
        let cases = [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ];
        for (target, patch, result) in cases {
            let Value::Object(patch) = patch else { unreachable!() };
            assert_eq!(merge(target, &patch), result);
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserr)]
    #[deserr(error = Faults, deny_unknown_fields)]
    struct Profile {
        name: String,
        #[deserr(default)]
        phone: Option<String>,
        #[deserr(default)]
        labels: std::collections::BTreeMap<String, String>,
    }

    fn patched(patch: Value) -> Result<Profile, String> {
        let labels = [("a".to_owned(), "1".to_owned())].into();
        let present = Profile { name: "Ada".to_owned(), phone: Some("7".to_owned()), labels };
        MergePatch::new(patch)
            .and_then(|patch| patch.apply_to(&present))
            .map_err(|faults| format!("{:?}", faults.into_details()))
    }

    #[test]
    fn what_the_patch_leaves_out_stays() {
        let profile = patched(json!({ "phone": null, "labels": { "b": "2" } })).unwrap();
        assert_eq!(profile.name, "Ada");
        assert_eq!(profile.phone, None);
        assert_eq!(
            profile.labels,
            [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into()
        );
    }

    #[test]
    fn removing_what_is_required_is_a_fault() {
        assert!(patched(json!({ "name": null })).unwrap_err().contains(r#"{"name": "is required"}"#));
    }

    #[test]
    fn an_unknown_field_is_a_fault_even_when_it_is_removed() {
        let expected = r#"{"nickname": "is not a known field"}"#;
        assert!(patched(json!({ "nickname": "x" })).unwrap_err().contains(expected));
        assert!(patched(json!({ "nickname": null })).unwrap_err().contains(expected));
    }

    #[test]
    fn removing_an_entry_of_a_map_that_it_does_not_hold_changes_nothing() {
        assert!(patched(json!({ "labels": { "z": null } })).is_ok());
    }

    #[test]
    fn a_patch_is_an_object() {
        assert!(MergePatch::new(json!([])).is_err());
    }
}
