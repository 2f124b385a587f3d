//! What runs after a commit.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchyard_database::{Cause, Db, Error, Result};

use crate::scripted::{Account, Scripted, account, rejected, stale, stored, unavailable};

/// A transaction that stores an account, and an effect that notes the number of the run.
async fn with_effect(db: &Db, effects: &Arc<Mutex<Vec<u32>>>) -> Result<()> {
    let runs = &AtomicU32::new(0);
    db.transact(|tx| async move {
        let run = runs.fetch_add(1, Ordering::Relaxed);
        let effects = Arc::clone(effects);
        tx.after_commit(async move { effects.lock().unwrap().push(run) });
        tx.get::<Account>("read").await?;
        tx.insert(&account("a", 1)).map(drop)
    })
    .await
}

#[tokio::test]
async fn an_effect_runs_after_the_commit_that_counts_and_for_no_other_run() {
    let (_, db) = Scripted::new([stale(), stale()]);
    let effects = Arc::default();
    with_effect(&db, &effects).await.unwrap();
    assert_eq!(*effects.lock().unwrap(), [2]);
}

#[tokio::test]
async fn an_effect_runs_if_the_outcome_is_unknown_and_not_if_nothing_was_applied() {
    let unknown = Error::OutcomeUnknown("the response was lost".to_owned());
    for (error, expected) in
        [(unknown, &[0][..]), (unavailable(), &[]), (rejected("a", Cause::AlreadyExists), &[])]
    {
        let (_, db) = Scripted::new([error.clone()]);
        let effects = Arc::default();
        assert_eq!(with_effect(&db, &effects).await, Err(error));
        assert_eq!(*effects.lock().unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn effects_that_take_longer_than_a_second_are_dropped() {
    let (_, db) = Scripted::new([]);
    let (started, ended) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
    let (start, end) = (&started, &ended);
    let outcome = db.transact(|tx| async move {
        for milliseconds in [400, 400, 400, 400] {
            let (start, end) = (Arc::clone(start), Arc::clone(end));
            tx.after_commit(async move {
                start.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(milliseconds)).await;
                end.fetch_add(1, Ordering::Relaxed);
            });
        }
        tx.insert(&account("a", 1)).map(drop)
    });
    outcome.await.unwrap();
    assert_eq!((started.load(Ordering::Relaxed), ended.load(Ordering::Relaxed)), (3, 2));
    assert!(stored(&db, "a").await.is_some());
}
