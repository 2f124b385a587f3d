//! What admins see and do, and who may.

use std::sync::Arc;

use switchyard_database::Error;
use switchyard_harness::store::Backend;
use switchyard_jobs::{
    Cancellation, DeadJobs, JOBS_READ, JOBS_WRITE, Job as _, JobError, JobFilter, JobState, JobsError,
};
use switchyard_kernel::{CommonError, PageRequest, Precondition, Refused};

use crate::world::{Call, Task, World, counting, failing, work};

on_every_backend! {
    dead_jobs_are_retried_one_by_one_and_all_at_once,
    lists_show_a_state_in_its_order,
    statistics_count_states_and_ends,
}

fn task(name: &str) -> Task {
    Task { name: name.to_owned() }
}

fn refused<T>(result: Result<T, JobsError>) -> Option<Refused> {
    match result {
        Err(JobsError::Common(CommonError::Refused(refused))) => Some(refused),
        _ => None,
    }
}

async fn dead_jobs_are_retried_one_by_one_and_all_at_once(world: World) {
    let context = &world.system();
    let mut ids = Vec::new();
    for n in 0..4 {
        ids.push(world.enqueue(task(&n.to_string())).await.id);
    }
    let other = world.enqueue(Call { name: "other".to_owned() }).await.id;
    world.work(&failing(JobError::fatal("NO", "no"))).await;
    world.wait(1);

    let retried = world.jobs.retry(context, &ids[0], &Precondition::None).await.unwrap();
    assert_eq!((retried.state, retried.attempt, retried.uncounted), (JobState::Queued, 1, 1));
    assert_eq!(world.jobs.retry(context, &ids[0], &Precondition::None).await, Err(JobsError::NotRetryable));
    let discarded = world.jobs.discard(context, &ids[1], &Precondition::None).await.unwrap();
    assert_eq!(discarded.state, JobState::Cancelled);
    assert_eq!(
        world.jobs.discard(context, &ids[1], &Precondition::None).await,
        Err(JobsError::NotDiscardable)
    );

    let dead = DeadJobs { kind: Some(Task::KIND.to_owned()), before: world.now() };
    let all = world.jobs.retry_dead(context, &dead).await.unwrap();
    work(&world.administrator()).await;
    let result = world.job(&all.id).await.result;
    assert_eq!(result, Some(serde_json::json!({ "changed": 2 })));
    let mut states = Vec::new();
    for id in ids.iter().chain([&other]) {
        states.push(world.state(id).await.0);
    }
    use JobState::{Cancelled, Dead};
    // The administrator does not know the kind of the first, which waits for a worker that does.
    let waiting: Vec<_> = states.iter().filter(|state| state.is_waiting()).collect();
    assert_eq!(waiting.len(), 3, "{states:?}");
    assert_eq!((states[1], states[4]), (Cancelled, Dead));
    world.wait(120);
    assert_eq!(world.work(&counting(&Arc::default())).await, 3);

    let dead = DeadJobs { kind: None, before: world.now() };
    let all = world.jobs.discard_dead(context, &dead).await.unwrap();
    work(&world.administrator()).await;
    assert_eq!(world.job(&all.id).await.result, Some(serde_json::json!({ "changed": 1 })));
    assert_eq!(world.state(&other).await.0, Cancelled);
}

async fn lists_show_a_state_in_its_order(world: World) {
    let mut ids = Vec::new();
    for n in 0..3 {
        ids.push(world.enqueue(task(&n.to_string())).await.id);
        world.wait(1);
    }
    let urgent = world.enqueue(Call { name: "urgent".to_owned() }).await.id;
    let list = async |filter: JobFilter, limit| {
        let page = world.jobs.list(&world.system(), &filter, &PageRequest::first(limit)).await.unwrap();
        (page.data.into_iter().map(|job| job.id).collect::<Vec<_>>(), page.pagination.has_more)
    };
    let in_state = |state| JobFilter { state: Some(state), ..JobFilter::default() };
    let queued = [&[urgent.clone()][..], &ids].concat();
    assert_eq!(list(in_state(JobState::Queued), 10).await, (queued.clone(), false));
    assert_eq!(list(in_state(JobState::Queued), 2).await, (queued[..2].to_vec(), true));
    let of_kind = JobFilter { kind: Some(Call::KIND.to_owned()), ..JobFilter::default() };
    assert_eq!(list(of_kind, 10).await.0, [urgent]);
    for id in &ids {
        world.jobs.cancel(&world.system(), id, &Precondition::None).await.unwrap();
        world.store.clock.advance(std::time::Duration::from_secs(1));
    }
    ids.reverse();
    assert_eq!(list(in_state(JobState::Cancelled), 10).await.0, ids, "the latest first");
}

