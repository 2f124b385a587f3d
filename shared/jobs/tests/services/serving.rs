//! The worker of a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use switchyard_harness::store::Backend;
use switchyard_jobs::{Announcements, Done, JobState, Outbox, Payloads, WorkerSettings, local_announcements};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::world::{Act, Call, Task, World, act, counting};

on_every_backend! {
    what_is_due_is_found_without_an_announcement,
    what_runs_when_the_worker_ends_is_given_back,
}

fn task(name: &str) -> Task {
    Task { name: name.to_owned() }
}

/// A worker that is told to stop by the sender.
fn serve(
    world: &World,
    act: &Act,
    settings: WorkerSettings,
    announcements: Announcements,
    grace: Duration,
) -> (oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel();
    let worker = world.worker_with(act, settings);
    let serving = worker.serve(announcements, async move { drop(stopped.await) }, grace);
    (stop, tokio::spawn(serving))
}

async fn until(world: &World, id: &str, state: JobState) {
    let reached = async {
        while world.state(id).await.0 != state {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), reached).await.unwrap();
}

async fn what_is_due_is_found_without_an_announcement(world: World) {
    let count = Arc::new(AtomicUsize::new(0));
    let settings = WorkerSettings { poll: Duration::from_millis(100), ..Default::default() };
    let (stop, serving) =
        serve(&world, &counting(&count), settings, Announcements::none(), Duration::from_secs(5));
    for n in 0..40 {
        let job = world.enqueue(task(&n.to_string())).await;
        if n % 20 == 0 {
            until(&world, &job.id, JobState::Succeeded).await;
        }
    }
    let last = world.enqueue(task("last")).await;
    until(&world, &last.id, JobState::Succeeded).await;
    let all = async {
        while count.load(Ordering::SeqCst) < 41 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), all).await.unwrap();
    stop.send(()).unwrap();
    serving.await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 41);
}

async fn what_runs_when_the_worker_ends_is_given_back(world: World) {
    let hangs = act(|_, _| Box::pin(std::future::pending()));
    let job = world.enqueue(task("a")).await;
    let settings = WorkerSettings { poll: Duration::from_millis(100), ..Default::default() };
    let (stop, serving) = serve(&world, &hangs, settings, Announcements::none(), Duration::from_millis(200));
    until(&world, &job.id, JobState::Running).await;
    stop.send(()).unwrap();
    serving.await.unwrap();
    let details = world.job(&job.id).await;
    assert_eq!((details.state, details.attempt, details.uncounted), (JobState::Queued, 1, 1));
    assert_eq!(world.work(&counting(&Arc::default())).await, 1, "at once");
    assert_eq!(world.jobs.stats(&world.system()).await.unwrap().workers, []);
}

#[tokio::test]
async fn an_announced_job_does_not_wait_for_the_next_look() {
    let world = World::on(Backend::Sqlite).await;
    let (announcer, announcements) = local_announcements();
    let outbox = Outbox::new(world.db.ambient().clone(), Payloads::unsealed(), Arc::new(announcer));
    let count = Arc::new(AtomicUsize::new(0));
    let settings = WorkerSettings { poll: Duration::from_secs(3_600), ..Default::default() };
    let (stop, serving) = serve(&world, &counting(&count), settings, announcements, Duration::from_secs(5));
    sleep(Duration::from_millis(200)).await; // its first look is over
    let (kernel, outbox, job) = (world.store.identity.kernel(), &outbox, &task("a"));
    let enqueued =
        kernel.transact(&world.system(), |tx| async move { outbox.enqueue(&tx, job).await }).await.unwrap();
    until(&world, &enqueued.id, JobState::Succeeded).await;
    // Presence shows once a worker has looked around.
    assert_eq!(world.jobs.stats(&world.system()).await.unwrap().workers.len(), 1);
    stop.send(()).unwrap();
    serving.await.unwrap();
}

/// Urgent jobs do not wait for others that were there before.
#[tokio::test]
async fn an_urgent_job_overtakes_others() {
    let world = World::on(Backend::Sqlite).await;
    for n in 0..200 {
        world.enqueue(task(&n.to_string())).await;
    }
    let urgent = world.enqueue(Call { name: "urgent".to_owned() }).await;
    let before = Arc::new(AtomicUsize::new(0));
    let counts: Act = {
        let before = before.clone();
        act(move |name, _| {
            let so_far = before.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move { if name == "urgent" { Done::with(so_far) } else { Ok(Done::new()) } })
        })
    };
    world.work(&counts).await;
    let overtaken_by = world.job(&urgent.id).await.result.unwrap().as_u64().unwrap();
    assert!(overtaken_by < 16, "{overtaken_by} jobs ran before");
}
