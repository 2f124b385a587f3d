//! Providers that are down.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use switchyard_harness::store::Backend;
use switchyard_jobs::{Done, JobError, JobState, WorkerSettings};

use crate::world::{Call, World, act, counting, work};

/// A provider is down for six hours, and 400 jobs wait for it. Afterwards all of them succeed.
#[tokio::test]
async fn while_a_provider_is_down_its_jobs_wait_without_attempts() {
    let world = World::on(Backend::Sqlite).await;
    let mut ids = Vec::new();
    for n in 0..400 {
        ids.push(world.enqueue(Call { name: n.to_string() }).await.id);
    }
    let calls = Arc::new(AtomicUsize::new(0));
    let down = {
        let calls = calls.clone();
        act(move |_, _| {
            calls.fetch_add(1, Ordering::SeqCst);
            Box::pin(async { Err(JobError::retry("connection refused")) })
        })
    };
    let worker = world.worker_with(&down, WorkerSettings { concurrency: 1, ..Default::default() });
    for _ in 0..6 * 60 {
        work(&worker).await;
        world.wait(60);
    }
    // Five at first, then one in 30 s, 1, 2, 4 and then every 5 minutes.
    let calls = calls.load(Ordering::SeqCst);
    assert!((60..=90).contains(&calls), "{calls}");
    let up = counting(&Arc::default());
    let worker = world.worker(&up);
    for _ in 0..20 {
        work(&worker).await;
        world.wait(60);
    }
    for id in ids {
        let job = world.job(&id).await;
        assert_eq!((job.state, job.parked), (JobState::Succeeded, 0));
        assert!(job.attempt - job.uncounted <= 6, "{job:?}");
    }
}

/// After 20 hours a job is given up, also if it was never attempted, so that no provider sees its key after a day.
#[tokio::test]
async fn what_waits_for_a_provider_for_too_long_is_given_up() {
    let world = World::on(Backend::Sqlite).await;
    for n in 0..8 {
        world.enqueue(Call { name: n.to_string() }).await;
    }
    let down = act(|_, _| Box::pin(async { Err(JobError::retry("connection refused")) }));
    let worker = world.worker_with(&down, WorkerSettings { concurrency: 1, ..Default::default() });
    for _ in 0..21 * 6 {
        work(&worker).await;
        world.wait(600);
    }
    let stats = world.jobs.stats(&world.system()).await.unwrap();
    assert_eq!(stats.states["dead"].count, 8);
    let up = act(|_, _| Box::pin(async { Ok(Done::new()) }));
    assert_eq!(world.work(&up).await, 0);
}
