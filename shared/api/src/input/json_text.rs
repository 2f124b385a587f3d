use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::json_value::JsonValue;
use switchyard_kernel::{FaultKind, Faults, FieldPath};

/// The database stores values of up to 30 levels, so deeper input is never useful.
const MAX_DEPTH: usize = 32;

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads JSON, as strictly as RFC 8259 allows.
///
/// Besides syntax errors, these are faults: a name that occurs twice in an object, since parsers disagree about
/// which one counts; nesting deeper than [`MAX_DEPTH`]; and the character U+0000, which the database cannot
/// store.
/// A byte order mark before the text is ignored, as RFC 8259 §8.1 allows: some editors and programs write one.
///
/// The text is checked as a whole, and then decoded as far as its type asks for. A tree of the text would cost up to a
/// hundred times its size, as for `[{"":0},{"":0},…]`, before its first unknown field is found.
pub(crate) fn read(text: &[u8]) -> Result<JsonValue<'_>, Faults> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    if text.trim_ascii().is_empty() {
        return Err(Faults::at(FieldPath::root(), "is required"));
    }
    let mut reading = Reading { path: FieldPath::root(), depth: 0, faults: Faults::new() };
    let mut deserializer = serde_json::Deserializer::from_slice(text);
    let checked = Node(&mut reading).deserialize(&mut deserializer).and_then(|()| deserializer.end());
    let value = checked.and_then(|()| serde_json::from_slice::<&RawValue>(text));
    match value {
        Ok(value) => reading.faults.or(JsonValue::new(value)),
        Err(fault) => Err(Faults::at(FieldPath::root(), describe(&fault))),
    }
}

fn describe(fault: &serde_json::Error) -> String {
    let (line, column) = (fault.line(), fault.column());
    let message = fault.to_string();
    let message = match message.strip_suffix(&format!(" at line {line} column {column}")) {
        _ if fault.is_eof() => "it ends too early",
        Some(message) => message,
        None => &message,
    };
    format!("is not valid JSON: {message}, at line {line}, column {column}")
}

struct Reading {
    path: FieldPath,
    depth: usize,
    faults: Faults,
}

impl Reading {
    fn fault(&mut self, fault: &str) {
        self.faults.push(self.path.clone(), FaultKind::Rule(fault.to_owned()));
    }

    fn check_text(&mut self, text: &str) {
        if text.contains('\0') {
            self.fault("must not contain the character U+0000");
        }
    }

    fn descend<E: Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            Err(E::custom(format!("nested more than {MAX_DEPTH} deep")))
        } else {
            Ok(())
        }
    }
}

/// Checks a value, and keeps nothing of it.
struct Node<'a>(&'a mut Reading);

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.check_text(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.0.descend()?;
        for index in 0.. {
            self.0.path.push_index(index);
            let item = items.next_element_seed(Node(self.0))?;
            self.0.path.pop();
            if item.is_none() {
                break;
            }
        }
        self.0.depth -= 1;
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.0.descend()?;
        let mut names = Names::default();
        while let Some(name) = members.next_key_seed(Name)? {
            self.0.path.push_key(&name);
            self.0.check_text(&name);
            members.next_value_seed(Node(self.0))?;
            if !names.insert(name) {
                self.0.fault("is given more than once");
            }
            self.0.path.pop();
        }
        self.0.depth -= 1;
        Ok(())
    }
}

/// The name of a member, copied only if it has escapes.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

/// The names of an object so far. Most objects have one or a few, and are compared without a set.
#[derive(Default)]
struct Names<'de> {
    first: Vec<Cow<'de, str>>,
    rest: HashSet<Cow<'de, str>>,
}

impl<'de> Names<'de> {
    /// Adds a name. Returns `false` if it was there already.
    fn insert(&mut self, name: Cow<'de, str>) -> bool {
        if self.first.contains(&name) {
            return false;
        }
        if self.first.len() < 8 {
            self.first.push(name);
            return true;
        }
        self.rest.insert(name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn tree(text: &str) -> Result<Value, Faults> {
        read(text.as_bytes()).map(JsonValue::into_tree)
    }

    fn faults(text: &str) -> Vec<(String, String)> {
        read(text.as_bytes()).unwrap_err().into_details().into_iter().collect()
    }

    fn fault(path: &str, message: &str) -> Vec<(String, String)> {
        vec![(path.to_owned(), message.to_owned())]
    }

    #[test]
    fn valid_json_is_read_unchanged() {
        let text = r#"{"a":[1,-2,1.5,null,true,"ä"],"b":{}}"#;
        assert_eq!(tree(text), Ok(json!({"a":[1,-2,1.5,null,true,"ä"],"b":{}})));
    }

    #[test]
    fn a_syntax_error_is_reported_with_its_line_and_column() {
        assert_eq!(
            faults("{\"a\": 1,\n \"b\" 2}"),
            fault("body", "is not valid JSON: expected `:`, at line 2, column 6")
        );
        assert_eq!(
            faults("{} x"),
            fault("body", "is not valid JSON: trailing characters, at line 1, column 4")
        );
    }

    #[test]
    fn a_text_without_json_or_without_its_end_says_so() {
        for empty in ["", " \r\n", "\u{feff}", "\u{feff} "] {
            assert_eq!(faults(empty), fault("body", "is required"));
        }
        for (text, column) in [("{", 1), ("[1,", 3), ("\"a", 2), ("tru", 3), ("{\"a\":", 5)] {
            let message = format!("is not valid JSON: it ends too early, at line 1, column {column}");
            assert_eq!(faults(text), fault("body", &message));
        }
    }

    #[test]
    fn a_byte_order_mark_is_ignored_at_the_start_only() {
        assert_eq!(tree("\u{feff}{\"a\":1}"), Ok(json!({"a": 1})));
        for text in ["\u{feff}\u{feff}1", "1\u{feff}", "[\u{feff}]"] {
            assert!(read(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_name_given_twice_is_a_fault_at_its_path() {
        assert_eq!(faults(r#"{"a":[{"b":1,"b":1}]}"#), fault("a[0].b", "is given more than once"));
        assert_eq!(faults(r#"{"b":1,"\u0062":1}"#), fault("b", "is given more than once"));
        let many: Vec<_> = (0..20).chain([3, 15]).map(|name| format!("\"n{name}\":0")).collect();
        let twice =
            [fault("n15", "is given more than once"), fault("n3", "is given more than once")].concat();
        assert_eq!(faults(&format!("{{{}}}", many.join(","))), twice);
    }

    #[test]
    fn nesting_is_bounded() {
        let deep = |levels| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(read(deep(32).as_bytes()).is_ok());
        assert_eq!(
            faults(&deep(33)),
            fault("body", "is not valid JSON: nested more than 32 deep, at line 1, column 34")
        );
        assert_eq!(
            faults(&deep(100_000)),
            fault("body", "is not valid JSON: nested more than 32 deep, at line 1, column 33")
        );
    }

    #[test]
    fn the_null_character_is_a_fault_in_values_and_names() {
        assert_eq!(faults(r#"{"a":"x\u0000"}"#), fault("a", "must not contain the character U+0000"));
        assert_eq!(faults(r#"{"\u0000":1}"#), fault("[\"\\0\"]", "must not contain the character U+0000"));
    }

    #[test]
    fn a_number_beyond_the_range_of_doubles_is_a_fault() {
        assert_eq!(
            faults("1e400"),
            fault("body", "is not valid JSON: number out of range, at line 1, column 5")
        );
    }
}
