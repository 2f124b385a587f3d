//! Applies several batches in one transaction.

use std::panic::{self, AssertUnwindSafe};

use rusqlite::Connection;
use switchyard_ambient::Ambient;
use switchyard_database::{Error, Result, Version};

use crate::commit::{self, Work};
use crate::fault::Fault;
use crate::statements::Tables;

type Outcomes = Vec<Result<Vec<Version>>>;

/// Applies the batches in one transaction. No outcome may be reported before the transaction has ended, not even a
/// rejection, because later batches have seen the writes of earlier ones.
pub(crate) fn commit<'a>(
    connection: &Connection,
    tables: &mut Tables,
    group: impl Iterator<Item = &'a Work> + Clone,
    ambient: &Ambient,
) -> Result<Outcomes> {
    // A batch is accepted before it writes anything. An accepted batch fails, or panics, so rarely that savepoints,
    // which cost a tenth of the work, are set only after such a failure.
    if let Some(outcomes) = transaction(connection, tables, group.clone(), ambient, Savepoints::None)? {
        return Ok(outcomes);
    }
    let outcomes = transaction(connection, tables, group, ambient, Savepoints::OneEach)?;
    outcomes.ok_or_else(|| Error::Internal("a batch failed despite its savepoint".to_owned()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Savepoints {
    None,
    OneEach,
}

/// Returns `None` if a batch failed halfway and there was no savepoint to roll back to.
fn transaction<'a>(
    connection: &Connection,
    tables: &mut Tables,
    group: impl Iterator<Item = &'a Work>,
    ambient: &Ambient,
    savepoints: Savepoints,
) -> Result<Option<Outcomes>, Fault> {
    roll_back(connection); // in case the rollback of a failed transaction had failed too
    begin(connection)?;
    let ended = apply_each(connection, tables, group, ambient, savepoints).and_then(|outcomes| {
        if outcomes.is_some() {
            end(connection)?;
        }
        Ok(outcomes)
    });
    if !matches!(ended, Ok(Some(_))) {
        roll_back(connection);
    }
    ended
}

fn apply_each<'a>(
    connection: &Connection,
    tables: &mut Tables,
    group: impl Iterator<Item = &'a Work>,
    ambient: &Ambient,
    savepoints: Savepoints,
) -> Result<Option<Outcomes>, Fault> {
    tables.refresh(connection)?;
    let mut outcomes = Vec::new();
    for work in group {
        let decision = caught(|| commit::decide(connection, tables, work, ambient.now()));
        let plan = match decision {
            Ok(plan) => plan,
            Err(fault) if connection.is_autocommit() => return Err(fault),
            Err(fault) => {
                outcomes.push(Err(fault.into()));
                continue;
            }
        };
        if savepoints == Savepoints::OneEach {
            execute(connection, "SAVEPOINT batch")?;
        }
        match caught(|| commit::apply(connection, work, &plan)) {
            Ok(versions) => outcomes.push(Ok(versions)),
            // After some errors, such as a full disk, SQLite ends the whole transaction.
            Err(fault) if connection.is_autocommit() => return Err(fault),
            Err(_) if savepoints == Savepoints::None => return Ok(None),
            Err(fault) => {
                execute(connection, "ROLLBACK TO batch")?;
                outcomes.push(Err(fault.into()));
            }
        }
        if savepoints == Savepoints::OneEach {
            execute(connection, "RELEASE batch")?;
        }
    }
    Ok(Some(outcomes))
}

/// Turns a panic into an error, so that it fails one batch instead of ending the thread that writes for all callers.
///
/// What `act` leaves behind after a panic is discarded: its changes with the savepoint, and its statements with the
/// connection's cache, from which a statement is taken while it runs.
pub(crate) fn caught<T>(act: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    panic::catch_unwind(AssertUnwindSafe(act)).unwrap_or_else(|_| {
        Err(Error::Internal("a bug: the writer panicked; the message of the panic is in the log".to_owned())
            .into())
    })
}

/// Begins a transaction that writes.
pub(crate) fn begin(connection: &Connection) -> Result<(), Fault> {
    Ok(execute(connection, "BEGIN IMMEDIATE")?)
}

/// Commits the transaction.
pub(crate) fn end(connection: &Connection) -> Result<(), Fault> {
    execute(connection, "COMMIT").map_err(|fault| match Fault::from(fault) {
        // The last page of the transaction may have reached the disk, in which case a crash would recover the
        // transaction.
        fault if fault.is_io() => Error::OutcomeUnknown(Error::from(fault).to_string()).into(),
        fault => fault,
    })
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// Rolls back a transaction that was left open.
pub(crate) fn roll_back(connection: &Connection) {
    if !connection.is_autocommit()
        && let Err(fault) = execute(connection, "ROLLBACK")
    {
        tracing::error!(%fault, "a transaction could not be rolled back");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use switchyard_database::{Batch, Cause, Collection, Key, Operation, Rejection};

    use super::*;
    use crate::{migrate, open};

    const NOTES: &Collection = &Collection::new("notes");

    fn note(id: &str) -> Key {
        Key::new(NOTES, id).unwrap()
    }

    fn create(ids: &[&str]) -> Work {
        let operations = ids.iter().map(|id| Operation::Create {
            key: note(id),
            body: json!({}).as_object().unwrap().clone(),
            expires_at: None,
        });
        Work::new(&Batch::new(operations.collect(), &Ambient::system()).unwrap()).unwrap()
    }

    fn store() -> Connection {
        let connection = open::in_memory().unwrap();
        migrate::lay_out(&connection, &[NOTES]).unwrap();
        connection
    }

    /// Returns the outcome of each batch, and the ids that are stored afterwards.
    fn commit_all(connection: &Connection, group: &[Work]) -> (Result<Vec<Result<usize>>>, Vec<String>) {
        let outcomes = commit(connection, &mut Tables::default(), group.iter(), &Ambient::system());
        let outcomes =
            outcomes.map(|each| each.into_iter().map(|outcome| outcome.map(|v| v.len())).collect());
        let mut statement = connection.prepare("SELECT id FROM notes ORDER BY id").unwrap();
        let ids = statement.query_map([], |row| row.get(0)).unwrap().map(rusqlite::Result::unwrap).collect();
        (outcomes, ids)
    }

    #[test]
    fn each_batch_sees_the_previous_ones_and_a_rejected_one_leaves_nothing() {
        let connection = store();
        let group = [create(&["a"]), create(&["b", "a"]), create(&["b"])];
        let exists = Rejection { operation: 1, key: note("a"), cause: Cause::AlreadyExists };
        let outcomes = vec![Ok(1), Err(Error::Rejected(vec![exists])), Ok(1)];
        let stored = ["a", "b"].map(str::to_owned).to_vec();
        assert_eq!(commit_all(&connection, &group), (Ok(outcomes), stored));
    }

    #[test]
    fn a_batch_that_fails_halfway_is_rolled_back_alone() {
        let connection = store();
        connection
            .execute_batch(
                "CREATE TEMP TRIGGER breaks BEFORE INSERT ON notes WHEN NEW.id = 'breaks' \
                 BEGIN SELECT RAISE(ABORT, 'broken'); END",
            )
            .unwrap();
        let group = [create(&["a"]), create(&["b", "breaks"]), create(&["c"])];
        let outcomes = vec![Ok(1), Err(Error::Internal("broken".to_owned())), Ok(1)];
        let stored = ["a", "c"].map(str::to_owned).to_vec();
        assert_eq!(commit_all(&connection, &group), (Ok(outcomes), stored));
    }

    #[test]
    fn if_sqlite_ends_the_transaction_all_batches_of_the_group_fail() {
        let connection = store();
        connection
            .execute_batch(
                "CREATE TEMP TRIGGER ends BEFORE INSERT ON notes WHEN NEW.id = 'ends' \
                 BEGIN SELECT RAISE(ROLLBACK, 'ended'); END",
            )
            .unwrap();
        let group = [create(&["a"]), create(&["ends"]), create(&["c"])];
        let failed = (Err(Error::Internal("ended".to_owned())), Vec::new());
        assert_eq!(commit_all(&connection, &group), failed);
        let again = (Ok(vec![Ok(1)]), vec!["a".to_owned()]);
        assert_eq!(commit_all(&connection, &[create(&["a"])]), again);
    }

    #[test]
    fn if_the_transaction_does_not_commit_all_batches_of_the_group_fail() {
        let connection = store();
        connection
            .execute_batch(
                "PRAGMA foreign_keys = ON;
                 CREATE TABLE owners (id TEXT PRIMARY KEY);
                 CREATE TABLE owned (id TEXT REFERENCES owners DEFERRABLE INITIALLY DEFERRED);
                 CREATE TRIGGER owns AFTER INSERT ON notes WHEN NEW.id = 'owns' \
                 BEGIN INSERT INTO owned VALUES ('nobody'); END",
            )
            .unwrap();
        let group = [create(&["a"]), create(&["owns"])];
        let failed = (Err(Error::Internal("FOREIGN KEY constraint failed".to_owned())), Vec::new());
        assert_eq!(commit_all(&connection, &group), failed);
        let again = (Ok(vec![Ok(1)]), vec!["a".to_owned()]);
        assert_eq!(commit_all(&connection, &[create(&["a"])]), again);
    }

    #[test]
    fn a_file_that_another_process_keeps_locked_is_unavailable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let (connection, other) = (open::writer(&path).unwrap(), open::writer(&path).unwrap());
        migrate::lay_out(&connection, &[NOTES]).unwrap();
        connection.busy_timeout(std::time::Duration::ZERO).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let locked = Error::Unavailable("another process holds the lock on the database file".to_owned());
        assert_eq!(commit_all(&connection, &[create(&["a"])]), (Err(locked), Vec::new()));
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(commit_all(&connection, &[create(&["a"])]), (Ok(vec![Ok(1)]), vec!["a".to_owned()]));
    }
}
