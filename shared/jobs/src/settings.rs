use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use switchyard_settings::{Environment, Lifetime, number_in};

use crate::WorkerSettings;

/// What a server does with jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkerMode {
    /// It answers requests, and runs jobs beside them.
    #[default]
    On,
    /// It answers requests, and leaves jobs to others.
    Off,
    /// It runs jobs, and answers no requests.
    Only,
}

impl fmt::Display for WorkerMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Only => "only",
        })
    }
}

impl FromStr for WorkerMode {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            "only" => Ok(Self::Only),
            _ => Err("must be on, off or only"),
        }
    }
}

/// The settings of the worker of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobsSettings {
    /// Whether it runs jobs.
    pub mode: WorkerMode,
    /// How it does.
    pub worker: WorkerSettings,
}

impl JobsSettings {
    /// Reads the settings; `None` if one is malformed, which `environment` has recorded then. `pays_for_calls` says whether the
    /// database counts each call, as DynamoDB does: then the worker looks for jobs less often, and does not write in batches,
    /// which cost twice as much there.
    pub fn read(environment: &mut Environment, pays_for_calls: bool) -> Option<Self> {
        let mode = environment
            .setting("WORKER", "on, off or only", "whether a server runs jobs; `only` runs nothing else")
            .or(WorkerMode::On);
        let concurrency = environment
            .setting(
                "JOBS_CONCURRENCY",
                "a whole number from 1 to 1000",
                "the number of jobs that run at once",
            )
            .or_with(16, number_in(1..=1_000));
        let poll = environment
            .setting(
                "JOBS_POLL",
                Lifetime::FORM,
                "how often a worker looks for jobs that no request of its own process has stored",
            )
            .with_default_listed_as("1s; 5s on DynamoDB")
            .optional::<Lifetime>();
        let batch = environment
            .setting(
                "JOBS_BATCH",
                "a whole number from 1 to 40",
                "the number of jobs that are claimed, or stored at their end, in one commit",
            )
            .with_default_listed_as("25; 1 on DynamoDB")
            .optional_with(number_in(1..=40));
        let keep = environment
            .setting("JOBS_KEEP", Lifetime::FORM, "how long jobs that succeeded are kept")
            .or(Lifetime::days(7));
        let (default_poll, default_batch) = if pays_for_calls { (5, 1) } else { (1, 25) };
        Some(Self {
            mode: mode?,
            worker: WorkerSettings {
                concurrency: concurrency?,
                poll: poll?.map_or(Duration::from_secs(default_poll), Duration::from),
                batch: batch?.unwrap_or(default_batch),
                keep: keep?.into(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], pays_for_calls: bool) -> Result<JobsSettings, String> {
        let environment = Environment::of(variables.iter().copied());
        let settings = environment.read(|environment| JobsSettings::read(environment, pays_for_calls));
        settings.map_err(|faults| faults.to_string())
    }

    #[test]
    fn a_database_that_counts_calls_is_asked_less_often_and_not_in_batches() {
        let settings = |pays| read(&[], pays).unwrap().worker;
        assert_eq!((settings(false).poll.as_secs(), settings(false).batch), (1, 25));
        assert_eq!((settings(true).poll.as_secs(), settings(true).batch), (5, 1));
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        let faults = read(
            &[
                ("WORKER", "maybe"),
                ("JOBS_CONCURRENCY", "0"),
                ("JOBS_POLL", "soon"),
                ("JOBS_BATCH", "41"),
                ("JOBS_KEEP", "7"),
            ],
            false,
        );
        assert_eq!(
            faults.unwrap_err(),
            "these settings are missing or malformed:\n\
             - WORKER must be on, off or only\n\
             - JOBS_CONCURRENCY must be a whole number from 1 to 1000\n\
             - JOBS_POLL must be a duration such as 90s, 15m, 24h or 30d\n\
             - JOBS_BATCH must be a whole number from 1 to 40\n\
             - JOBS_KEEP must be a duration such as 90s, 15m, 24h or 30d"
        );
    }
}
