//! Many workers, and workers that die or come back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use futures::future::join_all;
use switchyard_jobs::{Done, JobState};
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant, sleep};

use crate::world::{Act, Fleeting, Log, Task, World, act, counting, work};

on_every_backend! {
    of_many_workers_one_runs_each_job,
    a_job_is_taken_over_half_a_minute_after_its_lease_has_ended,
    a_worker_that_comes_back_changes_nothing,
    a_worker_that_comes_back_does_not_end_the_run_of_another,
    what_ends_its_worker_again_and_again_is_dead,
    a_cancelled_job_is_told_to_its_worker,
}

fn task(name: &str) -> Task {
    Task { name: name.to_owned() }
}

async fn of_many_workers_one_runs_each_job(world: World) {
    for n in 0..60 {
        world.enqueue(task(&n.to_string())).await;
    }
    let log = Log::default();
    let logs = {
        let log = log.clone();
        act(move |name, _| {
            log.add(name);
            Box::pin(async { Ok(Done::new()) })
        })
    };
    let workers: Vec<_> = (0..8).map(|_| world.worker(&logs)).collect();
    join_all(workers.iter().map(work)).await;
    let names = log.take();
    assert_eq!(names.len(), 60);
    assert_eq!(names.into_iter().collect::<BTreeSet<_>>().len(), 60);
}

/// A worker that has claimed the job and never ends.
async fn claimed_and_dead(world: &World) -> tokio::task::JoinHandle<()> {
    let hangs = act(|_, _| Box::pin(std::future::pending()));
    let (worker, started) = (world.worker(&hangs), Instant::now());
    tokio::spawn(async move {
        drop(worker.work_until(started + Duration::from_secs(600)).await);
    })
}

async fn until_claimed(world: &World, id: &str, claims: u32) {
    while world.state(id).await != (JobState::Running, claims) {
        sleep(Duration::from_millis(10)).await;
    }
}

async fn a_job_is_taken_over_half_a_minute_after_its_lease_has_ended(world: World) {
    let job = world.enqueue(task("a")).await;
    let dead = claimed_and_dead(&world).await;
    until_claimed(&world, &job.id, 1).await;
    dead.abort();
    let count = Arc::new(AtomicUsize::new(0));
    world.wait(60 + 29);
    assert_eq!(world.work(&counting(&count)).await, 0, "clocks differ");
    let announced = world.worker(&counting(&count));
    announced.work_on(&job.id, Instant::now() + Duration::from_secs(60)).await.unwrap();
    assert_eq!(world.state(&job.id).await, (JobState::Running, 1), "also if somebody names the job");
    world.wait(1);
    assert_eq!(world.work(&counting(&count)).await, 1);
    let details = world.job(&job.id).await;
    assert_eq!((details.state, details.attempt), (JobState::Succeeded, 2));
    assert_eq!(&*details.errors[0].code, "WORKER_DIED");
}

/// The first worker stands still while another one takes the job over, and finishes afterwards.
async fn a_worker_that_comes_back_changes_nothing(world: World) {
    let job = world.enqueue(task("a")).await;
    let gate = Arc::new(Semaphore::new(0));
    let slow: Act = {
        let gate = gate.clone();
        act(move |_, _| {
            let gate = gate.clone();
            Box::pin(async move {
                gate.acquire().await.unwrap().forget();
                Done::with("the first")
            })
        })
    };
    let worker = world.worker(&slow);
    let first = tokio::spawn(async move { work(&worker).await });
    until_claimed(&world, &job.id, 1).await;
    world.wait(60 + 30);
    let quick = act(|_, _| Box::pin(async { Done::with("the second") }));
    assert_eq!(world.work(&quick).await, 1);
    gate.add_permits(1);
    first.await.unwrap();
    let details = world.job(&job.id).await;
    assert_eq!((details.state, details.result), (JobState::Succeeded, Some("the second".into())));
}

/// The first worker finishes while the other one still runs the job.
async fn a_worker_that_comes_back_does_not_end_the_run_of_another(world: World) {
    let job = world.enqueue(task("a")).await;
    let gates = [Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0))];
    let waiting_for = |gate: &Arc<Semaphore>, result: &'static str| {
        let gate = gate.clone();
        act(move |_, _| {
            let gate = gate.clone();
            Box::pin(async move {
                gate.acquire().await.unwrap().forget();
                Done::with(result)
            })
        })
    };
    let mut running = Vec::new();
    for (claims, gate, result) in [(1, &gates[0], "the first"), (2, &gates[1], "the second")] {
        let worker = world.worker(&waiting_for(gate, result));
        running.push(tokio::spawn(async move { work(&worker).await }));
        until_claimed(&world, &job.id, claims).await;
        world.wait(if claims == 1 { 60 + 30 } else { 0 });
    }
    let second = running.pop().unwrap();
    gates[0].add_permits(1);
    running.pop().unwrap().await.unwrap();
    assert_eq!(world.state(&job.id).await, (JobState::Running, 2));
    gates[1].add_permits(1);
    second.await.unwrap();
    let details = world.job(&job.id).await;
    assert_eq!((details.state, details.result), (JobState::Succeeded, Some("the second".into())));
}

async fn what_ends_its_worker_again_and_again_is_dead(world: World) {
    let job = world.enqueue(task("a")).await;
    for claims in 1..=3 {
        let dead = claimed_and_dead(&world).await;
        until_claimed(&world, &job.id, claims).await;
        dead.abort();
        world.wait(60 + 30);
    }
    assert_eq!(world.work(&counting(&Arc::default())).await, 0);
    let details = world.job(&job.id).await;
    assert_eq!((details.state, details.attempt, details.errors.len()), (JobState::Dead, 3, 3));
}

/// The worker learns it when it extends the lease.
async fn a_cancelled_job_is_told_to_its_worker(world: World) {
    let hangs = act(|_, _| Box::pin(std::future::pending()));
    let job = world.enqueue(Fleeting { name: "a".to_owned() }).await;
    let worker = world.worker(&hangs);
    let running = tokio::spawn(async move { work(&worker).await });
    until_claimed(&world, &job.id, 1).await;
    let lease = world.job(&job.id).await.lease_until;
    world.wait(2);
    while world.job(&job.id).await.lease_until == lease {
        sleep(Duration::from_millis(50)).await; // it is extended every second
    }
    world.jobs.cancel(&world.system(), &job.id, &Default::default()).await.unwrap();
    running.await.unwrap();
    assert_eq!(world.state(&job.id).await, (JobState::Cancelled, 1));
    assert!(world.jobs.cancel(&world.system(), &job.id, &Default::default()).await.is_err());
}

#[tokio::test]
async fn the_end_of_a_process_between_effect_and_answer_repeats_the_attempt_under_the_same_key() {
    let world = World::on(switchyard_harness::store::Backend::Sqlite).await;
    let job = world.enqueue(task("a")).await;
    let log = Log::default();
    let logs_and = |ends: bool| {
        let log = log.clone();
        act(move |_, run| {
            log.add(run.idempotency_key());
            Box::pin(async move { if ends { std::future::pending().await } else { Ok(Done::new()) } })
        })
    };
    let worker = world.worker(&logs_and(true));
    let dies = tokio::spawn(async move { work(&worker).await });
    until_claimed(&world, &job.id, 1).await;
    while log.take().is_empty() {
        sleep(Duration::from_millis(5)).await;
    }
    dies.abort();
    world.wait(90);
    world.work(&logs_and(false)).await;
    assert_eq!(log.take(), [format!("switchyard/{}", job.id)]);
}
