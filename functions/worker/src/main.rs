//! The function that a schedule runs, for jobs.

use switchyard_fn_worker::{FUNCTION, serve};
use switchyard_program::Task;

fn main() -> anyhow::Result<()> {
    switchyard_runtime::block_on(async { serve(Task::start(&FUNCTION).await?).await })
}
