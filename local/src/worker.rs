//! The worker of the server: it runs the jobs of all domains.

use switchyard_identity::Identity;
use switchyard_jobs::{JobsSettings, Worker, WorkerMode};
use switchyard_runtime::{DatabaseUrl, Environment, Metrics};

/// Reads the settings of the worker.
pub(crate) fn read_settings(
    environment: &mut Environment,
    database: Option<&DatabaseUrl>,
) -> Option<JobsSettings> {
    JobsSettings::read(environment, matches!(database, Some(DatabaseUrl::DynamoDb(_))))
}

/// The worker, unless the settings say that this server has none.
pub(crate) fn new(settings: &JobsSettings, identity: &Identity, metrics: &Metrics) -> Option<Worker> {
    if settings.mode == WorkerMode::Off {
        return None;
    }
    let db = identity.kernel().db().clone();
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let outbox = identity.outbox().clone();
    let registry = switchyard_fn_worker::registry(&db, &outbox);
    let worker = Worker::new(db, outbox, registry, settings.worker.clone(), &host, metrics.job_observer());
    tracing::info!(worker = worker.id(), "running jobs");
    Some(worker)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use switchyard_ambient::Ambient;
    use switchyard_database::{Db, Memory};
    use switchyard_identity::testing;

    #[test]
    fn there_is_a_handler_for_each_declared_kind() {
        let ambient = Ambient::system();
        let db = Db::new(Arc::new(Memory::new(ambient.clone())), ambient);
        let identity =
            switchyard_program::assemble(db.clone(), testing::kernel_settings(), testing::settings());
        let mut declared: Vec<_> =
            switchyard_domains::JOBS.iter().copied().flatten().map(|job| job.kind).collect();
        declared.sort_unstable();
        assert!(declared.len() > 1, "kinds are declared");
        assert_eq!(
            switchyard_fn_worker::registry(&db, identity.outbox()).kinds().collect::<Vec<_>>(),
            declared
        );
    }
}
