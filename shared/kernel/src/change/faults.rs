use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::ops::ControlFlow;

use deserr::{DeserializeError, ErrorKind, IntoValue, MergeWithError, ValueKind, ValuePointerRef};

use super::FieldPath;

/// More faults than this are of no use, and would let a hostile body cause a large answer.
const MAX_FAULTS: usize = 100;

/// Everything that is wrong with a request: a fault for each invalid field.
///
/// The error type for the `Deserr` derive. Reading does not stop at the first fault. An error of any type that can be
/// displayed becomes a fault, so a rule is a plain function:
///
/// ```
/// use deserr::Deserr;
/// use switchyard_kernel::Faults;
///
/// #[derive(Debug, Deserr)]
/// #[deserr(error = Faults, deny_unknown_fields)]
/// struct Line {
///     sku: String,
///     #[deserr(try_from(i64) = check_quantity -> &'static str)]
///     quantity: u32,
/// }
///
/// fn check_quantity(number: i64) -> Result<u32, &'static str> {
///     u32::try_from(number).ok().filter(|n| (1..=99).contains(n)).ok_or("must be from 1 to 99")
/// }
///
/// let faults = deserr::deserialize::<Line, _, Faults>(serde_json::json!({ "quantity": 0, "color": 1 })).unwrap_err();
/// let details: Vec<_> = faults.into_details().into_iter().collect();
/// assert_eq!(details, [
///     ("color".to_owned(), "is not a known field".to_owned()),
///     ("quantity".to_owned(), "must be from 1 to 99".to_owned()),
///     ("sku".to_owned(), "is required".to_owned()),
/// ]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<Fault>);

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The field.
    pub path: FieldPath,
    /// What is wrong with it.
    pub kind: FaultKind,
}

/// The kinds of faults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A required field is missing.
    Missing,
    /// There is no such field.
    Unknown,
    /// The value has the wrong type.
    WrongType {
        /// The types that the field accepts.
        accepted: Vec<ValueKind>,
        /// The type of the value.
        actual: ValueKind,
    },
    /// The value breaks a rule, described as in `must be positive`.
    Rule(String),
}

impl Faults {
    /// No faults yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fault: a field's path as in `items[0].quantity`, and what is wrong with it, as in `must be positive`.
    pub fn add(&mut self, path: &str, fault: impl Display) {
        self.push(FieldPath::literal(path), FaultKind::Rule(fault.to_string()));
    }

    /// Whether there are no faults.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `value` if there are no faults.
    ///
    /// # Errors
    ///
    /// The faults.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }

    /// The paths and messages, as an answer reports them. Of several faults of one field, the first is reported.
    pub fn into_details(self) -> BTreeMap<String, String> {
        let mut details = BTreeMap::new();
        for fault in self.0 {
            details.entry(fault.path.to_string()).or_insert_with(|| fault.kind.to_string());
        }
        details
    }

    /// A single fault.
    pub fn at(path: FieldPath, fault: impl Into<String>) -> Self {
        Self(vec![Fault { path, kind: FaultKind::Rule(fault.into()) }])
    }

    /// Adds a fault, unless there are 100 already.
    pub fn push(&mut self, path: FieldPath, kind: FaultKind) {
        if self.0.len() < MAX_FAULTS {
            self.0.push(Fault { path, kind });
        }
    }

    /// Adds the faults of `other`, up to 100 in total.
    pub fn extend(&mut self, other: Self) {
        let room = MAX_FAULTS.saturating_sub(self.0.len());
        self.0.extend(other.0.into_iter().take(room));
    }

    /// The faults, in the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// Keeps the faults that `keep` accepts.
    pub fn retain(&mut self, keep: impl FnMut(&Fault) -> bool) {
        self.0.retain(keep);
    }

    /// Changes the path of every fault.
    pub fn map_paths(&mut self, rename: impl Fn(&mut FieldPath)) {
        self.0.iter_mut().for_each(|fault| rename(&mut fault.path));
    }
}

impl DeserializeError for Faults {
    fn error<V: IntoValue>(
        faults: Option<Self>,
        error: ErrorKind<'_, V>,
        location: ValuePointerRef<'_>,
    ) -> ControlFlow<Self, Self> {
        let mut path = FieldPath::from(location);
        let kind = match error {
            ErrorKind::MissingField { field } => {
                path.push_key(field);
                FaultKind::Missing
            }
            ErrorKind::UnknownKey { key, .. } => {
                path.push_key(key);
                FaultKind::Unknown
            }
            ErrorKind::IncorrectValueKind { actual, accepted } => {
                FaultKind::WrongType { accepted: accepted.to_vec(), actual: actual.kind() }
            }
            ErrorKind::UnknownValue { accepted, .. } => FaultKind::Rule(one_of(accepted)),
            ErrorKind::BadSequenceLen { expected, .. } => {
                FaultKind::Rule(format!("must hold exactly {expected} items"))
            }
            ErrorKind::Unexpected { msg } => FaultKind::Rule(in_our_words(msg)),
        };
        let mut faults = faults.unwrap_or_default();
        faults.push(path, kind);
        ControlFlow::Continue(faults)
    }
}

impl MergeWithError<Faults> for Faults {
    fn merge(faults: Option<Self>, other: Self, _location: ValuePointerRef<'_>) -> ControlFlow<Self, Self> {
        let mut faults = faults.unwrap_or_default();
        faults.extend(other);
        ControlFlow::Continue(faults)
    }
}

/// The error of a rule becomes a fault at the field that breaks it.
impl<T: Display> MergeWithError<T> for Faults {
    fn merge(faults: Option<Self>, rule: T, location: ValuePointerRef<'_>) -> ControlFlow<Self, Self> {
        let mut faults = faults.unwrap_or_default();
        faults.push(FieldPath::from(location), FaultKind::Rule(rule.to_string()));
        ControlFlow::Continue(faults)
    }
}

impl Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("is required"),
            Self::Unknown => f.write_str("is not a known field"),
            Self::WrongType { accepted, .. } => f.write_str(expectation(accepted)),
            Self::Rule(rule) => f.write_str(rule),
        }
    }
}

fn expectation(accepted: &[ValueKind]) -> &'static str {
    let accepts = |kind| accepted.contains(&kind);
    if accepts(ValueKind::Float) {
        "must be a number"
    } else if accepts(ValueKind::NegativeInteger) {
        "must be a whole number"
    } else if accepts(ValueKind::Integer) {
        "must be a whole number, 0 or more"
    } else if accepts(ValueKind::String) {
        "must be a string"
    } else if accepts(ValueKind::Boolean) {
        "must be true or false"
    } else if accepts(ValueKind::Sequence) {
        "must be a list"
    } else if accepts(ValueKind::Map) {
        "must be an object"
    } else {
        "must be null"
    }
}

fn one_of(accepted: &[&str]) -> String {
    format!("must be one of: {}", accepted.join(", "))
}

/// deserr describes the bounds of number types and the tags of enums in terms of deserialisation. Rewords that.
fn in_our_words(message: String) -> String {
    let quoted_after = |marker: &str| {
        let (_, rest) = message.split_once(marker)?;
        rest.split('`').next()
    };
    if let Some(most) = quoted_after("maximum value authorized is `") {
        format!("must be at most {most}")
    } else if let Some(least) = quoted_after("minimum value authorized is `") {
        format!("must be at least {least}")
    } else if message == "Incorrect tag value" {
        "is of an unknown kind".to_owned()
    } else {
        message
    }
}
