//! The function behind the routes of jobs and their administration.

use switchyard_program::Program;

fn main() -> anyhow::Result<()> {
    switchyard_runtime::block_on(async {
        let program = Program::start(&switchyard_fn_admin::FUNCTION).await?;
        let router = switchyard_fn_admin::router(program.jobs());
        Ok(program.serve(router).await?)
    })
}
