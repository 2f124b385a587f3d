//! The server: every route group in one process.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use switchyard_ambient::Ambient;
use switchyard_database::Schema;
use switchyard_identity::{Identity, LocalSecrets};
use switchyard_kernel::Actor;
use switchyard_program::Program;
use switchyard_runtime::Environment;

/// The folder for the secrets that the server creates, and for the database unless `DATABASE_URL` names
/// another.
const DATA: &str = "data";
/// The address of the admin that is created if there is none and `ADMIN_EMAIL` is not set.
const ADMIN: &str = "admin@localhost";

/// Starts the program. All settings have defaults.
pub(crate) async fn start() -> anyhow::Result<Program> {
    let program = Program::start_with(environment()?, Ambient::system(), |database| database).await?;
    Ok(program.with_first_admin().await?)
}

fn environment() -> anyhow::Result<Environment> {
    let mut environment =
        Environment::of_process().with_default("DATABASE_URL", &format!("sqlite:{DATA}/switchyard.db"));
    if LocalSecrets::SETTINGS.iter().any(|name| environment.text(name).is_none()) {
        let secrets = LocalSecrets::load_or_create(Path::new(DATA), &Ambient::system())?;
        for (name, secret) in secrets.iter() {
            environment = environment.with_default(name, secret);
        }
    }
    Ok(environment)
}

/// Serves the API until Ctrl-C or SIGTERM.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let Program { runtime, identity } = start().await?;
    let mut admin = create_admin(&identity).await.context("the first admin cannot be created")?;
    let router = switchyard_local::router(runtime.db(), runtime.metrics(), &identity);
    let database = runtime.settings().database_url.backend();
    let greet = |address: std::net::SocketAddr| {
        let base = format!("http://{address}");
        println!("Switchyard {}", env!("CARGO_PKG_VERSION"));
        println!("  API       {base}/api/v1");
        println!("  Docs      {base}/docs");
        println!("  Database  {database}");
        show(admin.take());
    };
    let served = runtime.serve_greeting(router, Arc::new(identity), greet).await;
    // If the server could not listen, the admin was created all the same and will not be created again.
    show(admin.take());
    Ok(served?)
}

fn show(admin: Option<(String, String)>) {
    if let Some((email, password)) = admin {
        println!("  Admin     {email}");
        println!("  Password  {password}   (made now, and shown this once)");
    }
}

/// Creates an admin with a random password if there is no admin and the settings do not name one. Returns their
/// address and password, to show them.
async fn create_admin(identity: &Identity) -> anyhow::Result<Option<(String, String)>> {
    if identity.settings().first_admin.is_some() {
        return Ok(None);
    }
    let context = identity.context("start").by(Actor::System);
    let created = identity.accounts().create_first_admin(&context, &ADMIN.parse()?).await?;
    Ok(created.map(|(_, password)| (ADMIN.to_owned(), password.expose().to_owned())))
}

/// Migrates the tables to this version, and creates the first admin if the settings name one. Every start of
/// the server does the same.
pub(crate) async fn migrate() -> anyhow::Result<()> {
    let Program { runtime, identity } = start().await?;
    println!("The tables on {} are up to date.", runtime.settings().database_url.backend());
    if identity.settings().first_admin.is_some() {
        println!("There is an admin.");
    }
    Ok(())
}

/// All collections of the project.
pub(crate) fn schema() -> anyhow::Result<Schema> {
    Ok(Schema::new(switchyard_program::collections())?)
}
