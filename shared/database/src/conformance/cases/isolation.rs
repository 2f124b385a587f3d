use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::json;

use super::account::{ACCOUNTS, Account};
use crate::conformance::Store;
use crate::conformance::words::{at_once, check, create, replace};
use crate::{Cause, Collection, Error, Expect, Field, Operation};

const DOCTORS: &Collection = &Collection::new("doctors").fields(&[Field::boolean("on_call")]);

/// Commits all batches concurrently, spread over the instances. Returns the outcome of each one.
async fn commit_at_once(stores: &[Store], batches: Vec<Vec<Operation>>) -> Vec<Result<(), Cause>> {
    let tasks = batches.into_iter().zip(stores.iter().cycle().cloned()).map(|(batch, store)| async move {
        match store.commit_patiently(batch).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error.rejection().expect("a batch fails only with a rejection").cause),
        }
    });
    at_once(tasks).await
}

pub async fn checks_are_enforced_and_change_nothing(store: Store) {
    store.migrate(&[DOCTORS]).await;
    let alice = store.create(DOCTORS, "alice", json!({"on_call": true})).await;
    let version = Expect::Version(alice.version);
    let fitting = [("alice", Expect::Exists), ("alice", version), ("bob", Expect::Absent)];
    for (id, expect) in fitting {
        assert!(store.commit(vec![check(DOCTORS, id, expect)]).await.is_ok(), "{id} {expect:?}");
    }
    let failing = [("bob", Expect::Exists), ("bob", version), ("alice", Expect::Absent)];
    for (id, expect) in failing {
        let refused = store.rejection(vec![check(DOCTORS, id, expect)]).await;
        assert_eq!(refused, (0, Cause::CheckFailed), "{id} {expect:?}");
    }
    let both = vec![check(DOCTORS, "bob", Expect::Absent), check(DOCTORS, "alice", Expect::Absent)];
    assert_eq!(store.rejection(both).await, (1, Cause::CheckFailed));
    assert_eq!(store.get(DOCTORS, "alice").await, Some(alice));
    assert_eq!(store.get(DOCTORS, "bob").await, None);
}

pub async fn a_failed_check_rejects_the_whole_batch(store: Store) {
    store.migrate(&[DOCTORS]).await;
    let body = json!({"on_call": true});
    let alice = store.create(DOCTORS, "alice", body.clone()).await;
    for expect in [Expect::Absent, Expect::Version(crate::Version::NONE)] {
        let batch = vec![create(DOCTORS, "bob", body.clone()), check(DOCTORS, "alice", expect)];
        assert_eq!(store.rejection(batch).await, (1, Cause::CheckFailed));
        assert_eq!(store.get(DOCTORS, "bob").await, None);
    }
    let fitting = check(DOCTORS, "alice", Expect::Version(alice.version));
    store.commit(vec![create(DOCTORS, "bob", body), fitting]).await.expect("the check of alice succeeds");
}

pub async fn write_skew_through_checks_of_a_version_fails(store: Store) {
    store.migrate(&[DOCTORS]).await;
    let stores = [store.clone(), store.another().await];
    for round in 0..15 {
        let (alice, bob) = (format!("alice-{round}"), format!("bob-{round}"));
        let on_call = json!({"on_call": true});
        let a = store.create(DOCTORS, &alice, on_call.clone()).await;
        let b = store.create(DOCTORS, &bob, on_call).await;
        // Each goes off call on the condition that the other stays on call.
        let leaves = |who: &crate::Document, other: &crate::Document| {
            vec![
                replace(who, json!({"on_call": false})),
                check(DOCTORS, other.key.id(), Expect::Version(other.version)),
            ]
        };
        let mut outcomes = commit_at_once(&stores, vec![leaves(&a, &b), leaves(&b, &a)]).await;
        outcomes.sort();
        assert_eq!(outcomes, [Ok(()), Err(Cause::CheckFailed)], "round {round}");
    }
}

