use std::sync::atomic::{AtomicU32, Ordering};

use super::account::{ACCOUNTS, Account};
use crate::conformance::Store;
use crate::{Error, Stored, Transaction};

/// An error of a transaction's closure.
#[derive(Debug, PartialEq)]
enum Refusal {
    TooPoor(i64),
    Database(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

async fn open(store: &Store, accounts: &[(&str, i64)]) {
    store.migrate(&[ACCOUNTS]).await;
    for (id, balance) in accounts {
        store
            .db
            .collection::<Account>()
            .insert(&Account::new(*id, *balance))
            .await
            .expect("the account is opened");
    }
}

async fn account(tx: &Transaction, id: &str) -> Result<Stored<Account>, Error> {
    tx.get::<Account>(id).await?.ok_or_else(|| Error::Internal(format!("the account {id} is missing")))
}

/// Moves `amount` from one account to the other in one batch.
async fn transfer(store: &Store, from: &str, to: &str, amount: i64) -> Result<(), Error> {
    store
        .db
        .transact(|tx| async move {
            let (source, target) = (account(&tx, from).await?, account(&tx, to).await?);
            tx.replace(&source, &Account::new(from, source.balance - amount))?;
            tx.replace(&target, &Account::new(to, target.balance + amount)).map(drop)
        })
        .await
}

pub async fn an_error_of_its_own_ends_a_transaction_and_nothing_is_written(store: Store) {
    open(&store, &[("a", 1), ("b", 2)]).await;
    for reads in [&[][..], &["a"], &["a", "b"], &["a", "b", "absent"]] {
        let runs = &AtomicU32::new(0);
        let outcome: Result<(), Refusal> = store
            .db
            .transact(|tx| async move {
                runs.fetch_add(1, Ordering::SeqCst);
                let mut sum = 0;
                for id in reads {
                    sum += tx.get::<Account>(id).await?.map_or(0, |account| account.balance);
                }
                tx.insert(&Account::new("new", 1))?;
                Err(Refusal::TooPoor(sum))
            })
            .await;
        let sum = [0, 1, 3, 3][reads.len()];
        assert_eq!((outcome, runs.load(Ordering::SeqCst)), (Err(Refusal::TooPoor(sum)), 1), "{reads:?}");
        assert_eq!(store.get(ACCOUNTS, "new").await, None);
    }
}

/// The sum of both accounts is 100 at every moment, but money moves between the two reads.
pub async fn a_refusal_after_several_reads_rests_on_one_moment(store: Store) {
    open(&store, &[("a", 50), ("b", 50)]).await;
    let (other, runs) = (&store.another().await, &AtomicU32::new(0));
    let seen: Result<i64, Refusal> = store
        .db
        .transact(|tx| async move {
            let first = account(&tx, "a").await?.balance;
            if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                transfer(other, "b", "a", 50).await?;
            }
            let sum = first + account(&tx, "b").await?.balance;
            if sum < 100 { Err(Refusal::TooPoor(sum)) } else { Ok(sum) }
        })
        .await;
    assert_eq!((seen, runs.load(Ordering::SeqCst)), (Ok(100), 2));
}

pub async fn a_refusal_runs_again_if_a_document_that_it_found_absent_appears(store: Store) {
    open(&store, &[("a", 50)]).await;
    let (other, runs) = (&store.another().await, &AtomicU32::new(0));
    let seen: Result<i64, Refusal> = store
        .db
        .transact(|tx| async move {
            let savings = tx.get::<Account>("savings").await?.map_or(0, |account| account.balance);
            if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                other.db.collection::<Account>().insert(&Account::new("savings", 30)).await?;
            }
            Err(Refusal::TooPoor(savings + account(&tx, "a").await?.balance))
        })
        .await;
    assert_eq!((seen, runs.load(Ordering::SeqCst)), (Err(Refusal::TooPoor(80)), 2));
}

/// Money moves to and fro while another instance refuses with every sum that it sees.
pub async fn no_refusal_sees_a_transfer_half_done(store: Store) {
    open(&store, &[("a", 50), ("b", 50)]).await;
    let other = store.another().await;
    let moving = tokio::spawn(async move {
        for turn in 0..12 {
            let (from, to) = if turn % 2 == 0 { ("a", "b") } else { ("b", "a") };
            while let Err(error) = transfer(&other, from, to, 50).await {
                assert!(error.is_retryable(), "a transfer failed: {error}");
            }
        }
    });
    let mut refusals = 0;
    while refusals == 0 || !moving.is_finished() {
        let refused: Result<(), Refusal> = store
            .db
            .transact(|tx| async move {
                let first = account(&tx, "a").await?.balance;
                Err(Refusal::TooPoor(first + account(&tx, "b").await?.balance))
            })
            .await;
        match refused {
            Err(Refusal::TooPoor(sum)) => assert_eq!(sum, 100, "refusal {refusals}"),
            Err(Refusal::Database(error)) if error.is_retryable() => continue,
            other => panic!("the transaction must be refused, not end with {other:?}"),
        }
        refusals += 1;
    }
    moving.await.expect("the transfers succeed");
}
