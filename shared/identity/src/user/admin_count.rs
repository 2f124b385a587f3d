use serde::{Deserialize, Serialize};
use switchyard_database::{Collection, Entity, Error, Transaction};

use super::CensusShard;
use crate::work::WorkFault;

/// How many admins can sign in. One document for all of them: two admins who demote each other at once both change it, so
/// one of them comes second and finds that nobody would be left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AdminCount {
    id: String,
    admins: i64,
}

impl Entity for AdminCount {
    const COLLECTION: &'static Collection = CensusShard::COLLECTION;

    fn id(&self) -> &str {
        &self.id
    }
}

const ID: &str = "admins";

impl AdminCount {
    /// How many there are.
    pub(crate) async fn read(tx: &Transaction) -> Result<i64, Error> {
        Ok(tx.get::<Self>(ID).await?.map_or(0, |count| count.admins))
    }

    /// Changes the count, unless it would come down to nobody.
    pub(crate) async fn change(tx: &Transaction, by: i64) -> Result<(), WorkFault> {
        let stored = tx.get::<Self>(ID).await?;
        let admins = stored.as_ref().map_or(0, |count| count.admins) + by;
        if by < 0 && admins < 1 {
            return Err(WorkFault::LastAdmin);
        }
        let count = Self { id: ID.to_owned(), admins };
        match &stored {
            Some(stored) => tx.replace(stored, &count)?,
            None => tx.insert(&count)?,
        };
        Ok(())
    }
}
