//! Storing jobs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use switchyard_database::Error;
use switchyard_jobs::{Dedupe, JobState, MAX_PAYLOAD_BYTES};

use crate::world::{Act, Fleeting, Log, Task, World, act, counting, work};
use switchyard_jobs::{Done, Job as _};

on_every_backend! {
    a_job_is_stored_with_its_transaction_or_not_at_all,
    a_job_runs_when_it_is_due_and_not_before,
    an_id_is_used_once,
    a_key_is_free_again_when_its_job_runs,
    a_key_is_free_again_when_its_job_has_ended,
    of_many_jobs_with_one_key_one_is_stored,
    nothing_is_left_of_a_job_that_is_not_kept,
}

fn task(name: &str) -> Task {
    Task { name: name.to_owned() }
}

async fn a_job_is_stored_with_its_transaction_or_not_at_all(world: World) {
    let (identity, job) = (&world.store.identity, &task("a"));
    let refused = identity
        .kernel()
        .transact(&world.system(), |tx| async move {
            identity.outbox().enqueue(&tx, job).await?;
            Err::<(), _>(Error::Invalid("no".to_owned()))
        })
        .await;
    assert_eq!(refused, Err(Error::Invalid("no".to_owned())));
    let count = Arc::new(AtomicUsize::new(0));
    assert_eq!(world.work(&counting(&count)).await, 0);
    let enqueued = world.enqueue(task("a")).await;
    assert!(enqueued.is_new);
    assert_eq!(world.work(&counting(&count)).await, 1);
    assert_eq!(world.state(&enqueued.id).await, (JobState::Succeeded, 1));
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

async fn a_job_runs_when_it_is_due_and_not_before(world: World) {
    let count = Arc::new(AtomicUsize::new(0));
    let due = world.now() + std::time::Duration::from_secs(60);
    world.enqueue_with(task("a"), |job| job.at(due)).await;
    world.wait(59);
    assert_eq!(world.work(&counting(&count)).await, 0);
    world.wait(1);
    assert_eq!(world.work(&counting(&count)).await, 1);
}

async fn an_id_is_used_once(world: World) {
    let count = Arc::new(AtomicUsize::new(0));
    let first = world.enqueue_with(task("a"), |job| job.id("rebuild:7")).await;
    assert!(first.is_new);
    assert!(!world.enqueue_with(task("a"), |job| job.id("rebuild:7")).await.is_new);
    world.work(&counting(&count)).await;
    assert!(!world.enqueue_with(task("a"), |job| job.id("rebuild:7")).await.is_new);
    world.work(&counting(&count)).await;
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

/// Runs what is due, and stores another job with the same key while it runs.
async fn enqueue_while_running(world: &World, dedupe: &Dedupe) -> (bool, bool, bool) {
    let first = world.enqueue_with(task("a"), |job| job.dedupe(dedupe.clone())).await;
    let second = world.enqueue_with(task("a"), |job| job.dedupe(dedupe.clone())).await;
    assert_eq!(second.id, first.id);
    let (log, identity, again) = (Log::default(), world.store.identity.clone(), dedupe.clone());
    let during: Act = {
        let log = log.clone();
        act(move |name, run| {
            let (log, identity, again) = (log.clone(), identity.clone(), again.clone());
            Box::pin(async move {
                if name == "a" {
                    let (identity, again) = (&identity, &again);
                    let enqueued = identity
                        .kernel()
                        .transact(run.context(), |tx| async move {
                            let job = &task("b");
                            Ok::<_, Error>(
                                identity.outbox().enqueue(&tx, job).dedupe(again.clone()).await?.is_new,
                            )
                        })
                        .await?;
                    log.add(enqueued.to_string());
                }
                Ok(Done::new())
            })
        })
    };
    let worker = world.worker_with(&during, one_at_a_time());
    work(&worker).await;
    let during = log.take() == ["true"];
    let after = world.enqueue_with(task("c"), |job| job.dedupe(dedupe.clone())).await;
    (second.is_new, during, after.is_new)
}

fn one_at_a_time() -> switchyard_jobs::WorkerSettings {
    switchyard_jobs::WorkerSettings { concurrency: 1, ..Default::default() }
}

async fn a_key_is_free_again_when_its_job_runs(world: World) {
    let key = Dedupe::WhileWaiting("profile:1".to_owned());
    let (second, during, _) = enqueue_while_running(&world, &key).await;
    assert_eq!((second, during), (false, true));
}

async fn a_key_is_free_again_when_its_job_has_ended(world: World) {
    let key = Dedupe::UntilDone("profile:1".to_owned());
    assert_eq!(enqueue_while_running(&world, &key).await, (false, false, true));
}

async fn of_many_jobs_with_one_key_one_is_stored(world: World) {
    let many = (0..16).map(|n| {
        let dedupe = Dedupe::WhileWaiting("one".to_owned());
        let world = &world;
        async move { world.enqueue_with(task(&n.to_string()), |job| job.dedupe(dedupe.clone())).await }
    });
    let enqueued = futures::future::join_all(many).await;
    assert_eq!(enqueued.iter().filter(|enqueued| enqueued.is_new).count(), 1);
    let count = Arc::new(AtomicUsize::new(0));
    assert_eq!(world.work(&counting(&count)).await, 1);
}

async fn nothing_is_left_of_a_job_that_is_not_kept(world: World) {
    let enqueued = world.enqueue(Fleeting { name: "a".to_owned() }).await;
    assert_eq!(world.work(&counting(&Arc::default())).await, 1);
    let missing = world.jobs.get(&world.system(), &enqueued.id).await;
    assert!(missing.is_err(), "{missing:?} {}", Fleeting::KIND);
}

#[tokio::test]
async fn a_value_that_is_too_long_is_refused_in_a_sentence() {
    let world = World::on(switchyard_harness::store::Backend::Sqlite).await;
    let (identity, job) = (&world.store.identity, &task(&"x".repeat(MAX_PAYLOAD_BYTES)));
    let refused = identity
        .kernel()
        .transact(&world.system(), |tx| async move { identity.outbox().enqueue(&tx, job).await })
        .await;
    let length = MAX_PAYLOAD_BYTES + r#"{"name":""}"#.len();
    let expected = format!("the value of a job has {length} bytes; at most {MAX_PAYLOAD_BYTES} are allowed");
    assert_eq!(refused, Err(Error::Limit(expected)));
}
