//! What this executable is when the test starts it again: the server, or one of the functions.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use switchyard_ambient::Ambient;
use switchyard_database::Database;
use switchyard_kernel::NoAuthenticator;
use switchyard_local::{CreateRouter, FUNCTIONS, SCHEDULED};
use switchyard_program::{ALL_SECRETS, Program, Task};
use switchyard_runtime::{Environment, Function};

use crate::recording::Recorded;
use crate::steering;

/// The variable that says which program to be: [`SERVER`], or a function by its name.
pub(crate) const ROLE: &str = "SAME_BYTES_ROLE";
/// The variable that names the file that steers clock and randomness.
pub(crate) const STEERED_BY: &str = "SAME_BYTES_STEERED_BY";
/// The variable that names the folder in which functions record how they use collections.
pub(crate) const RECORDED_IN: &str = "SAME_BYTES_RECORDED_IN";
/// The role of the server.
pub(crate) const SERVER: &str = "server";

/// Is that program until it is told to end.
pub(crate) fn run(role: &str) -> anyhow::Result<()> {
    let ambient = steering::ambient(Path::new(&variable(STEERED_BY)?));
    switchyard_runtime::block_on(async {
        if role == SERVER {
            return serve_all(ambient).await;
        }
        if let Some((function, serve)) = SCHEDULED.iter().find(|(function, _)| function.name == role) {
            let record = recorded(function)?;
            let task = Task::start_with(Environment::of_process(), function.secrets, ambient, record).await?;
            return serve(task).await;
        }
        let function = FUNCTIONS.iter().find(|(function, _)| function.name == role);
        let (function, create_router) = function.with_context(|| format!("there is no function {role}"))?;
        serve_function(function, *create_router, ambient).await
    })
}

fn variable(name: &str) -> anyhow::Result<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).with_context(|| format!("the test sets {name}"))
}

async fn serve_all(ambient: Ambient) -> anyhow::Result<()> {
    let program =
        Program::start_with(Environment::of_process(), &ALL_SECRETS, ambient, |database| database).await?;
    let program = program.with_first_admin().await?;
    let router = switchyard_local::router(program.runtime.db(), program.runtime.metrics(), &program.identity);
    Ok(program.serve(router).await?)
}

/// Wraps the database of a function so that its calls are recorded.
fn recorded(function: &Function) -> anyhow::Result<impl FnOnce(Arc<dyn Database>) -> Arc<dyn Database>> {
    let file = variable(RECORDED_IN)?.join(function.name);
    Ok(|database| Arc::new(Recorded::new(database, file)) as _)
}

async fn serve_function(
    function: &Function,
    create_router: CreateRouter,
    ambient: Ambient,
) -> anyhow::Result<()> {
    let record = recorded(function)?;
    if !function.knows_users() {
        // Such a function has no secrets to compare with those of the database.
        let Program { runtime, identity, .. } =
            Program::open(Environment::of_process(), &[], ambient, record).await?;
        let router = create_router(runtime.db(), runtime.metrics(), &identity);
        return Ok(runtime.serve(router, Arc::new(NoAuthenticator)).await?);
    }
    let program = Program::start_with(Environment::of_process(), function.secrets, ambient, record).await?;
    let router = create_router(program.runtime.db(), program.runtime.metrics(), &program.identity);
    Ok(program.serve(router).await?)
}
