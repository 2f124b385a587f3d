//! The server: every route group in one process.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use switchyard_ambient::Ambient;
use switchyard_database::Schema;
use switchyard_identity::{Actor, Identity, IdentitySettings, LocalSecrets};
use switchyard_identity_http::AccessTokens;
use switchyard_runtime::{Environment, Runtime, Settings};

/// Where the server keeps what it makes for itself: the database, unless `DATABASE_URL` names another, and secrets.
const DATA: &str = "data";
/// The address of the admin that is made while there is none and `ADMIN_EMAIL` names nobody.
const ADMIN: &str = "admin@localhost";

/// A program of this package: settings, a database with the tables it needs, identity on top.
pub(crate) struct Program {
    /// Settings, logs, metrics, the database.
    pub(crate) runtime: Runtime,
    /// Accounts, sessions, roles and the audit log.
    pub(crate) identity: Identity,
}

impl Program {
    /// Reads the settings, with defaults that need nothing from anybody, opens the database and brings its tables to
    /// what is declared.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let (settings, identity_settings) = read_environment()?;
        let runtime = Runtime::start(settings).await?;
        runtime.migrate(switchyard_identity::COLLECTIONS.iter().copied()).await?;
        let identity = Identity::new(runtime.db().clone(), identity_settings);
        identity.install(runtime.db().ambient().now()).await?;
        Ok(Self { runtime, identity })
    }
}

fn read_environment() -> anyhow::Result<(Settings, IdentitySettings)> {
    let mut environment =
        Environment::of_process().with_default("DATABASE_URL", &format!("sqlite:{DATA}/switchyard.db"));
    if LocalSecrets::SETTINGS.iter().any(|name| environment.text(name).is_none()) {
        let secrets = LocalSecrets::load_or_create(Path::new(DATA), &Ambient::system())?;
        for (name, secret) in secrets.iter() {
            environment = environment.with_default(name, secret);
        }
    }
    Ok(environment.read(|environment| {
        let (settings, identity) = (Settings::read(environment), IdentitySettings::read(environment));
        Some((settings?, identity?))
    })?)
}

/// Serves the API until Ctrl-C or SIGTERM.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let Program { runtime, identity } = Program::start().await?;
    let admin = ensure_admin(&identity).await.context("the first admin cannot be made")?;
    let router = switchyard_local::router(runtime.db(), runtime.metrics(), &identity);
    let access_tokens = AccessTokens::new(identity, runtime.db().ambient().clone());
    let database = runtime.settings().database_url.backend();
    let greet = |address: std::net::SocketAddr| {
        let base = format!("http://{address}");
        println!("Switchyard {}", env!("CARGO_PKG_VERSION"));
        println!("  API       {base}/api/v1");
        println!("  Docs      {base}/docs");
        println!("  Database  {database}");
        if let Some((email, password)) = admin {
            println!("  Admin     {email}");
            println!("  Password  {password}   (made now, and shown this once)");
        }
    };
    Ok(runtime.serve_greeting(router, Arc::new(access_tokens), greet).await?)
}

/// Sees to it that there is an admin: the one that the settings name, else one with a password made up here, which is
/// returned to be shown.
async fn ensure_admin(identity: &Identity) -> anyhow::Result<Option<(String, String)>> {
    let (accounts, context) = (identity.accounts(), identity.context("start").by(Actor::System));
    if let Some(admin) = &identity.settings().first_admin {
        accounts.ensure_first_admin(&context, admin).await?;
        return Ok(None);
    }
    let made = accounts.make_first_admin(&context, &ADMIN.parse()?).await?;
    Ok(made.map(|(_, password)| (ADMIN.to_owned(), password.expose().to_owned())))
}

/// Brings the tables to what this version declares, and makes the first admin where the settings name one.
pub(crate) async fn migrate() -> anyhow::Result<()> {
    let Program { runtime, identity } = Program::start().await?;
    println!("The tables on {} are up to date.", runtime.settings().database_url.backend());
    if identity.settings().first_admin.is_some() {
        ensure_admin(&identity).await.context("the first admin cannot be made")?;
        println!("There is an admin.");
    }
    Ok(())
}

/// All collections of the project.
pub(crate) fn schema() -> anyhow::Result<Schema> {
    let collections = switchyard_identity::COLLECTIONS.iter().copied().chain(switchyard_api::COLLECTIONS);
    Ok(Schema::new(collections)?)
}
