//! How attempts end, and what follows.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use switchyard_database::{Error, Scan};
use switchyard_jobs::{Done, JobError, JobState};

use crate::world::{Act, Log, Task, World, act, counting, failing};

on_every_backend! {
    a_result_is_kept_for_a_week,
    a_job_that_fails_is_tried_again_after_a_pause_and_dies_after_the_last_attempt,
    what_is_fatal_is_not_tried_again,
    an_attempt_that_comes_too_early_does_not_count,
    a_job_that_continues_keeps_its_memo_and_loses_no_attempt,
    a_job_and_its_effect_are_one_commit,
}

fn task(name: &str) -> Task {
    Task { name: name.to_owned() }
}

async fn a_result_is_kept_for_a_week(world: World) {
    let job = world.enqueue(task("a")).await;
    let done = act(|name, run| {
        run.progress(3, 3);
        Box::pin(async move { Done::with(json!({ "hello": name })) })
    });
    world.work(&done).await;
    let details = world.job(&job.id).await;
    assert_eq!(details.result, Some(json!({ "hello": "a" })));
    let progress = details.progress.map(|progress| (progress.done, progress.total));
    assert_eq!((progress, details.finished_at), (Some((3, 3)), Some(world.now())));
    world.wait(7 * 24 * 60 * 60);
    assert!(world.jobs.get(&world.system(), &job.id).await.is_err());
}

async fn a_job_that_fails_is_tried_again_after_a_pause_and_dies_after_the_last_attempt(world: World) {
    let job = world.enqueue(task("a")).await;
    let fails = failing(JobError::retry("the line is busy"));
    assert_eq!(world.work(&fails).await, 1);
    let details = world.job(&job.id).await;
    assert_eq!((details.state, details.attempt), (JobState::Retrying, 1));
    let pause = details.due_at.unwrap().since(world.now());
    assert!((30..=60).contains(&pause.as_secs()), "{pause:?}");
    assert_eq!(world.work(&fails).await, 0, "it pauses");
    for attempt in [2, 3] {
        world.wait(60);
        assert_eq!(world.work(&fails).await, 1);
        assert_eq!(world.job(&job.id).await.attempt, attempt);
    }
    let dead = world.job(&job.id).await;
    assert_eq!(dead.state, JobState::Dead);
    let errors: Vec<_> = dead.errors.iter().map(|e| (e.attempt, &*e.code, &*e.message)).collect();
    let busy = |attempt| (attempt, "FAILED", "the line is busy");
    assert_eq!(errors, [busy(1), busy(2), busy(3)]);
    world.wait(24 * 60 * 60);
    assert_eq!(world.work(&fails).await, 0);
}

async fn what_is_fatal_is_not_tried_again(world: World) {
    let job = world.enqueue(task("a")).await;
    world.work(&failing(JobError::fatal("ADDRESS_REFUSED", "nobody lives there"))).await;
    let dead = world.job(&job.id).await;
    assert_eq!((dead.state, dead.attempt, &*dead.errors[0].code), (JobState::Dead, 1, "ADDRESS_REFUSED"));
}

async fn an_attempt_that_comes_too_early_does_not_count(world: World) {
    let job = world.enqueue(task("a")).await;
    let early = failing(JobError::later(Duration::from_secs(10), "the shop opens at nine"));
    for claims in 1..=8 {
        assert_eq!(world.work(&early).await, 1);
        let details = world.job(&job.id).await;
        assert_eq!((details.state, details.attempt, details.uncounted), (JobState::Retrying, claims, claims));
        world.wait(10);
    }
    world.work(&counting(&Arc::default())).await;
    assert_eq!(world.state(&job.id).await, (JobState::Succeeded, 9));
}

async fn a_job_that_continues_keeps_its_memo_and_loses_no_attempt(world: World) {
    let job = world.enqueue(task("a")).await;
    let log = Log::default();
    let in_steps: Act = {
        let log = log.clone();
        act(move |_, run| {
            let log = log.clone();
            Box::pin(async move {
                let done: u32 = run.memo()?.unwrap_or_default();
                log.add(format!("{done} in attempt {} as {}", run.attempt(), run.idempotency_key()));
                if done == 3 {
                    return Done::with(done);
                }
                run.keep(&(done + 1))?;
                Ok(Done::part())
            })
        })
    };
    world.work(&in_steps).await;
    let expected = [0, 1, 2, 3].map(|done| format!("{done} in attempt 1 as switchyard/{}", job.id));
    assert_eq!(log.take(), expected);
    let details = world.job(&job.id).await;
    assert_eq!((details.state, details.attempt, details.uncounted), (JobState::Succeeded, 4, 3));
}

