//! Changes that apply only to the state that the caller has read.

use std::fmt;

use crate::Refused;

/// The tag of a resource's state: what an HTTP `ETag` carries (RFC 9110 §8.8.3), without its quotes.
///
/// A resource can show more than a client can change: when a user last signed in, how much of a product is left. A client's
/// copy is outdated when that moves, but an edit must not fail for it. So a tag can have a second part for what is only
/// shown: a read compares both parts, and a [`Precondition`] the first alone.
///
/// ```
/// use switchyard_kernel::{EntityTag, Precondition};
///
/// let read = EntityTag::new("v7").showing("12-left");
/// assert_eq!(read.as_str(), "v7.12-left");
/// let sold = EntityTag::new("v7").showing("11-left");
/// assert_ne!(read, sold);
/// assert_eq!(Precondition::Matches(vec![read]).check(&sold), Ok(()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntityTag(String);

impl EntityTag {
    /// A tag of this text: letters, digits, `-` and `_`.
    pub fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }

    /// The tag with a second part, of the same characters, for what the resource shows and a client does not change.
    #[must_use]
    pub fn showing(self, text: impl fmt::Display) -> Self {
        Self(format!("{}.{text}", self.changeable()))
    }

    /// The part for what a client can change.
    fn changeable(&self) -> &str {
        self.0.split_once('.').map_or(&*self.0, |(changeable, _)| changeable)
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

/// The state that a change applies to: what an HTTP `If-Match` or `If-None-Match` asks for (RFC 9110 §13.1).
///
/// Check it inside the transaction that makes the change, since another writer can come in between otherwise.
///
/// ```
/// use switchyard_kernel::{EntityTag, Precondition, Refused};
///
/// let precondition = Precondition::Matches(vec![EntityTag::new("v7")]);
/// assert_eq!(precondition.check(&EntityTag::new("v7")), Ok(()));
/// assert_eq!(precondition.check(&EntityTag::new("v8")), Err(Refused::PreconditionFailed));
/// assert_eq!(precondition.check_absent(), Err(Refused::PreconditionFailed));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Any state.
    #[default]
    None,
    /// Any state of a resource that exists.
    Exists,
    /// A state with the first part of one of these tags.
    Matches(Vec<EntityTag>),
    /// No state: the resource does not exist.
    Absent,
    /// A state with none of these tags, or a resource that does not exist.
    Differs(Vec<EntityTag>),
    /// What all of these accept.
    All(Vec<Precondition>),
}

impl Precondition {
    /// Requires that the precondition accepts the state `current` of a resource that exists.
    ///
    /// # Errors
    ///
    /// [`Refused::PreconditionFailed`] if it does not.
    pub fn check(&self, current: &EntityTag) -> Result<(), Refused> {
        self.accept(Some(current))
    }

    /// Requires that the precondition accepts that the resource does not exist.
    ///
    /// # Errors
    ///
    /// [`Refused::PreconditionFailed`] if it does not.
    pub fn check_absent(&self) -> Result<(), Refused> {
        self.accept(None)
    }

    fn accept(&self, current: Option<&EntityTag>) -> Result<(), Refused> {
        let accepts = match self {
            Self::None => true,
            Self::Exists => current.is_some(),
            Self::Matches(tags) => current.is_some_and(|current| names(tags, current)),
            Self::Absent => current.is_none(),
            Self::Differs(tags) => current.is_none_or(|current| !names(tags, current)),
            Self::All(parts) => return parts.iter().try_for_each(|part| part.accept(current)),
        };
        if accepts { Ok(()) } else { Err(Refused::PreconditionFailed) }
    }
}

/// Whether one of the tags has the first part of `current`.
fn names(tags: &[EntityTag], current: &EntityTag) -> bool {
    tags.iter().any(|tag| tag.changeable() == current.changeable())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_precondition_accepts_its_states_and_no_others() {
        let tags = || vec![EntityTag::new("v1"), EntityTag::new("v2")];
        let both = Precondition::All(vec![Precondition::Exists, Precondition::Differs(tags())]);
        let cases = [
            (Precondition::None, [true, true, true]),
            (Precondition::Exists, [true, true, false]),
            (Precondition::Matches(tags()), [true, false, false]),
            (Precondition::Matches(Vec::new()), [false, false, false]),
            (Precondition::Absent, [false, false, true]),
            (Precondition::Differs(tags()), [false, true, true]),
            (both, [false, true, false]),
        ];
        for (precondition, accepted) in cases {
            let [v1, v3] = ["v1", "v3"].map(|tag| precondition.check(&EntityTag::new(tag)).is_ok());
            assert_eq!([v1, v3, precondition.check_absent().is_ok()], accepted, "{precondition:?}");
        }
    }
}
