//! Tests of `transact`, in particular with a database whose commits fail.
#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

mod effects;
mod scripted;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use switchyard_database::{Cause, Db, Entity as _, Error, Key, Result, retry};

use scripted::{Account, Scripted, account, rejected, stale, stored, unavailable, with_email};

/// The backend has already retried. If this layer did too, the attempts of both would multiply.
#[tokio::test]
async fn an_error_of_a_commit_ends_the_transaction_without_a_retry() {
    let unknown = Error::OutcomeUnknown("the response was lost".to_owned());
    for error in [unavailable(), Error::Throttled { after: None }, Error::Contended, unknown] {
        let (database, db) = Scripted::new([error.clone()]);
        let runs = &AtomicU32::new(0);
        let outcome: Result<()> = db
            .transact(|tx| async move {
                runs.fetch_add(1, Ordering::Relaxed);
                tx.insert(&account("a", 1)).map(drop)
            })
            .await;
        assert_eq!((outcome, runs.load(Ordering::Relaxed), database.commits()), (Err(error), 1, 1));
    }
}

async fn insert_after_a_read(db: &Db, runs: &AtomicU32) -> Result<()> {
    db.transact(|tx| async move {
        runs.fetch_add(1, Ordering::Relaxed);
        tx.get::<Account>("read").await?;
        tx.insert(&account("a", 1)).map(drop)
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn stale_reads_run_the_closure_again_with_new_versions() {
    let (database, db) = Scripted::new([stale(), stale()]);
    let runs = AtomicU32::new(0);
    assert_eq!((insert_after_a_read(&db, &runs).await, runs.into_inner()), (Ok(()), 3));
    let commits = database.commits.lock().unwrap().clone();
    assert!(commits[0] != commits[1] && commits[1] != commits[2]);
}

#[tokio::test(start_paused = true)]
async fn endlessly_stale_reads_end_the_transaction() {
    let (database, db) = Scripted::new(vec![stale(); 100]);
    let outcome = insert_after_a_read(&db, &AtomicU32::new(0)).await;
    assert_eq!((outcome, database.commits()), (Err(Error::Contended), 40));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_does_not_run_again_after_its_deadline() {
    let (database, db) = Scripted::new(vec![stale(); 100]);
    let deadline = tokio::time::Instant::now() + Duration::from_millis(100);
    let outcome = retry::within(deadline, insert_after_a_read(&db, &AtomicU32::new(0))).await;
    assert_eq!(outcome, Err(Error::Contended));
    assert!(tokio::time::Instant::now() < deadline);
    assert!(database.commits() < 40);
}

#[tokio::test]
async fn an_assumed_document_is_not_read() {
    let (database, db) = Scripted::new([]);
    let known = &db.collection::<Account>().insert(&account("a", 1)).await.unwrap();
    *database.unreadable.lock().unwrap() = Some("a".to_owned());
    let outcome: Result<()> = db
        .transact(|tx| async move {
            tx.assume(known);
            let read = tx.get::<Account>("a").await?.unwrap();
            tx.replace(&read, &account("a", 2)).map(drop)
        })
        .await;
    assert_eq!(outcome, Ok(()));
}

#[tokio::test]
async fn a_document_that_was_read_elsewhere_is_only_replaced_in_its_version() {
    let (database, db) = Scripted::new([]);
    let accounts = db.collection::<Account>();
    let old = accounts.insert(&account("a", 1)).await.unwrap();
    accounts.replace(&old, &account("a", 2)).await.unwrap();
    let before = database.commits();
    assert_eq!(
        accounts.replace(&old, &account("a", 3)).await.unwrap_err(),
        rejected("a", Cause::VersionMismatch)
    );
    assert_eq!(accounts.delete(&old).await.unwrap_err(), rejected("a", Cause::VersionMismatch));
    assert_eq!(database.commits() - before, 2);
}

#[tokio::test]
async fn a_taken_value_is_reported_unless_a_lookup_found_it_free() {
    let (_, db) = Scripted::new([]);
    let accounts = db.collection::<Account>();
    accounts.insert(&with_email("a", "x")).await.unwrap();
    let refused = accounts.insert(&with_email("b", "x")).await.unwrap_err();
    assert_eq!(refused.taken_attribute(), Some("email"));

    // Another writer takes the value between the lookup and the commit, so the closure runs again.
    let (runs, others) = (&AtomicU32::new(0), &accounts);
    let outcome = db
        .transact(|tx| async move {
            let free = tx.lookup::<Account>("email", "y").await?.is_none();
            if runs.fetch_add(1, Ordering::Relaxed) == 0 {
                others.insert(&with_email("c", "y")).await?;
            }
            if free {
                tx.insert(&with_email("d", "y"))?;
            }
            Ok::<_, Error>(free)
        })
        .await;
    assert_eq!((outcome, runs.load(Ordering::Relaxed)), (Ok(false), 2));
}

#[tokio::test(start_paused = true)]
async fn a_taken_value_is_reported_if_another_value_was_looked_up() {
    let (database, db) = Scripted::new([]);
    db.collection::<Account>().insert(&with_email("a", "x")).await.unwrap();
    let outcome = db
        .transact(|tx| async move {
            assert!(tx.lookup::<Account>("email", "y").await?.is_none());
            tx.insert(&with_email("b", "x")).map(drop)
        })
        .await;
    let taken = rejected("b", Cause::UniqueTaken { attribute: "email" });
    assert_eq!((outcome, database.commits()), (Err(taken), 2));
}

#[tokio::test]
async fn a_lookup_sees_the_writes_of_its_transaction() {
    let (_, db) = Scripted::new([]);
    db.collection::<Account>().insert(&with_email("a", "x")).await.unwrap();
    let outcome = db
        .transact(|tx| async move {
            let holder = async |email: &str| {
                let found = tx.lookup::<Account>("email", email).await?;
                Ok::<_, Error>(found.map(|account| account.id.clone()))
            };
            let before = tx.get::<Account>("a").await?.expect("the document exists");
            tx.replace(&before, &with_email("a", "y"))?;
            assert_eq!((holder("x").await?, holder("y").await?), (None, Some("a".to_owned())));
            tx.insert(&with_email("b", "x"))?;
            assert_eq!(holder("x").await?, Some("b".to_owned()));
            Ok::<_, Error>(())
        })
        .await;
    assert_eq!(outcome, Ok(()));
}

#[tokio::test]
async fn a_lookup_finds_no_document_that_had_another_value_when_it_was_read() {
    let (_, db) = Scripted::new([]);
    let accounts = db.collection::<Account>();
    let stored = accounts.insert(&with_email("a", "x")).await.unwrap();
    let (accounts, stored) = (&accounts, &stored);
    let outcome = db
        .transact(|tx| async move {
            tx.get::<Account>("a").await?;
            accounts.replace(stored, &with_email("a", "y")).await?;
            let found = tx.lookup::<Account>("email", "y").await?;
            Ok::<_, Error>(found.map(|account| account.email.clone()))
        })
        .await;
    assert_eq!(outcome, Ok(None));
}

#[tokio::test]
async fn a_state_older_than_the_one_that_was_read_is_refused_without_a_commit() {
    let (database, db) = Scripted::new([]);
    let accounts = db.collection::<Account>();
    let old = &accounts.insert(&account("a", 1)).await.unwrap();
    accounts.replace(old, &account("a", 2)).await.unwrap();
    let outcome = db
        .transact(|tx| async move {
            tx.get::<Account>("a").await?;
            assert_eq!(tx.delete(old), Err(rejected("a", Cause::VersionMismatch)));
            tx.replace(old, &account("a", 3)).map(drop)
        })
        .await;
    assert_eq!((outcome, database.commits()), (Err(rejected("a", Cause::VersionMismatch)), 2));
}

#[tokio::test]
async fn a_decision_on_one_state_does_not_overwrite_another_state() {
    let (_, db) = Scripted::new([]);
    let accounts = &db.collection::<Account>();
    accounts.insert(&account("a", 1)).await.unwrap();
    let outcome = db
        .transact(|tx| async move {
            let read = tx.get::<Account>("a").await?.expect("the document exists");
            let newer = accounts.replace(&read, &account("a", 10)).await?;
            tx.replace(&newer, &account("a", read.balance + 1)).map(drop)
        })
        .await;
    assert_eq!(outcome, Err(rejected("a", Cause::VersionMismatch)));
    assert_eq!(stored(&db, "a").await, Some(account("a", 10)));
}

#[tokio::test]
async fn a_document_that_was_read_as_absent_cannot_be_replaced() {
    let (database, db) = Scripted::new([]);
    let accounts = db.collection::<Account>();
    let gone = &accounts.insert(&account("a", 1)).await.unwrap();
    accounts.delete(gone).await.unwrap();
    let outcome = db
        .transact(|tx| async move {
            assert!(tx.get::<Account>("a").await?.is_none());
            tx.replace(gone, &account("a", 2)).map(drop)
        })
        .await;
    assert_eq!((outcome, database.commits()), (Err(rejected("a", Cause::NotFound)), 2));
}

#[tokio::test]
async fn a_transaction_reads_its_own_writes() {
    let (_, db) = Scripted::new([]);
    let outcome = db
        .transact(|tx| async move {
            let inserted = tx.insert(&account("a", 1))?;
            assert_eq!(tx.get::<Account>("a").await?.map(|a| a.balance), Some(1));
            let replaced = tx.replace(&inserted, &account("a", 2))?;
            assert_eq!(tx.get::<Account>("a").await?.map(|a| a.balance), Some(2));
            tx.increment::<Account>("a", "balance", 5).unbounded()?;
            assert_eq!(tx.get::<Account>("a").await?.map(|a| a.balance), Some(7));
            let stale = tx.delete(&replaced).unwrap_err();
            assert_eq!(stale, rejected("a", Cause::VersionMismatch));
            let newest = tx.get::<Account>("a").await?.expect("the document exists");
            tx.delete(&newest)?;
            assert!(tx.get::<Account>("a").await?.is_none());
            tx.insert(&account("a", 9))?;
            Ok::<_, Error>(())
        })
        .await;
    assert_eq!(outcome, Ok(()));
    assert_eq!(stored(&db, "a").await, Some(account("a", 9)));
}

#[tokio::test]
async fn inserting_and_deleting_a_document_writes_nothing() {
    let (database, db) = Scripted::new([]);
    let outcome = db
        .transact(|tx| async move {
            let inserted = tx.insert(&account("a", 1))?;
            tx.delete(&inserted)
        })
        .await;
    assert_eq!((outcome, database.commits()), (Ok(()), 0));
}

#[tokio::test]
async fn deleting_and_inserting_a_document_replaces_it() {
    let (database, db) = Scripted::new([]);
    let accounts = db.collection::<Account>();
    accounts.insert(&with_email("a", "x")).await.unwrap();
    let outcome = db
        .transact(|tx| async move {
            let before = tx.get::<Account>("a").await?.expect("the document exists");
            tx.delete(&before)?;
            tx.insert(&with_email("a", "x")).map(drop)
        })
        .await;
    assert_eq!((outcome, database.commits()), (Ok(()), 2));
    assert_eq!(stored(&db, "a").await, Some(with_email("a", "x")));
}

#[tokio::test]
async fn one_read_needs_no_commit_and_two_are_checked() {
    let (database, db) = Scripted::new([]);
    for (ids, commits) in [(&["a"][..], 0), (&["a", "b"], 1)] {
        let outcome = db
            .transact(|tx| async move {
                for id in ids {
                    tx.get::<Account>(id).await?;
                }
                Ok::<_, Error>(())
            })
            .await;
        assert_eq!((outcome, database.commits()), (Ok(()), commits));
    }
}

/// Reads `ids`, and then refuses. Returns the number of commits that this took, each of which only checks.
async fn commits_of_a_refusal(database: &Scripted, db: &Db, ids: &[String]) -> (Result<()>, usize) {
    let before = database.commits();
    let outcome: Result<()> = db
        .transact(|tx| async move {
            for id in ids {
                tx.get::<Account>(id).await?;
            }
            Err(Error::Invalid("refused".to_owned()))
        })
        .await;
    (outcome, database.commits() - before)
}

#[tokio::test]
async fn a_refusal_after_two_to_a_hundred_reads_is_checked_once() {
    let (database, db) = Scripted::new([]);
    let ids: Vec<_> = (0..101).map(|number| number.to_string()).collect();
    for (reads, commits) in [(0, 0), (1, 0), (2, 1), (100, 1), (101, 0)] {
        let refused = Err(Error::Invalid("refused".to_owned()));
        assert_eq!(commits_of_a_refusal(&database, &db, &ids[..reads]).await, (refused, commits), "{reads}");
    }
}

#[tokio::test]
async fn a_refusal_that_cannot_be_checked_is_not_reported() {
    let unknown = Error::Internal("a bug".to_owned());
    let (database, db) = Scripted::new([unknown.clone()]);
    let ids = ["a".to_owned(), "b".to_owned()];
    assert_eq!(commits_of_a_refusal(&database, &db, &ids).await, (Err(unknown), 1));
}

#[tokio::test]
async fn an_error_of_the_database_is_passed_on_unchecked() {
    let (database, db) = Scripted::new([]);
    *database.unreadable.lock().unwrap() = Some("broken".to_owned());
    let ids = ["a", "b", "broken"].map(str::to_owned);
    assert_eq!(commits_of_a_refusal(&database, &db, &ids).await, (Err(unavailable()), 0));
}

#[tokio::test]
async fn inserting_a_document_that_was_read_is_refused_without_a_commit() {
    let (database, db) = Scripted::new([]);
    db.collection::<Account>().insert(&account("a", 1)).await.unwrap();
    let outcome = db
        .transact(|tx| async move {
            tx.get::<Account>("a").await?;
            tx.insert(&account("a", 2)).map(drop)
        })
        .await;
    assert_eq!((outcome, database.commits()), (Err(rejected("a", Cause::AlreadyExists)), 1));
}

#[tokio::test]
async fn increments_of_one_counter_add_up_with_their_floors() {
    let (_, db) = Scripted::new([]);
    db.collection::<Account>().insert(&account("a", 10)).await.unwrap();
    let add = async |steps: &'static [(i64, Option<i64>)]| {
        db.transact(|tx| async move {
            for (by, floor) in steps {
                let increment = tx.increment::<Account>("a", "balance", *by);
                match floor {
                    Some(floor) => increment.at_least(*floor)?,
                    None => increment.unbounded()?,
                }
            }
            Ok::<_, Error>(())
        })
        .await
    };
    let below = Err(rejected("a", Cause::BelowMinimum));
    assert_eq!(add(&[(-4, Some(0)), (-4, Some(0))]).await, Ok(()));
    // The first increment alone would go below its floor, although the sum does not.
    assert_eq!(add(&[(-3, Some(0)), (5, None)]).await, below);
    assert_eq!(add(&[(5, None), (-3, Some(0))]).await, Ok(()));
    assert_eq!(add(&[(1, None), (-6, Some(0))]).await, below);
    assert_eq!(add(&[(i64::MAX, None), (1, None)]).await, Err(rejected("a", Cause::Overflow)));
    assert_eq!(stored(&db, "a").await, Some(account("a", 4)));
}

#[tokio::test]
async fn two_counters_of_one_document_can_only_be_incremented_after_a_read() {
    let (_, db) = Scripted::new([]);
    db.collection::<Account>().insert(&account("a", 10)).await.unwrap();
    let both = async |read: bool| {
        db.transact(|tx| async move {
            if read {
                tx.get::<Account>("a").await?;
            }
            tx.increment::<Account>("a", "balance", -1).at_least(0)?;
            tx.increment::<Account>("a", "points", 1).unbounded()
        })
        .await
    };
    let message = "two counters of accounts/a are incremented; read the document first".to_owned();
    assert_eq!(both(false).await, Err(Error::Invalid(message)));
    assert_eq!(both(true).await, Ok(()));
    assert_eq!(stored(&db, "a").await, Some(Account { points: 1, ..account("a", 9) }));
}

#[tokio::test]
async fn a_document_cannot_be_read_after_a_blind_increment() {
    let (_, db) = Scripted::new([]);
    let outcome = db
        .transact(|tx| async move {
            tx.increment::<Account>("a", "balance", 1).unbounded()?;
            tx.get::<Account>("a").await.map(drop)
        })
        .await;
    let message = "accounts/a must be read before it is incremented, not afterwards".to_owned();
    assert_eq!(outcome, Err(Error::Invalid(message)));
}

#[tokio::test]
async fn a_transaction_larger_than_a_batch_is_refused() {
    let (database, db) = Scripted::new([]);
    let outcome = db
        .transact(|tx| async move {
            for n in 0..101 {
                tx.insert(&account(&n.to_string(), n))?;
            }
            Ok::<_, Error>(())
        })
        .await;
    assert!(matches!(outcome, Err(Error::Limit(_))), "{outcome:?}");
    assert_eq!(database.commits(), 0);
}

#[tokio::test]
async fn a_document_that_does_not_match_its_type_is_corrupt() {
    let (database, db) = Scripted::new([]);
    let key = Key::new(Account::COLLECTION, "a").unwrap();
    let body = serde_json::json!({"balance": 1, "points": 0}).as_object().unwrap().clone();
    let create = switchyard_database::Operation::Create { key, body, expires_at: None };
    db.commit(vec![create]).await.unwrap();
    let outcome = db.collection::<Account>().get("a").await;
    assert!(matches!(outcome, Err(Error::Corrupt(_))), "{outcome:?}");
    assert_eq!(database.commits(), 1);
}