pub async fn write_skew_through_checks_of_absence_fails(store: Store) {
    store.migrate(&[DOCTORS]).await;
    let stores = [store.clone(), store.another().await];
    for round in 0..15 {
        let (a, b) = (format!("a-{round}"), format!("b-{round}"));
        let creates_unless = |id: &str, other: &str| {
            vec![create(DOCTORS, id, json!({"on_call": true})), check(DOCTORS, other, Expect::Absent)]
        };
        let mut outcomes =
            commit_at_once(&stores, vec![creates_unless(&a, &b), creates_unless(&b, &a)]).await;
        outcomes.sort();
        assert_eq!(outcomes, [Ok(()), Err(Cause::CheckFailed)], "round {round}");
    }
}

/// Each batch creates the document that the next batch expects to be absent. In every order exactly two of the
/// three succeed.
pub async fn a_cycle_of_three_checks_of_absence_fails(store: Store) {
    store.migrate(&[DOCTORS]).await;
    let stores = [store.clone(), store.another().await, store.another().await];
    for round in 0..15 {
        let id = |n: usize| format!("{}-{round}", n % 3);
        let batch = |n: usize| {
            vec![
                check(DOCTORS, &id(n), Expect::Absent),
                create(DOCTORS, &id(n + 1), json!({"on_call": true})),
            ]
        };
        let mut outcomes = commit_at_once(&stores, (0..3).map(batch).collect()).await;
        outcomes.sort();
        assert_eq!(outcomes, [Ok(()), Ok(()), Err(Cause::CheckFailed)], "round {round}");
    }
}

/// One instance creates `x` unconditionally, and then `z` on the condition that `x` exists and `y` does not.
/// Another one creates `y` on the condition that `x` does not exist. In every order exactly one of the two
/// conditions holds.
pub async fn a_check_of_absence_holds_against_a_plain_create(store: Store) {
    store.migrate(&[DOCTORS]).await;
    let other = store.another().await;
    let body = json!({"on_call": true});
    for round in 0..15 {
        let [x, y, z] = ["x", "y", "z"].map(|name| format!("{name}-{round}"));
        let conditional = vec![check(DOCTORS, &x, Expect::Absent), create(DOCTORS, &y, body.clone())];
        let plain = vec![create(DOCTORS, &x, body.clone())];
        let after_it = vec![
            check(DOCTORS, &x, Expect::Exists),
            check(DOCTORS, &y, Expect::Absent),
            create(DOCTORS, &z, body.clone()),
        ];
        let (first, second) = (store.clone(), other.clone());
        let plainly = tokio::spawn(async move {
            first.commit_patiently(plain).await.expect("`x` is created");
            first.commit_patiently(after_it).await.is_ok()
        });
        let conditionally = tokio::spawn(async move { second.commit_patiently(conditional).await.is_ok() });
        let outcomes =
            [plainly.await.expect("the task succeeds"), conditionally.await.expect("the task succeeds")];
        assert_eq!(outcomes.iter().filter(|&&fits| fits).count(), 1, "round {round}: {outcomes:?}");
    }
}

pub async fn transfers_never_change_the_sum_of_all_accounts(store: Store) {
    const ACCOUNT_IDS: [&str; 4] = ["a", "b", "c", "d"];
    store.migrate(&[ACCOUNTS]).await;
    for id in ACCOUNT_IDS {
        store.db.collection::<Account>().insert(&Account::new(id, 100)).await.expect("the account is opened");
    }
    let transfers = (0..6_usize).map(|worker| {
        let store = store.clone();
        tokio::spawn(async move {
            for turn in 0..8 {
                let from = ACCOUNT_IDS[(worker + turn) % 4];
                let to = ACCOUNT_IDS[(worker + 2 * turn + 1) % 4];
                transfer(&store, from, to, 7).await;
            }
        })
    });
    let transfers: Vec<_> = transfers.collect();
    let auditor = store.another().await;
    let mut audits = 0;
    while audits == 0 || !transfers.iter().all(|transfer| transfer.is_finished()) {
        let Some(sum) = audit(&auditor, &ACCOUNT_IDS).await else { continue };
        assert_eq!(sum, 400, "audit {audits}");
        audits += 1;
    }
    for transfer in transfers {
        transfer.await.expect("the transfer succeeds");
    }
    assert_eq!(audit(&auditor, &ACCOUNT_IDS).await, Some(400));
}

