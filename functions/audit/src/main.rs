//! The function that schedules run, for the audit log.

use switchyard_program::Task;

fn main() -> anyhow::Result<()> {
    switchyard_runtime::block_on(async { switchyard_fn_audit::serve(Task::start().await?).await })
}
