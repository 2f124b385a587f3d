use deserr::Deserr;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Priority;

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Deserr, ToSchema)]
#[serde(rename_all = "lowercase")]
#[deserr(rename_all = lowercase)]
pub enum JobState {
    /// It waits to be run.
    Queued,
    /// It waits to be run again, or was put off.
    Retrying,
    /// A worker has it.
    Running,
    /// It is done.
    Succeeded,
    /// It failed for good. It can be retried by hand.
    Dead,
    /// Somebody cancelled it.
    Cancelled,
}

impl JobState {
    /// Every state.
    pub const ALL: [Self; 6] =
        [Self::Queued, Self::Retrying, Self::Running, Self::Succeeded, Self::Dead, Self::Cancelled];

    /// The name in the API and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Retrying => "retrying",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing happens to the job any more by itself.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Dead | Self::Cancelled)
    }

    /// Whether the job waits to be run.
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Queued | Self::Retrying)
    }

    /// Whether a job in this state may get into another one.
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            // Put off: while its provider is down, or because no worker knows its kind.
            Self::Queued => matches!(next, Self::Running | Self::Retrying | Self::Cancelled | Self::Dead),
            Self::Retrying => !matches!(next, Self::Succeeded),
            // Another worker takes over what a worker that died has left.
            Self::Running => true,
            Self::Dead => matches!(next, Self::Queued | Self::Cancelled),
            Self::Cancelled => matches!(next, Self::Queued),
            Self::Succeeded => false,
        }
    }

    /// The lanes of the index that jobs in this state are in.
    pub(crate) const fn lanes(self) -> std::ops::RangeInclusive<i64> {
        match self {
            Self::Queued => 0..=2,
            Self::Retrying => 3..=3,
            Self::Running => 4..=4,
            Self::Succeeded => 5..=5,
            Self::Dead => 6..=6,
            Self::Cancelled => 7..=7,
        }
    }

    /// The lane of a job in this state.
    pub(crate) const fn lane(self, priority: Priority) -> i64 {
        match (self, priority) {
            (Self::Queued, Priority::Normal) => 1,
            (Self::Queued, Priority::Bulk) => 2,
            _ => *self.lanes().start(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_lane_belongs_to_one_state_and_each_state_to_a_lane_of_its_own() {
        let lanes: Vec<i64> = JobState::ALL.into_iter().flat_map(JobState::lanes).collect();
        assert_eq!(lanes, [0, 1, 2, 3, 4, 5, 6, 7]);
        let queued = [Priority::Urgent, Priority::Normal, Priority::Bulk].map(|p| JobState::Queued.lane(p));
        assert_eq!(queued, [0, 1, 2]);
        for state in JobState::ALL {
            assert!(state.lanes().contains(&state.lane(Priority::Bulk)), "{state:?}");
        }
    }

    #[test]
    fn what_is_final_leaves_its_state_only_by_hand() {
        let next = |state: JobState| -> Vec<_> {
            JobState::ALL.into_iter().filter(|&next| state.may_become(next)).collect()
        };
        assert_eq!(next(JobState::Succeeded), []);
        assert_eq!(next(JobState::Dead), [JobState::Queued, JobState::Cancelled]);
        assert_eq!(next(JobState::Cancelled), [JobState::Queued]);
    }
}
