//! Changes that apply only to the state that the caller has read.

use std::fmt;

use crate::Refused;

/// The tag of a resource's state: what an HTTP `ETag` carries (RFC 9110 §8.8.3), without its quotes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntityTag(String);

impl EntityTag {
    /// A tag of this text: letters, digits, `-` and `_`.
    pub fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A resource, and the tag of the state in which it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The resource.
    pub value: T,
    /// The tag.
    pub tag: EntityTag,
}

impl<T> Versioned<T> {
    /// The same state, shown as `show` shows it.
    pub fn map<U>(self, show: impl FnOnce(T) -> U) -> Versioned<U> {
        Versioned { value: show(self.value), tag: self.tag }
    }
}

/// The state that a change applies to: what an HTTP `If-Match` asks for (RFC 9110 §13.1.1).
///
/// Check it inside the transaction that makes the change, since another writer can come in between otherwise.
///
/// ```
/// use switchyard_kernel::{EntityTag, Precondition, Refused};
///
/// let precondition = Precondition::Matches(vec![EntityTag::new("v7")]);
/// assert_eq!(precondition.check(&EntityTag::new("v7")), Ok(()));
/// assert_eq!(precondition.check(&EntityTag::new("v8")), Err(Refused::PreconditionFailed));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Any state.
    #[default]
    None,
    /// Any state of a resource that exists.
    Exists,
    /// A state with one of these tags.
    Matches(Vec<EntityTag>),
}

impl Precondition {
    /// Requires that the precondition accepts the state `current` of a resource that exists.
    ///
    /// # Errors
    ///
    /// [`Refused::PreconditionFailed`] if it does not.
    pub fn check(&self, current: &EntityTag) -> Result<(), Refused> {
        match self {
            Self::Matches(tags) if !tags.contains(current) => Err(Refused::PreconditionFailed),
            _ => Ok(()),
        }
    }
}
