//! Adds to a tally.

use rusqlite::Connection;
use switchyard_ambient::Ambient;
use switchyard_database::{Addition, Result};

use crate::commit::{self, Work};
use crate::fault::Fault;
use crate::statements::Tables;
use crate::writer::Writer;
use crate::{group, rows};

/// Implements [`Database::add`](switchyard_database::Database::add).
///
/// It is a transaction of its own, not part of a group: additions are rare, and every reader of `group` would have to know
/// about them.
pub(crate) async fn add(writer: &Writer, ambient: &Ambient, addition: &Addition) -> Result<i64> {
    let (addition, ambient) = (addition.clone(), ambient.clone());
    writer.run(move |connection| transaction(connection, &ambient, &addition)).await
}

/// What a failure leaves open, the writer rolls back.
fn transaction(connection: &Connection, ambient: &Ambient, addition: &Addition) -> Result<i64, Fault> {
    group::begin(connection)?;
    let now = ambient.now();
    let (batch, tally) = addition.applied_to(rows::get(connection, addition.key(), now)?)?;
    let work = Work::new(&batch)?;
    let mut tables = Tables::default();
    tables.refresh(connection)?;
    let plan = commit::decide(connection, &mut tables, &work, now)?;
    commit::apply(connection, &work, &plan)?;
    group::end(connection)?;
    Ok(tally)
}
