//! The function behind `/api/v1/auth` and `/.well-known`, without what is of the function `accounts`.

use switchyard_program::Program;

fn main() -> anyhow::Result<()> {
    switchyard_runtime::block_on(async {
        let program = Program::start(&switchyard_fn_auth::FUNCTION).await?;
        let router = switchyard_fn_auth::router(program.identity.clone());
        Ok(program.serve(router).await?)
    })
}
