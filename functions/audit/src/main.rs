//! The function that schedules run, for the audit log.

use switchyard_fn_audit::{FUNCTION, serve};
use switchyard_program::Task;

fn main() -> anyhow::Result<()> {
    switchyard_runtime::block_on(async { serve(Task::start(&FUNCTION).await?).await })
}
