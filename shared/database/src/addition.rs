use serde_json::Value;
use switchyard_ambient::{Ambient, Timestamp};

use crate::evaluate::cause_of_increment;
use crate::{
    Batch, Body, Cause, Document, Error, Key, Operation, Prepared, Projection, Rejection, Result, Version,
};

/// A document whose tally is to be added to that of the stored one: see [`Database::add`](crate::Database::add).
///
/// Its limits are checked and its version is assigned, so that it can be sent as it is.
#[derive(Clone, Debug)]
pub struct Addition {
    key: Key,
    version: Version,
    body: Body,
    expires_at: Option<Timestamp>,
    projection: Projection,
    field: &'static str,
    amount: i64,
}

impl Addition {
    /// The addition of a document with this content. Does no I/O.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Invalid`] if the collection declares no tally, or if the tally is not an integer, and with the
    /// errors of [`Batch::new`].
    pub fn new(key: Key, body: Body, expires_at: Option<Timestamp>, ambient: &Ambient) -> Result<Self> {
        let field = key.collection().tally.ok_or_else(|| {
            Error::Invalid(format!("the collection `{}` declares no tally", key.collection().name))
        })?;
        let amount = body
            .get(field)
            .and_then(Value::as_i64)
            .ok_or_else(|| Error::Invalid(format!("`{field}` of {key} is a tally and must be an integer")))?;
        let version = Version::new(ambient);
        let create = Operation::Create { key: key.clone(), body, expires_at };
        let batch = Batch::of_any_collection(vec![(create, version)])?;
        match batch.operations() {
            [Prepared { operation: Operation::Create { body, .. }, after: Some(projection), .. }] => {
                Ok(Self {
                    key,
                    version,
                    body: body.clone(),
                    expires_at,
                    projection: projection.clone(),
                    field,
                    amount,
                })
            }
            _ => Err(Error::Internal("a prepared addition is not one that creates a document".to_owned())),
        }
    }

    /// The key of the document.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The version of the document afterwards.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The content of the document if no other one is stored, in canonical form.
    pub fn body(&self) -> &Body {
        &self.body
    }

    /// When the document expires afterwards.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// What is stored besides the document.
    pub fn projection(&self) -> &Projection {
        &self.projection
    }

    /// The tally: a field of the document.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// What is added to the tally.
    pub fn amount(&self) -> i64 {
        self.amount
    }

    /// The rejection of an addition whose result would leave the range of i64.
    pub fn overflow(&self) -> Error {
        Error::Rejected(vec![Rejection { operation: 0, key: self.key.clone(), cause: Cause::Overflow }])
    }

    /// For a backend that holds the lock of the document: the batch that has the effect of the addition on its live
    /// state, and the tally afterwards.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Rejected`] if the tally would overflow, and with [`Error::Corrupt`] if it is not an integer.
    pub fn applied_to(&self, current: Option<Document>) -> Result<(Batch, i64)> {
        let (key, expires_at) = (self.key.clone(), self.expires_at);
        let (operation, sum) = match current {
            None => (Operation::Create { key, body: self.body.clone(), expires_at }, self.amount),
            Some(previous) => {
                if cause_of_increment(&previous, self.field, self.amount, None)?.is_some() {
                    return Err(self.overflow());
                }
                let stored = previous.body.get(self.field).and_then(Value::as_i64).unwrap_or_default();
                let sum = stored.saturating_add(self.amount);
                let mut body = previous.body.clone();
                body.insert(self.field.to_owned(), sum.into());
                (Operation::Replace { previous, body, expires_at }, sum)
            }
        };
        Ok((Batch::of_any_collection(vec![(operation, self.version)])?, sum))
    }
}
