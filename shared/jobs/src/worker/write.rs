//! Conditional writes of jobs, many in one commit.

use std::sync::{Mutex, PoisonError};

use switchyard_database::{Consistency, Db, Error, Stored};

use crate::record::JobRecord;

/// A job as it was read, and what is to be stored instead; `None` to remove it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) before: Stored<JobRecord>,
    pub(crate) after: Option<JobRecord>,
}

/// What became of a change.
#[derive(Debug)]
pub(crate) enum Written {
    /// It was stored; `None` if the job was removed.
    Applied(Option<Box<Stored<JobRecord>>>),
    /// The job has been written since it was read.
    Refused,
    /// The database failed. Nothing was stored, as far as it is known.
    Failed(Error),
}

impl Change {
    pub(crate) fn to(before: Stored<JobRecord>, after: JobRecord) -> Self {
        Self { before, after: Some(after) }
    }
}

/// Stores changes, up to `batch` of them in one commit, and returns what became of each.
pub(crate) async fn write(db: &Db, changes: &[Change], batch: usize) -> Vec<Written> {
    let mut written = Vec::with_capacity(changes.len());
    for part in changes.chunks(batch.max(1)) {
        written.extend(write_part(db, part).await);
    }
    written
}

/// Stores the changes of one commit. Those that it is rejected for are left out, and the others are tried again; after that,
/// each is tried alone.
async fn write_part(db: &Db, changes: &[Change]) -> Vec<Written> {
    let mut written: Vec<Option<Written>> = changes.iter().map(|_| None).collect();
    for _ in 0..2 {
        let open: Vec<usize> = (0..changes.len()).filter(|&index| written[index].is_none()).collect();
        let left: Vec<&Change> = open.iter().map(|&index| &changes[index]).collect();
        match commit(db, &left).await {
            Ok(stored) => {
                for (index, stored) in open.into_iter().zip(stored) {
                    written[index] = Some(Written::Applied(stored.map(Box::new)));
                }
            }
            Err(Error::Rejected(rejections)) => {
                for rejection in rejections {
                    if let Some(&index) = open.get(rejection.operation) {
                        written[index] = Some(Written::Refused);
                    }
                }
            }
            Err(fault) => {
                for index in open {
                    written[index] = Some(Written::Failed(fault.clone()));
                }
            }
        }
        if written.iter().all(Option::is_some) {
            break;
        }
    }
    let mut all = Vec::with_capacity(changes.len());
    for (change, written) in changes.iter().zip(written) {
        all.push(match written {
            Some(written) => written,
            None => write_one(db, change).await,
        });
    }
    all
}

async fn write_one(db: &Db, change: &Change) -> Written {
    match commit(db, &[change]).await {
        Ok(mut stored) => Written::Applied(stored.pop().flatten().map(Box::new)),
        Err(Error::Rejected(_)) => Written::Refused,
        Err(fault) => Written::Failed(fault),
    }
}

/// Commits all changes or none.
async fn commit(db: &Db, changes: &[&Change]) -> Result<Vec<Option<Stored<JobRecord>>>, Error> {
    // What the commit writes, also if it is not known whether it did.
    let intended = &Mutex::new(Vec::new());
    let committed = db.transact(|tx| async move {
        let mut stored = Vec::new();
        for Change { before, after } in changes {
            stored.push(match after {
                Some(after) => Some(tx.replace(before, after)?),
                None => {
                    tx.delete(before)?;
                    None
                }
            });
        }
        *intended.lock().unwrap_or_else(PoisonError::into_inner) = stored;
        Ok::<_, Error>(())
    });
    let committed = committed.await;
    let intended = std::mem::take(&mut *intended.lock().unwrap_or_else(PoisonError::into_inner));
    match committed {
        Err(fault @ Error::OutcomeUnknown(_)) if !was_applied(db, changes, &intended).await? => Err(fault),
        Ok(()) | Err(Error::OutcomeUnknown(_)) => Ok(intended),
        Err(fault) => Err(fault),
    }
}

/// Whether a commit whose outcome is unknown was applied: it was if one of its documents has the version that it wrote. A
/// later write can hide that, and then the job belongs to somebody else anyway.
async fn was_applied(
    db: &Db,
    changes: &[&Change],
    intended: &[Option<Stored<JobRecord>>],
) -> Result<bool, Error> {
    let ids = changes.iter().map(|change| &change.before.id);
    let present = db.collection::<JobRecord>().get_many(ids, Consistency::Linearizable).await?;
    let is_as_intended = |(intended, present): (&Option<Stored<JobRecord>>, Option<Stored<JobRecord>>)| {
        intended.as_ref().map(Stored::version) == present.map(|present| present.version())
    };
    Ok(intended.iter().zip(present).any(is_as_intended))
}
