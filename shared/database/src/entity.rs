use std::fmt::Debug;
use std::ops::Deref;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use switchyard_ambient::Timestamp;

use crate::{Body, Collection, Document, Error, Key, Result, Version};

/// A type whose values are documents of one collection.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use switchyard_database::{Collection, Entity, Field, Unique};
///
/// #[derive(Clone, Debug, Serialize, Deserialize)]
/// struct Coupon {
///     id: String,
///     code: String,
///     uses_left: i64,
/// }
///
/// impl Entity for Coupon {
///     const COLLECTION: &'static Collection = &Collection::new("coupons")
///         .fields(&[Field::string("code"), Field::integer("uses_left")])
///         .uniques(&[Unique::new("code", &["code"])])
///         .counters(&["uses_left"]);
///
///     fn id(&self) -> &str {
///         &self.id
///     }
/// }
/// ```
pub trait Entity: Serialize + DeserializeOwned + Clone + Debug + Send + Sync + 'static {
    /// The collection, with its indexes.
    const COLLECTION: &'static Collection;

    /// The document's id.
    fn id(&self) -> &str;

    /// When the document expires; only allowed if the collection is declared `expiring`.
    fn expires_at(&self) -> Option<Timestamp> {
        None
    }
}

/// The key of the document `id` of `T`'s collection.
pub(crate) fn key_of<T: Entity>(id: &str) -> Result<Key> {
    Key::new(T::COLLECTION, id)
}

/// The body that stores `value`.
pub(crate) fn body_of<T: Entity>(value: &T) -> Result<Body> {
    match serde_json::to_value(value) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(Error::Internal(format!(
            "a value of `{}` does not serialize to an object",
            T::COLLECTION.name
        ))),
        Err(fault) => {
            Err(Error::Internal(format!("a value of `{}` cannot be serialized: {fault}", T::COLLECTION.name)))
        }
    }
}

/// A value with the document from which it was read. Dereferences to the value.
#[derive(Clone, Debug)]
pub struct Stored<T> {
    value: T,
    document: Document,
}

impl<T: Entity> Stored<T> {
    /// Deserializes the value of a document.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Corrupt`] if the document is not a `T`.
    pub fn new(document: Document) -> Result<Self> {
        let value = T::deserialize(&Value::Object(document.body.clone()))
            .map_err(|fault| Error::Corrupt(format!("{} does not match its type: {fault}", document.key)))?;
        Ok(Self { value, document })
    }
}

impl<T> Stored<T> {
    /// A value that a transaction writes, with its document.
    pub(crate) fn written(value: T, document: Document) -> Self {
        Self { value, document }
    }

    /// The version in which it was read, which can serve as an entity tag.
    pub fn version(&self) -> Version {
        self.document.version
    }

    /// The document.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Returns the value without the document.
    pub fn into_value(self) -> T {
        self.value
    }
}

impl<T> Deref for Stored<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}
