//! Removing what has expired.

use switchyard_database::Result;
use tokio_postgres::types::Type;

use crate::Postgres;
use crate::names::{STRUCTURES, quoted, terms_table};
use crate::sql::Sql;

impl Postgres {
    /// Removes up to `at_most` documents. Which collections have such documents is known since the migration.
    pub(crate) async fn sweep(&self, at_most: u32) -> Result<u64> {
        let collections = Sql::new(
            format!(
                "select collection, bool_or(kind = 'search') from {} group by collection \
                 having bool_or(kind = 'expiry') order by collection",
                quoted(STRUCTURES)
            ),
            &[],
        );
        let rows = self.rows(&collections, &[]).await?;
        let mut removed = 0;
        for row in &rows {
            let collection: &str = crate::read::column(row, 0, &STRUCTURES)?;
            let has_terms: bool = crate::read::column(row, 1, &STRUCTURES)?;
            let room = i64::from(at_most) - i64::try_from(removed).unwrap_or(i64::MAX);
            if room <= 0 {
                break;
            }
            let sweep = statement(collection, has_terms);
            let now = self.ambient.now().as_micros();
            removed += self.rows(&sweep, &[&now, &room]).await?.len() as u64;
        }
        Ok(removed)
    }
}

/// A row that someone is writing is left for the next time; one that was written meanwhile is looked at again under its
/// lock, and stays.
fn statement(collection: &str, has_terms: bool) -> Sql {
    let table = quoted(collection);
    let mut text = format!(
        "with expired as materialized (select id from {table} where expires_at <= $1 order by expires_at limit $2 \
         for update skip locked), \
         gone as (delete from {table} d using expired e where d.id = e.id returning d.id)"
    );
    if has_terms {
        let terms = quoted(&terms_table(collection));
        text += &format!(", words as (delete from {terms} t using gone where t.id = gone.id)");
    }
    Sql::new(text + " select id from gone", &[Type::INT8, Type::INT8])
}
