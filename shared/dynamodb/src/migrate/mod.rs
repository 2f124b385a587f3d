//! Bringing the tables to the declared collections: tables and indexes first, then what the stored documents lack.

mod backfill;
mod layout;
mod provision;

pub(crate) use layout::stored_collections;
use switchyard_database::{Collection, Result, Schema};

use crate::DynamoDb;
use crate::tables::tables;

/// Answers [`Database::migrate`](switchyard_database::Database::migrate).
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
    while let Some(progress) = backfill::next_page(db, collection, &task).await? {
        task.progress = Some(progress);
        layout::save(db, collection, &task).await?;
    }
    layout::finish(db, collection).await
}
