//! Removes expired documents.

use switchyard_database::Result;
use tokio_postgres::types::Type;

use crate::Postgres;
use crate::names::{STRUCTURES, quoted};
use crate::read::column;
use crate::sql::Sql;
use crate::structure::{Kind, Structure};

impl Postgres {
    /// Removes up to `at_most` expired documents. The migrations have recorded which collections have expiring
    /// documents.
    pub(crate) async fn sweep(&self, at_most: u32) -> Result<u64> {
        let collections = Sql::new(
            format!(
                "select collection, array_remove(array_agg(case kind when 'search' then definition end), null) \
                 from {} group by collection having bool_or(kind = 'expiry') order by collection",
                quoted(STRUCTURES)
            ),
            &[],
        );
        let mut removed = 0;
        for row in &self.rows(None, &collections, &[]).await? {
            let room = i64::from(at_most) - removed;
            if room <= 0 {
                break;
            }
            let sweep = statement(column(row, 0, &STRUCTURES)?, column(row, 1, &STRUCTURES)?);
            let now = self.ambient.now().as_micros();
            let gone = self.rows(None, &sweep, &[&now, &room]).await?;
            removed += i64::try_from(gone.len()).unwrap_or(i64::MAX);
        }
        Ok(removed.unsigned_abs())
    }
}

/// Returns the statement that removes expired rows of a collection. It skips rows that are locked, and checks
/// again under the lock whether a row has expired. `searches` are the definitions of the search terms that the
/// collection has or had.
fn statement(collection: &str, searches: Vec<String>) -> Sql {
    let table = quoted(collection);
    let mut text = format!(
        "with expired as materialized (select id from {table} where expires_at <= $1 order by expires_at limit $2 \
         for update skip locked), \
         gone as (delete from {table} d using expired e where d.id = e.id returning d.id)"
    );
    for (place, definition) in searches.into_iter().enumerate() {
        let terms = Structure { kind: Kind::Search, name: String::new(), definition }.storage(collection);
        let terms = quoted(&terms);
        text += &format!(", words{place} as (delete from {terms} t using gone where t.id = gone.id)");
    }
    Sql::new(text + " select id from gone", &[Type::INT8, Type::INT8])
}
