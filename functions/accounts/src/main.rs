//! The function behind the routes of accounts.

use switchyard_program::Program;

fn main() -> anyhow::Result<()> {
    switchyard_runtime::block_on(async {
        let program = Program::start(&switchyard_fn_accounts::FUNCTION).await?.with_first_admin().await?;
        let router = switchyard_fn_accounts::router(program.identity.clone());
        Ok(program.serve(router).await?)
    })
}
