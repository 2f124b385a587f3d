use std::fmt;

use deserr::ValuePointerRef;

/// A longer key is cut in messages: it came from outside.
const MAX_KEY_CHARS: usize = 64;

/// Where in a body something is: `items[0].quantity`; the whole of it is `body`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    Index(usize),
    /// Text that a caller wrote as a path.
    Literal(String),
}

impl FieldPath {
    /// The whole body.
    pub(crate) fn root() -> Self {
        Self::default()
    }

    pub(crate) fn literal(path: &str) -> Self {
        Self(vec![Step::Literal(path.to_owned())])
    }

    pub(crate) fn key(key: &str) -> Self {
        Self(vec![Step::Key(key.to_owned())])
    }

    pub(crate) fn push_key(&mut self, key: &str) {
        self.0.push(Step::Key(key.to_owned()));
    }

    pub(crate) fn push_index(&mut self, index: usize) {
        self.0.push(Step::Index(index));
    }

    pub(crate) fn pop(&mut self) {
        self.0.pop();
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    pub(crate) fn first_mut(&mut self) -> Option<&mut Step> {
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
