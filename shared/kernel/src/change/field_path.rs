use std::fmt;

use deserr::ValuePointerRef;

/// A longer key is cut in messages: it came from outside.
const MAX_KEY_CHARS: usize = 64;

/// The path of a field in a body, as in `items[0].quantity`. The path of the whole body is displayed as `body`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(Vec<Step>);

/// A step of a [`FieldPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A member of an object.
    Key(String),
    /// An item of a list.
    Index(usize),
    /// A path that a caller wrote as text.
    Literal(String),
}

impl FieldPath {
    /// The path of the whole body.
    pub fn root() -> Self {
        Self::default()
    }

    /// A path that is already written as text.
    pub fn literal(path: &str) -> Self {
        Self(vec![Step::Literal(path.to_owned())])
    }

    /// The path of a member of the body.
    pub fn key(key: &str) -> Self {
        Self(vec![Step::Key(key.to_owned())])
    }

    /// Descends into a member of an object.
    pub fn push_key(&mut self, key: &str) {
        self.0.push(Step::Key(key.to_owned()));
    }

    /// Descends into an item of a list.
    pub fn push_index(&mut self, index: usize) {
        self.0.push(Step::Index(index));
    }

    /// Returns to the parent.
    pub fn pop(&mut self) {
        self.0.pop();
    }

    /// The steps from the body to the field.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The first step.
    pub fn first_mut(&mut self) -> Option<&mut Step> {
        self.0.first_mut()
    }
}

impl From<ValuePointerRef<'_>> for FieldPath {
    fn from(location: ValuePointerRef<'_>) -> Self {
        let mut steps = Vec::new();
        let mut here = &location;
        loop {
            match here {
                ValuePointerRef::Origin => break,
                ValuePointerRef::Key { key, prev } => {
                    steps.push(Step::Key((*key).to_owned()));
                    here = prev;
                }
                ValuePointerRef::Index { index, prev } => {
                    steps.push(Step::Index(*index));
                    here = prev;
                }
            }
        }
        steps.reverse();
        Self(steps)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("body");
        }
        for (place, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Literal(path) => f.write_str(path)?,
                Step::Key(key) if is_plain(key) => {
                    if place > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(key)?;
                }
                // A key with a dot or a bracket in it would read as a path.
                Step::Key(key) => {
                    let shown: String = key.chars().take(MAX_KEY_CHARS).collect();
                    write!(f, "[{shown:?}]")?;
                }
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    (1..=MAX_KEY_CHARS).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_one_writes_it_in_a_program() {
        let mut path = FieldPath::key("items");
        path.push_index(0);
        path.push_key("quantity");
        assert_eq!(path.to_string(), "items[0].quantity");
        path.push_key("a.b");
        assert_eq!(path.to_string(), r#"items[0].quantity["a.b"]"#);
    }

    #[test]
    fn the_whole_body_has_a_name_too() {
        assert_eq!(FieldPath::root().to_string(), "body");
    }

    #[test]
    fn a_key_from_outside_is_cut_and_escaped() {
        let path = FieldPath::key(&format!("{}\n", "x".repeat(100)));
        assert_eq!(path.to_string(), format!("[\"{}\"]", "x".repeat(64)));
        assert_eq!(FieldPath::key("\n").to_string(), r#"["\n"]"#);
    }
}
