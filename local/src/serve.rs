//! The server: every route group in one process.

use std::sync::Arc;

use switchyard_ambient::Ambient;
use switchyard_database::Schema;
use switchyard_jobs::WorkerMode;
use switchyard_kernel::forget_secret;
use switchyard_program::Program;
use switchyard_runtime::{Environment, LogFormat, Runtime, Settings, Stopped};

use crate::audit::{self, AnchorSettings};
use crate::{first_admin, secrets, worker};

/// The folder for the database unless `DATABASE_URL` names another.
pub(crate) const DATA: &str = "data";

/// Starts the program. All settings have defaults.
pub(crate) async fn start() -> anyhow::Result<Program> {
    Ok(secrets::start(&Ambient::system()).await?.with_first_admin().await?)
}

/// The environment of the process, with the default database of the server.
pub(crate) fn environment() -> Environment {
    Environment::of_process().with_default("DATABASE_URL", &format!("sqlite:{DATA}/switchyard.db"))
}

/// Serves the API until Ctrl-C or SIGTERM.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let program = start().await?;
    let Program { runtime, identity, .. } = &program;
    let settings = runtime.settings();
    // Lines for people would break a log of JSON lines.
    let is_for_people = settings.log.format() == LogFormat::Text;
    let database = settings.database_url.backend();
    let folder = secrets::folder(&settings.database_url);
    let admin = first_admin::create(identity, &folder, is_for_people).await?;
    let router = switchyard_local::router(runtime.db(), runtime.metrics(), identity);
    let router = program.with_fresh_secrets(router);
    let Program { runtime, identity, announcements, .. } = program;
    let show_admin = || match &admin {
        Some(admin) if is_for_people => print!("{admin}"),
        Some(admin) => admin.log(),
        None => {}
    };
    let mut is_greeted = false;
    let greet = |address: std::net::SocketAddr| {
        if is_for_people {
            let base = format!("http://{address}");
            println!("Switchyard {}", env!("CARGO_PKG_VERSION"));
            println!("  API       {base}/api/v1");
            println!("  Docs      {base}/docs");
            println!("  Database  {database}");
        }
        show_admin();
        is_greeted = true;
    };
    let (database, grace) = (&runtime.settings().database_url, runtime.settings().shutdown_timeout);
    let (anchors, jobs) = environment().read(|environment| {
        let anchors = AnchorSettings::read(environment);
        let jobs = worker::read_settings(environment, Some(database));
        Some((anchors?, jobs?))
    })?;
    let anchoring = tokio::spawn(audit::write_regularly(identity.clone(), anchors));
    let worker = worker::new(&jobs, &identity, runtime.metrics());
    let work = |stopped: Stopped| async move {
        if let Some(worker) = worker {
            worker.serve(announcements, stopped.wait(), grace).await;
        }
    };
    let served = match jobs.mode {
        WorkerMode::Only => runtime.work_alone(work).await,
        WorkerMode::On | WorkerMode::Off => {
            runtime.serve_beside(router, Arc::new(identity), greet, work).await
        }
    };
    anchoring.abort();
    if !is_greeted {
        show_admin(); // the server could not listen, but the admin was created and will not be created again
    }
    Ok(served?)
}

/// Migrates the tables to this version, and creates the first admin if the settings name one. Every start of
/// the server does the same.
pub(crate) async fn migrate() -> anyhow::Result<()> {
    let Program { runtime, identity, .. } = start().await?;
    println!("The tables on {} are up to date.", runtime.settings().database_url.backend());
    if identity.settings().first_admin.is_some() {
        println!("There is an admin.");
    }
    Ok(())
}

/// Removes the check value of a secret, so that the next start may bring another one.
pub(crate) async fn forget(setting: &str) -> anyhow::Result<()> {
    let runtime = Runtime::start(environment().read(Settings::read)?).await?;
    let database = runtime.settings().database_url.backend();
    if forget_secret(runtime.db(), setting).await? {
        println!("The next start may bring another {setting}.");
    } else {
        println!("The database on {database} knows no {setting}; the next start may bring any.");
    }
    Ok(())
}

/// All collections of the project.
pub(crate) fn schema() -> anyhow::Result<Schema> {
    Ok(Schema::new(switchyard_program::collections())?)
}
