//! Migrates the tables to the declared collections: first tables and indexes, then the stored documents.

mod backfill;
mod declaration;
mod layout;
mod provision;

use layout::Phase;
pub(crate) use layout::stored_collections;
use switchyard_database::{Collection, Error, Result, Schema};

use crate::DynamoDb;
use crate::tables::tables;

/// Implements [`Database::migrate`](switchyard_database::Database::migrate).
///
/// # Errors
///
/// Also fails with [`Error::Contended`](switchyard_database::Error::Contended) if a migration to another
/// declaration has superseded this one. Nothing is then recorded as complete that is not complete, and the
/// migration can be started again.
pub(crate) async fn migrate(db: &DynamoDb, schema: &Schema) -> Result<()> {
    let tables = tables(schema, &db.prefix);
    for table in &tables {
        provision::create_missing(db, table).await?;
    }
    for collection in schema.collections() {
        backfill(db, collection).await?;
    }
    for table in &tables {
        provision::drop_undeclared_indexes(db, table).await?;
    }
    Ok(())
}

async fn backfill(db: &DynamoDb, collection: &'static Collection) -> Result<()> {
    let Some(mut task) = layout::begin(db, collection).await? else { return Ok(()) };
    loop {
        let reached = backfill::next_page(db, collection, &task).await;
        if matches!(reached, Err(Error::Invalid(_))) {
            // Until someone resolves the conflict, programs with the previous declaration keep writing, even on
            // pages that are already done. So the next attempt starts from the first page.
            task.progress = None;
            layout::save(db, collection, &task).await?;
        }
        task.progress = reached?;
        if task.progress.is_none() {
            if task.phase == Phase::Clear || !task.has_to_clear() {
                return layout::finish(db, collection, &task).await;
            }
            task.phase = Phase::Clear;
        }
        layout::save(db, collection, &task).await?;
    }
}
