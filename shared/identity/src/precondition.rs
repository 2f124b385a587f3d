//! Changes that are meant for a state that the caller has read.

use std::fmt;

/// Names a state of a resource: what an HTTP `ETag` carries.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntityTag(pub(crate) String);

impl EntityTag {
    /// The tag as text: letters, digits, `-` and `_`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntityTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A resource, and the tag of the state it was seen in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged<T> {
    /// The resource.
    pub value: T,
    /// The tag.
    pub tag: EntityTag,
}

/// Decides, inside the transaction that makes a change, whether the resource is in the state that the change is meant
/// for.
///
/// ```
/// use switchyard_identity::Precondition;
///
/// let if_match = |tag: &str| tag == "v7";
/// let _only_v7 = Precondition::new(&if_match);
/// let _any_state = Precondition::NONE;
/// ```
#[derive(Clone, Copy, Default)]
pub struct Precondition<'a>(Option<&'a (dyn Fn(&str) -> bool + Send + Sync)>);

impl<'a> Precondition<'a> {
    /// Any state will do.
    pub const NONE: Self = Self(None);

    /// Only states whose tag `accepts` takes.
    pub fn new(accepts: &'a (dyn Fn(&str) -> bool + Send + Sync)) -> Self {
        Self(Some(accepts))
    }

    pub(crate) fn holds(&self, tag: &EntityTag) -> bool {
        self.0.is_none_or(|accepts| accepts(tag.as_str()))
    }
}

impl fmt::Debug for Precondition<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Precondition(..)" } else { "Precondition::NONE" })
    }
}
