//! Removes expired documents.

use rusqlite::{Connection, Transaction, TransactionBehavior};
use switchyard_ambient::{Ambient, Timestamp};
use switchyard_database::Result;

use crate::fault::Fault;
use crate::layout;
use crate::removal::remove_document;
use crate::writer::Writer;

/// The maximum number of documents that one transaction removes. All other writers wait meanwhile.
const AT_ONCE: u64 = 250;

/// Removes up to `at_most` expired documents from all collections that have tables, declared or not.
pub(crate) async fn sweep_expired(writer: &Writer, ambient: &Ambient, at_most: u32) -> Result<u64> {
    let mut removed = 0;
    loop {
        let now = ambient.now();
        let wanted = AT_ONCE.min(u64::from(at_most) - removed);
        let some = writer.run(move |connection| sweep(connection, wanted, now)).await?;
        removed += some;
        if some < AT_ONCE || removed == u64::from(at_most) {
            return Ok(removed);
        }
    }
}

fn sweep(connection: &Connection, at_most: u64, now: Timestamp) -> Result<u64, Fault> {
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    let mut removed = 0;
    for collection in layout::stored_collections(&transaction)? {
        let expired = expired_ids(&transaction, &collection, at_most - removed, now)?;
        for id in expired {
            remove_document(&transaction, &collection, &id)?;
            removed += 1;
        }
    }
    transaction.commit()?;
    Ok(removed)
}

fn expired_ids(
    connection: &Connection,
    collection: &str,
    at_most: u64,
    now: Timestamp,
) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id FROM {} INDEXED BY {} WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
        layout::table(collection),
        layout::tree(collection, "expires_at"),
    ))?;
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
    statement.query_map((now.as_micros(), at_most), |row| row.get(0))?.collect()
}
