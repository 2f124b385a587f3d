//! The function behind `/api/v1/users`, `/api/v1/roles`, `/api/v1/permissions` and `/api/v1/audit-logs`.

use switchyard_program::Program;

fn main() -> anyhow::Result<()> {
    switchyard_runtime::block_on(async {
        let program = Program::start(&switchyard_fn_users::FUNCTION).await?;
        let router = switchyard_fn_users::router(program.identity.clone());
        Ok(program.serve(router).await?)
    })
}