/// Moves money if there is enough. Retries until the transaction succeeds.
async fn transfer(store: &Store, from: &str, to: &str, amount: i64) {
    if from == to {
        return;
    }
    loop {
        let outcome = store
            .db
            .transact(|tx| async move {
                let missing = || Error::Internal("the account is missing".to_owned());
                let source = tx.get::<Account>(from).await?.ok_or_else(missing)?;
                let target = tx.get::<Account>(to).await?.ok_or_else(missing)?;
                if source.balance >= amount {
                    tx.replace(&source, &Account::new(from, source.balance - amount))?;
                    tx.replace(&target, &Account::new(to, target.balance + amount))?;
                }
                Ok::<_, Error>(())
            })
            .await;
        match outcome {
            Ok(()) => return,
            Err(error) => assert!(error.is_retryable(), "a transfer failed: {error}"),
        }
    }
}

/// The sum of all accounts at one moment; `None` if there was too much contention.
async fn audit(store: &Store, accounts: &[&str]) -> Option<i64> {
    let outcome = store
        .db
        .transact(|tx| async move {
            let mut sum = 0;
            for id in accounts {
                sum += tx.get::<Account>(id).await?.map_or(0, |account| account.balance);
            }
            Ok::<_, Error>(sum)
        })
        .await;
    match outcome {
        Ok(sum) => Some(sum),
        Err(error) if error.is_retryable() => None,
        Err(error) => panic!("an audit failed: {error}"),
    }
}

pub async fn a_transaction_runs_again_if_a_document_that_it_read_was_changed(store: Store) {
    store.migrate(&[ACCOUNTS]).await;
    let accounts = store.db.collection::<Account>();
    accounts.insert(&Account::new("read", 1)).await.expect("the account is opened");
    accounts.insert(&Account::new("written", 0)).await.expect("the account is opened");
    let (other, runs) = (&store.another().await, &AtomicU32::new(0));
    let seen = store
        .db
        .transact(|tx| async move {
            let read = tx.get::<Account>("read").await?.expect("the account exists");
            let written = tx.get::<Account>("written").await?.expect("the account exists");
            if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                let update = |account: &mut Account| account.balance = 5;
                other.db.collection::<Account>().update("read", update).await?;
            }
            tx.replace(&written, &Account::new("written", read.balance))?;
            Ok::<_, Error>(read.balance)
        })
        .await;
    assert_eq!((seen, runs.load(Ordering::SeqCst)), (Ok(5), 2));
    let written = accounts.get("written").await.expect("the account is read").expect("the document exists");
    assert_eq!(written.balance, 5);
}

pub async fn a_transaction_that_assumes_an_old_state_runs_again_and_reads(store: Store) {
    store.migrate(&[ACCOUNTS]).await;
    let accounts = store.db.collection::<Account>();
    let old = &accounts.insert(&Account::new("a", 1)).await.expect("the account is opened");
    let present = accounts.replace(old, &Account::new("a", 5)).await.expect("the account is changed");
    for (assumed, expected) in [(old, vec![1, 5]), (&present, vec![5])] {
        let seen = &Mutex::new(Vec::new());
        let outcome = store
            .db
            .transact(|tx| async move {
                tx.assume(assumed);
                let account = tx.get::<Account>("a").await?.expect("the account exists");
                seen.lock().expect("no thread panics").push(account.balance);
                let id = format!("beside {}", assumed.balance);
                tx.insert(&Account::new(&id, account.balance))?;
                Ok::<_, Error>(())
            })
            .await;
        assert_eq!(outcome, Ok(()));
        assert_eq!(*seen.lock().expect("no thread panics"), expected);
    }
}

pub async fn a_transaction_runs_again_if_a_document_that_it_found_absent_appears(store: Store) {
    store.migrate(&[ACCOUNTS]).await;
    let (other, runs) = (&store.another().await, &AtomicU32::new(0));
    let found = store
        .db
        .transact(|tx| async move {
            let rule = tx.get::<Account>("rule").await?;
            if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                other.db.collection::<Account>().insert(&Account::new("rule", 1)).await?;
            }
            tx.insert(&Account::new(if rule.is_some() { "under-the-rule" } else { "without-a-rule" }, 1))?;
            Ok::<_, Error>(rule.is_some())
        })
        .await;
    assert_eq!((found, runs.load(Ordering::SeqCst)), (Ok(true), 2));
    assert_eq!(store.get(ACCOUNTS, "without-a-rule").await, None);
}
