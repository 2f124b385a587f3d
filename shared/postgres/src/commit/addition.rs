//! Adds to a tally: one statement, one round trip.

use switchyard_database::{Addition, Error, Result};
use tokio_postgres::types::ToSql;

use crate::Postgres;
use crate::attempts::Attempts;
use crate::commit::locks;
use crate::fault::{Fault, Outcome};
use crate::read::column;
use crate::values::{StoredVersion, WrittenBody};

impl Postgres {
    /// Implements [`Database::add`](switchyard_database::Database::add).
    ///
    /// An addition whose reply is lost is not looked for: who counts has no use for an answer that comes late.
    pub(crate) async fn add_to_tally(&self, addition: &Addition) -> Result<i64> {
        let mut attempts = Attempts::new(&self.budget, &self.ambient);
        loop {
            let fault = match self.try_to_add(addition).await {
                Ok(tally) => {
                    attempts.answered();
                    return tally.ok_or_else(|| addition.overflow());
                }
                Err(Fault::Lost(why)) => return Err(Error::OutcomeUnknown(why)),
                Err(fault) => fault,
            };
            if !attempts.pause_after(&fault).await {
                return Err(fault.into_error());
            }
        }
    }

    /// Returns `None` if the tally would overflow.
    async fn try_to_add(&self, addition: &Addition) -> Outcome<Option<i64>> {
        let key = addition.key();
        let table = self.tables.of(key.collection());
        let sql = table.single.add.as_ref().ok_or_else(|| {
            Error::Internal(format!("the collection `{}` has no tally", key.collection().name))
        })?;
        let (locks, id, version) = (vec![locks::of_key(key)], key.id(), StoredVersion(addition.version()));
        let (body, expires_at) =
            (WrittenBody(addition.body()), addition.expires_at().map(|time| time.as_micros()));
        let (field, amount, now) = (addition.field(), addition.amount(), self.ambient.now().as_micros());
        let params: [&(dyn ToSql + Sync); 8] =
            [&locks, &id, &version, &body, &expires_at, &field, &amount, &now];
        let session = self.pool.session(Some(key.collection().name)).await?;
        let rows = session.query(sql, &params).await?;
        rows.first().map(|row| Ok(column(row, 0, key)?)).transpose()
    }
}
