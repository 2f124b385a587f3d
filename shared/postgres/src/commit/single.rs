//! Commits one operation on one document: one statement, one round trip.

use switchyard_database::{Batch, Error, Operation, Prepared, TermChange, term_position};
use tokio_postgres::types::ToSql;

use crate::Postgres;
use crate::commit::outcome::Trace;
use crate::commit::{Setback, locks};
use crate::fault::Fault;
use crate::session::Session;
use crate::sql::Sql;
use crate::table::{Table, derived_values};
use crate::values::{StoredVersion, WrittenBody};

impl Postgres {
    /// Applies the only operation of a batch if that succeeds without further steps. If not, it changes nothing
    /// and returns `false`; committing with locks then finds out why, or what has to be removed first.
    pub(super) async fn write_single(
        &self,
        session: &Session,
        batch: &Batch,
        prepared: &Prepared,
    ) -> Result<bool, Setback> {
        let table = self.tables.of(prepared.key().collection());
        let (id, version) = (prepared.key().id(), StoredVersion(prepared.version));
        let now = self.ambient.now().as_micros();
        let locks: Vec<i64> = locks::of_batch(batch).into_keys().collect();
        let (gone, new) = terms(batch, id);
        let has_terms = table.locked.terms.is_some();
        match (&prepared.operation, &prepared.after) {
            (Operation::Create { body, expires_at, .. }, Some(after)) => {
                let (body, expires_at) = (WrittenBody(body), expires_at.map(|time| time.as_micros()));
                let columns = derived_values(&table, after);
                let mut params: Vec<&(dyn ToSql + Sync)> = vec![&locks, &id, &version, &body, &expires_at];
                params.extend(columns.iter().map(|column| column as &(dyn ToSql + Sync)));
                if has_terms {
                    params.push(&new);
                }
                if table.collection.expiring {
                    params.push(&now);
                }
                run(session, &table.single.create, &params).await
            }
            (Operation::Replace { previous, body, expires_at }, Some(after)) => {
                let (body, expires_at) = (WrittenBody(body), expires_at.map(|time| time.as_micros()));
                let columns = derived_values(&table, after);
                let previous = StoredVersion(previous.version);
                let is_claiming = batch.guard_changes().iter().any(|change| change.claimed_by.is_some());
                let mut params: Vec<&(dyn ToSql + Sync)> = Vec::with_capacity(columns.len() + 9);
                if is_claiming {
                    params.push(&locks);
                }
                params.extend([&id as &(dyn ToSql + Sync), &version, &body, &expires_at]);
                params.extend(columns.iter().map(|column| column as &(dyn ToSql + Sync)));
                params.extend([&previous as &(dyn ToSql + Sync), &now]);
                if has_terms {
                    params.extend([&gone as &(dyn ToSql + Sync), &new]);
                }
                let Table { single, .. } = &*table;
                run(session, if is_claiming { &single.replace_claiming } else { &single.replace }, &params)
                    .await
            }
            (Operation::Delete { previous }, _) => {
                let previous = StoredVersion(previous.version);
                let mut params: Vec<&(dyn ToSql + Sync)> = vec![&id, &previous, &now];
                if has_terms {
                    params.push(&gone);
                }
                run(session, &table.single.delete, &params).await
            }
            (Operation::Increment { field, by, at_least, .. }, _) => {
                let at_least = at_least.unwrap_or(i64::MIN);
                let params: [&(dyn ToSql + Sync); 6] = [&id, &version, field, by, &at_least, &now];
                run(session, &table.single.increment, &params).await
            }
            (Operation::Create { .. } | Operation::Replace { .. } | Operation::Check { .. }, _) => {
                Err(Error::Internal("a prepared write has a projection".to_owned()).into())
            }
        }
    }
}

async fn run(session: &Session, sql: &Sql, params: &[&(dyn ToSql + Sync)]) -> Result<bool, Setback> {
    match session.execute(sql, params).await.map_err(Fault::from) {
        Ok(written) => Ok(written == 1),
        Err(Fault::Duplicate) => Ok(false),
        Err(Fault::Lost(why)) => {
            Err(Setback::Unknown(why, Trace { backend: session.backend(), transaction: None }))
        }
        Err(fault) => Err(fault.into()),
    }
}

/// Returns the positions of the search terms that the operation removes and adds.
fn terms(batch: &Batch, id: &str) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let (new, gone): (Vec<&TermChange>, Vec<&TermChange>) =
        batch.term_changes().iter().partition(|change| change.present);
    let positions = |changes: Vec<&TermChange>| -> Vec<Vec<u8>> {
        changes.iter().map(|change| term_position(&change.term, id)).collect()
    };
    (positions(gone), positions(new))
}
