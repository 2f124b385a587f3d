//! Removes documents and their search terms.

use std::collections::BTreeSet;

use rusqlite::Connection;
use switchyard_database::{Error, term_position};

use crate::fault::Fault;
use crate::layout;

/// Removes a document together with its search terms.
pub(crate) fn remove_document(connection: &Connection, collection: &str, id: &str) -> Result<(), Fault> {
    if layout::is_searchable(connection, collection)? {
        remove_terms(connection, collection, id)?;
    }
    let table = layout::table(collection);
    connection.prepare_cached(&format!("DELETE FROM {table} WHERE id = ?1"))?.execute([id])?;
    Ok(())
}

/// Removes the search terms of a document: those that its row lists, which are the ones that were inserted for it.
pub(crate) fn remove_terms(connection: &Connection, collection: &str, id: &str) -> Result<(), Fault> {
    let (table, terms_table) = (layout::table(collection), layout::terms_table(collection));
    let terms: Option<String> = connection
        .prepare_cached(&format!("SELECT terms FROM {table} WHERE id = ?1"))?
        .query_row([id], |row| row.get(0))?;
    let terms: BTreeSet<String> = serde_json::from_str(terms.as_deref().unwrap_or("[]"))
        .map_err(|fault| Error::Corrupt(format!("the terms of {collection}/{id}: {fault}")))?;
    let mut delete = connection.prepare_cached(&format!("DELETE FROM {terms_table} WHERE position = ?1"))?;
    for term in terms {
        delete.execute([term_position(&term, id)])?;
    }
    Ok(())
}
