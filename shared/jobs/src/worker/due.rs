//! Which jobs are due, and in which order they are taken.

use std::collections::VecDeque;

use futures::future::try_join_all;
use switchyard_ambient::Timestamp;
use switchyard_database::limits::MAX_PAGE;
use switchyard_database::{Db, Entity as _, Error, Query, Stored, TypedPage};

use crate::record::{CLOCK_SKEW, JobRecord};

/// The lanes of jobs that may be due, the most urgent first: urgent, what a worker that died has left, retrying, normal, bulk.
const LANES: [i64; 5] = [0, RUNNING, 3, 1, 2];
const RUNNING: i64 = 4;

/// How many jobs are looked at for each one that could be taken: others may take the first ones meanwhile.
const LOOKED_AT: usize = 4;

/// Jobs that are due.
#[derive(Debug)]
pub(crate) struct Due {
    /// The jobs, in the order in which they are to be taken.
    pub(crate) jobs: Vec<Stored<JobRecord>>,
    /// Whether there may be more.
    pub(crate) has_more: bool,
}

/// Finds jobs for `free` places.
pub(crate) async fn due(db: &Db, free: usize, now: Timestamp) -> Result<Due, Error> {
    let limit = u32::try_from(free.saturating_mul(LOOKED_AT)).unwrap_or(MAX_PAGE).clamp(1, MAX_PAGE);
    let lanes = LANES.map(|lane| {
        let until = if lane == RUNNING { now - CLOCK_SKEW } else { now };
        let query = Query::new(JobRecord::COLLECTION, JobRecord::BY_PLACE)
            .at_least([lane])
            .at_most([lane, until.as_micros()])
            .limit(limit);
        async move { db.collection::<JobRecord>().query(&query).await }
    });
    let pages = try_join_all(lanes).await?;
    let has_more = pages.iter().any(|page| page.next.is_some());
    // A document may be newer than the entry of the index under which it was found.
    let due = |page: TypedPage<JobRecord>| page.items.into_iter().filter(|job| job.is_due(now)).collect();
    let lanes = pages.into_iter().map(due).collect();
    Ok(Due { jobs: in_order(lanes, |job| job.at), has_more })
}

/// Takes jobs from lanes that are ordered by urgency, and each by time: in turns the one that has been due for longest, and
/// the first of the most urgent lane. So urgent jobs do not wait for others, and no lane waits forever.
fn in_order<T>(lanes: Vec<Vec<T>>, due_at: impl Fn(&T) -> Timestamp) -> Vec<T> {
    let count = lanes.iter().map(Vec::len).sum();
    let mut lanes: Vec<VecDeque<T>> = lanes.into_iter().map(VecDeque::from).collect();
    let mut jobs = Vec::with_capacity(count);
    let mut takes_longest = false;
    while jobs.len() < count {
        let lane = if takes_longest {
            let filled = lanes.iter_mut().filter(|lane| !lane.is_empty());
            filled.min_by_key(|lane| lane.front().map(&due_at))
        } else {
            lanes.iter_mut().find(|lane| !lane.is_empty())
        };
        jobs.extend(lane.and_then(VecDeque::pop_front));
        takes_longest = !takes_longest;
    }
    jobs
}

/// The same jobs, beginning somewhere in the first half by chance, if there are more than are needed. Workers that look at
/// the same jobs then do not all try the first one.
pub(crate) fn from_somewhere<T>(mut jobs: Vec<T>, needed: usize, random: u32) -> Vec<T> {
    let spare = jobs.len().saturating_sub(needed);
    if spare > 0 {
        let start = usize::try_from(random).unwrap_or(0) % (spare + 1);
        jobs.rotate_left(start);
    }
    jobs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urgent_jobs_come_first_and_every_second_place_is_for_who_waits_longest() {
        let lane = |name: char, times: std::ops::Range<i64>| -> Vec<(char, i64)> {
            times.map(|time| (name, time)).collect()
        };
        let lanes = vec![lane('u', 90..93), lane('n', 50..52), lane('b', 1..4)];
        let ordered = in_order(lanes, |&(_, time)| Timestamp::from_micros(time));
        let names: String = ordered.iter().map(|&(name, _)| name).collect();
        assert_eq!(names, "ubububnn");
        assert_eq!(ordered[1], ('b', 1));
    }

    #[test]
    fn workers_begin_at_different_jobs_only_if_there_are_more_than_they_need() {
        assert_eq!(from_somewhere(vec![1, 2, 3], 3, 7), [1, 2, 3]);
        assert_eq!(from_somewhere(vec![1, 2, 3, 4, 5], 2, 2), [3, 4, 5, 1, 2]);
        assert_eq!(from_somewhere(vec![1, 2, 3, 4, 5], 2, 4), [1, 2, 3, 4, 5]);
    }
}
