//! What this executable is when the test starts it anew: the server, or one of the functions.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use switchyard_ambient::Ambient;
use switchyard_kernel::NoAuthenticator;
use switchyard_program::Program;
use switchyard_runtime::{Environment, Runtime, Settings};

use crate::steering;

/// The variable that says which program to be: [`SERVER`], or a function by its name in the template.
pub(crate) const ROLE: &str = "SAME_BYTES_ROLE";
/// The variable that names the file that steers clock and randomness.
pub(crate) const STEERED_BY: &str = "SAME_BYTES_STEERED_BY";
/// The role of the server.
pub(crate) const SERVER: &str = "Server";

/// Is that program until it is told to end.
pub(crate) fn run(role: &str) -> anyhow::Result<()> {
    let path = std::env::var_os(STEERED_BY).context("the test says what steers")?;
    let ambient = steering::ambient(Path::new(&path));
    switchyard_runtime::block_on(async {
        match role {
            "System" => serve_system(ambient).await,
            _ => serve_users_of(role, ambient).await,
        }
    })
}

async fn serve_users_of(role: &str, ambient: Ambient) -> anyhow::Result<()> {
    let program = Program::start_with(Environment::of_process(), ambient).await?.with_first_admin().await?;
    let identity = program.identity.clone();
    let router = match role {
        SERVER => switchyard_local::router(program.runtime.db(), program.runtime.metrics(), &identity),
        "Auth" => switchyard_fn_auth::router(identity),
        "Users" => switchyard_fn_users::router(identity),
        _ => bail!("there is no program {role}"),
    };
    Ok(program.serve(router).await?)
}

async fn serve_system(ambient: Ambient) -> anyhow::Result<()> {
    let settings = Environment::of_process().read(Settings::read)?;
    let runtime = Runtime::start_with(settings, ambient).await?;
    let router = switchyard_fn_system::router(runtime.db().clone(), runtime.metrics().clone());
    Ok(runtime.serve(router, Arc::new(NoAuthenticator)).await?)
}
