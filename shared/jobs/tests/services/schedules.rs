//! Schedules: each tick has one job, however many workers look.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::join_all;
use switchyard_harness::store::Backend;
use switchyard_jobs::schedule::{CatchUp, Overlap, Schedule};
use switchyard_jobs::{CronFields, Done, JobsError, Worker};
use switchyard_kernel::{CommonError, Refused};

use crate::world::{Act, Log, Task, World, act, counting, work};

on_every_backend! {
    of_eight_workers_one_stores_the_job_of_a_tick,
    after_a_time_without_workers_the_latest_tick_has_a_job_that_knows_of_the_others,
    a_paused_schedule_passes_its_ticks,
}

const NAME: &str = "tests.every_minute";

fn every_minute() -> Schedule {
    let job = Task { name: "tick".to_owned() };
    Schedule::cron(NAME, "* * * * *", "Africa/Lagos", &job).unwrap()
}

/// Lets minutes pass, after each of which all workers look.
async fn minutes(world: &World, workers: &[Worker], count: usize) {
    for _ in 0..count {
        world.wait(60);
        join_all(workers.iter().map(work)).await;
    }
}

async fn of_eight_workers_one_stores_the_job_of_a_tick(world: World) {
    one_job_for_each_of(10, world).await;
}

#[tokio::test]
async fn of_a_thousand_ticks_each_has_one_job() {
    one_job_for_each_of(1_000, World::on(Backend::Sqlite).await).await;
}

async fn one_job_for_each_of(ticks: usize, world: World) {
    let count = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..8).map(|_| world.scheduled(&counting(&count), every_minute())).collect();
    join_all(workers.iter().map(work)).await;
    assert_eq!(count.load(Ordering::SeqCst), 0, "it begins with the next tick");
    minutes(&world, &workers, ticks).await;
    assert_eq!(count.load(Ordering::SeqCst), ticks);
}

/// Writes the missed ticks of each job to a log.
fn logging(log: &Log) -> Act {
    let log = log.clone();
    act(move |_, run| {
        let tick = run.tick().unwrap();
        log.add(format!("{} {} {}", tick.schedule, tick.at, tick.missed));
        Box::pin(async { Ok(Done::new()) })
    })
}

async fn after_a_time_without_workers_the_latest_tick_has_a_job_that_knows_of_the_others(world: World) {
    let log = Log::default();
    let latest = world.scheduled(&logging(&log), every_minute());
    work(&latest).await;
    world.wait(10 * 60);
    work(&latest).await;
    // The world begins at 08:30.
    assert_eq!(log.take(), [format!("{NAME} 2033-03-01T08:40:00.000Z 9")]);
    work(&latest).await;
    assert_eq!(log.take(), [""; 0]);

    let all =
        world.scheduled(&logging(&log), every_minute().catch_up(CatchUp::All(3)).overlap(Overlap::Allow));
    world.wait(5 * 60);
    work(&all).await;
    let mut ticks = log.take();
    ticks.sort();
    assert_eq!(
        ticks,
        [
            format!("{NAME} 2033-03-01T08:43:00.000Z 2"),
            format!("{NAME} 2033-03-01T08:44:00.000Z 0"),
            format!("{NAME} 2033-03-01T08:45:00.000Z 0"),
        ]
    );
    let crons = world.jobs.crons(&world.system()).await.unwrap().data;
    assert_eq!((crons.len(), &*crons[0].name, &*crons[0].timezone), (1, NAME, "Africa/Lagos"));
    assert_eq!(crons[0].next_at.unwrap().to_string(), "2033-03-01T08:46:00.000Z");
    assert_eq!(crons[0].last_at.unwrap().to_string(), "2033-03-01T08:45:00.000Z");
    let last = format!("cron:{NAME}:{}", crons[0].last_at.unwrap().as_millis());
    assert_eq!(crons[0].last_job_id.as_ref(), Some(&last));
}

async fn a_paused_schedule_passes_its_ticks(world: World) {
    let (count, context) = (Arc::new(AtomicUsize::new(0)), &world.system());
    let workers = [world.scheduled(&counting(&count), every_minute())];
    let paused = |paused| move |_: &CronFields| Ok(CronFields { paused });
    let unknown = world.jobs.edit_cron(context, NAME, paused(true)).await;
    assert!(
        matches!(unknown, Err(JobsError::Common(CommonError::Refused(Refused::NotFound)))),
        "{unknown:?}"
    );
    work(&workers[0]).await;
    assert!(world.jobs.edit_cron(context, NAME, paused(true)).await.unwrap().paused);
    minutes(&world, &workers, 3).await;
    assert_eq!(count.load(Ordering::SeqCst), 0);
    world.jobs.run_cron(context, NAME).await.unwrap();
    work(&workers[0]).await;
    assert_eq!(count.load(Ordering::SeqCst), 1, "by hand");
    assert!(!world.jobs.edit_cron(context, NAME, paused(false)).await.unwrap().paused);
    minutes(&world, &workers, 2).await;
    assert_eq!(count.load(Ordering::SeqCst), 3);
}

/// In a deployment that is under way, workers have two definitions of a schedule.
#[tokio::test]
async fn two_definitions_of_a_schedule_give_a_tick_one_job() {
    let world = World::on(Backend::Sqlite).await;
    let count = Arc::new(AtomicUsize::new(0));
    let job = Task { name: "tick".to_owned() };
    let hourly = Schedule::cron(NAME, "0 * * * *", "Africa/Lagos", &job).unwrap();
    let workers =
        [world.scheduled(&counting(&count), every_minute()), world.scheduled(&counting(&count), hourly)];
    join_all(workers.iter().map(work)).await;
    minutes(&world, &workers, 60).await;
    assert_eq!(count.load(Ordering::SeqCst), 60);
}

#[tokio::test]
async fn a_tick_has_no_job_while_that_of_an_earlier_one_has_not_ended() {
    let world = World::on(Backend::Sqlite).await;
    let log = Log::default();
    let slow = {
        let log = log.clone();
        act(move |_, run| {
            log.add(run.id());
            let is_first = run.attempt() == 1;
            Box::pin(async move {
                if is_first { Err(switchyard_jobs::JobError::retry("again")) } else { Ok(Done::new()) }
            })
        })
    };
    let worker = world.scheduled(&slow, every_minute());
    work(&worker).await;
    world.wait(60);
    work(&worker).await;
    let [first] = &log.take()[..] else { panic!("one job") };
    world.wait(60); // its second attempt and the next tick are due
    worker.work_until(tokio::time::Instant::now()).await.unwrap();
    work(&worker).await;
    assert_eq!(log.take(), std::slice::from_ref(first));
}