async fn statistics_count_states_and_ends(world: World) {
    for n in 0..3 {
        world.enqueue(task(&n.to_string())).await;
    }
    world.work(&counting(&Arc::default())).await;
    world.enqueue(task("fails")).await;
    world.work(&failing(JobError::retry("no"))).await;
    world.enqueue(task("waits")).await;
    world.wait(7);
    let stats = world.jobs.stats(&world.system()).await.unwrap();
    let counts = |state: &str| (stats.states[state].count, stats.states[state].exact);
    assert_eq!(
        ["queued", "retrying", "succeeded", "dead"].map(counts),
        [(1, true), (1, true), (3, true), (0, true)]
    );
    assert!((stats.lag_seconds - 7.0).abs() < f64::EPSILON, "{}", stats.lag_seconds);
    let [of_task] = &stats.kinds[..] else { panic!("{stats:?}") };
    assert_eq!((of_task.succeeded_24h, of_task.failed_24h, of_task.dead_24h), (3, 1, 0));
}

#[tokio::test]
async fn a_job_that_waits_is_cancelled_at_once() {
    let world = World::on(Backend::Sqlite).await;
    let job = world.enqueue(task("a")).await;
    let cancelled = world.jobs.cancel(&world.system(), &job.id, &Precondition::None).await.unwrap();
    let Cancellation::Done(details) = cancelled else { panic!("{cancelled:?}") };
    assert_eq!(details.state, JobState::Cancelled);
    assert_eq!(world.work(&counting(&Arc::default())).await, 0);
    let again = world.jobs.cancel(&world.system(), &job.id, &Precondition::None).await;
    assert_eq!(again, Err(JobsError::Finished));
    world.jobs.retry(&world.system(), &job.id, &Precondition::None).await.unwrap();
    assert_eq!(world.work(&counting(&Arc::default())).await, 1);
}

#[tokio::test]
async fn the_user_who_caused_a_job_sees_its_state_and_strangers_do_not_learn_that_it_exists() {
    let world = World::on(Backend::Sqlite).await;
    let (_, owner) = world.store.user("ada").await;
    let (_, stranger) = world.store.user("grace").await;
    let (_, reader) = world.store.user_with(&[JOBS_READ], "reader").await;
    let (identity, job) = (&world.store.identity, &task("a"));
    let id = identity
        .kernel()
        .transact(&owner, |tx| async move { Ok::<_, Error>(identity.outbox().enqueue(&tx, job).await?.id) })
        .await
        .unwrap();
    assert_eq!(world.jobs.status(&owner, &id).await.unwrap().state, JobState::Queued);
    assert_eq!(world.jobs.status(&reader, &id).await.unwrap().state, JobState::Queued);
    assert_eq!(refused(world.jobs.status(&stranger, &id).await), Some(Refused::NotFound));
    assert_eq!(refused(world.jobs.status(&stranger, "none").await), Some(Refused::NotFound));
    assert_eq!(refused(world.jobs.status(&owner, "none").await), Some(Refused::NotFound));
    assert_eq!(refused(world.jobs.get(&owner, &id).await), Some(Refused::Forbidden));
    assert_eq!(
        refused(world.jobs.list(&owner, &JobFilter::default(), &PageRequest::first(1)).await),
        Some(Refused::Forbidden)
    );
    for context in [&owner, &reader] {
        assert_eq!(
            refused(world.jobs.retry(context, &id, &Precondition::None).await),
            Some(Refused::Forbidden)
        );
        let dead = DeadJobs { kind: None, before: world.now() };
        assert_eq!(refused(world.jobs.retry_dead(context, &dead).await), Some(Refused::Forbidden));
    }
    let (_, writer) = world.store.user_with(&[JOBS_WRITE], "writer").await;
    world.jobs.cancel(&writer, &id, &Precondition::None).await.unwrap();
}
