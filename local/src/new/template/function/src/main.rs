//! The function behind `/api/v1/books`.

use switchyard_program::Program;

fn main() -> anyhow::Result<()> {
    switchyard_runtime::block_on(async {
        let program = Program::start(&switchyard_fn_books::FUNCTION).await?;
        let router = switchyard_fn_books::router(program.identity.clone());
        Ok(program.serve(router).await?)
    })
}
