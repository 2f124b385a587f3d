use serde::{Deserialize, Serialize};
use switchyard_database::{Collection, Entity, Error, Transaction};

use super::UserCountsPart;

/// The number of admins who can sign in. There is one document for all of them: two admins who demote each other at the
/// same time both change it, so the second one finds that no admin would be left.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AdminCount {
    id: String,
    admins: i64,
}

impl Entity for AdminCount {
    const COLLECTION: &'static Collection = UserCountsPart::COLLECTION;

    fn id(&self) -> &str {
        &self.id
    }
}

const ID: &str = "admins";

impl AdminCount {
    /// The number of admins.
    pub(crate) async fn read(tx: &Transaction) -> Result<i64, Error> {
        Ok(tx.get::<Self>(ID).await?.map_or(0, |count| count.admins))
    }

    /// Changes the count. Returns `false`, and changes nothing, if no admin would be left.
    pub(crate) async fn change(tx: &Transaction, by: i64) -> Result<bool, Error> {
        let stored = tx.get::<Self>(ID).await?;
        let admins = stored.as_ref().map_or(0, |count| count.admins) + by;
        if by < 0 && admins < 1 {
            return Ok(false);
        }
        let count = Self { id: ID.to_owned(), admins };
        match &stored {
            Some(stored) => tx.replace(stored, &count)?,
            None => tx.insert(&count)?,
        };
        Ok(true)
    }
}
