//! When a job runs regularly: at the times of a cron expression in a time zone.

mod catch_up;
mod cron;
mod declared;
pub(crate) mod record;
pub(crate) mod ticking;

pub use catch_up::{CatchUp, Due, MAX_TICKS, Missed};
pub use cron::{CronExpression, CronFault};
pub use declared::{Overlap, Schedule};