/// The handler writes to the database and completes the job in one transaction.
async fn a_job_and_its_effect_are_one_commit(world: World) {
    let job = world.enqueue(task("a")).await;
    let completes: Act = {
        let identity = world.store.identity.clone();
        act(move |_, run| {
            let identity = identity.clone();
            Box::pin(async move {
                let identity = &identity;
                // The first try of the closure is thrown away with everything in it.
                let refused = identity.kernel().transact(run.context(), |tx| async move {
                    run.complete(&tx, Some(&"never")).await?;
                    Err::<(), _>(Error::Invalid("no".to_owned()))
                });
                assert!(refused.await.is_err());
                let effect = identity.kernel().transact(run.context(), |tx| async move {
                    let follows = Task { name: "follows".to_owned() };
                    identity.outbox().enqueue(&tx, &follows).id("follows").await?;
                    run.complete(&tx, Some(&"done")).await
                });
                effect.await?;
                Ok(Done::completed())
            })
        })
    };
    let settings = switchyard_jobs::WorkerSettings { concurrency: 1, ..Default::default() };
    let worker = world.worker_with(&completes, settings);
    worker.work_on(&job.id, tokio::time::Instant::now() + Duration::from_secs(60)).await.unwrap();
    let details = world.job(&job.id).await;
    assert_eq!((details.state, details.result), (JobState::Succeeded, Some(json!("done"))));
    assert_eq!(world.state("follows").await, (JobState::Queued, 0));
}

#[tokio::test]
async fn a_panic_is_a_failure_and_ends_no_other_job() {
    let world = World::on(switchyard_harness::store::Backend::Sqlite).await;
    let (bad, good) = (world.enqueue(task("bad")).await, world.enqueue(task("good")).await);
    let panics = act(|name, _| {
        Box::pin(async move {
            assert_ne!(name, "bad", "this one panics");
            Ok(Done::new())
        })
    });
    world.work(&panics).await;
    assert_eq!(world.state(&good.id).await.0, JobState::Succeeded);
    let details = world.job(&bad.id).await;
    assert_eq!((details.state, &*details.errors[0].code), (JobState::Retrying, "PANIC"));
    assert!(details.errors[0].message.contains("this one panics"), "{details:?}");
}

/// A job as an older or newer program, or a broken one, has stored it.
async fn stored_with(world: &World, change: impl FnOnce(&mut switchyard_database::Body)) -> String {
    let job = world.enqueue(task("a")).await;
    let mut collections = world.store.identity.kernel().collections();
    let jobs = collections.find(|collection| collection.name == "jobs").unwrap();
    let stored = world.db.backend().scan(&Scan::new(jobs)).await.unwrap().documents.remove(0);
    let mut body = stored.body.clone();
    change(&mut body);
    let replace = switchyard_database::Operation::Replace { previous: stored, body, expires_at: None };
    world.db.commit(vec![replace]).await.unwrap();
    job.id
}

#[tokio::test]
async fn a_payload_that_does_not_read_is_dead_and_its_content_is_not_shown() {
    let world = World::on(switchyard_harness::store::Backend::Sqlite).await;
    let id = stored_with(&world, |body| {
        body["payload"] = r#"{"name":["hunter2"]}"#.into();
    })
    .await;
    world.work(&counting(&Arc::default())).await;
    let details = world.job(&id).await;
    assert_eq!((details.state, &*details.errors[0].code), (JobState::Dead, "PAYLOAD"));
    assert!(!details.errors[0].message.contains("hunter2"), "{details:?}");
}

#[tokio::test]
async fn a_payload_of_an_older_version_is_upgraded() {
    let world = World::on(switchyard_harness::store::Backend::Sqlite).await;
    let id = stored_with(&world, |body| {
        body["payload"] = r#"{"title":"old"}"#.into();
        body["version"] = 1.into();
    })
    .await;
    let done = act(|name, _| Box::pin(async move { Done::with(name) }));
    world.work(&done).await;
    assert_eq!(world.job(&id).await.result, Some(json!("old")));
}

#[tokio::test]
async fn a_payload_of_a_newer_version_waits_for_a_newer_worker_and_dies_after_a_day() {
    let world = World::on(switchyard_harness::store::Backend::Sqlite).await;
    let id = stored_with(&world, |body| body["version"] = 3.into()).await;
    let count = Arc::new(AtomicUsize::new(0));
    for _ in 0..24 * 60 {
        world.work(&counting(&count)).await;
        assert_eq!(world.state(&id).await, (JobState::Retrying, 0));
        world.wait(60);
    }
    world.work(&counting(&count)).await;
    let details = world.job(&id).await;
    assert_eq!((details.state, &*details.errors[0].code), (JobState::Dead, "UNKNOWN_KIND"));
    assert_eq!(count.load(Ordering::SeqCst), 0);
}
