//! Writes anchors of the audit log to the function's own log, and verifies the audit log. Schedules run it; it answers no
//! requests.
//!
//! Its role may read the audit log and write to one log group. So an attacker who has taken over another function can neither
//! rewrite the anchors nor keep them from being written, and a missing anchor raises an alarm.

use std::io::Write as _;
use std::time::Duration;

use anyhow::bail;
use switchyard_kernel::{Actor, AuditBreak, Context, Kernel};
use switchyard_program::Task;
use switchyard_runtime::Access::{Read, Scan};
use switchyard_runtime::{Function, Metrics, Schedule};

/// What the function declares.
pub const FUNCTION: Function = Function::new("audit", "Anchors and verification of the audit log")
    .schedules(&[
        Schedule { name: ANCHOR, rate: "rate(1 hour)" },
        Schedule { name: VERIFY, rate: "rate(1 day)" },
    ])
    .uses(&[("secret_checks", &[Read]), ("audit_entries", &[Read, Scan]), ("audit_chains", &[Read])])
    .secrets(&["AUDIT_KEY"])
    .keeps_log()
    .timeout(Duration::from_secs(15 * 60)); // the longest that Lambda permits

const ANCHOR: &str = "anchor";
const VERIFY: &str = "verify";

/// Does what schedules say, until Lambda ends the process.
pub async fn serve(task: Task) -> anyhow::Result<()> {
    let Task { runtime, kernel, secrets, .. } = task;
    let metrics = runtime.metrics().clone();
    let run = move |name: String| {
        let (kernel, metrics, secrets) = (kernel.clone(), metrics.clone(), secrets.clone());
        async move {
            secrets.keep_fresh(kernel.db(), kernel.settings().secrets()).await;
            run(&kernel, &metrics, &name).await.map_err(Into::into)
        }
    };
    Ok(runtime.serve_schedules(run).await?)
}

async fn run(kernel: &Kernel, metrics: &Metrics, name: &str) -> anyhow::Result<()> {
    let context = &kernel.context("schedule").by(Actor::System);
    match name {
        ANCHOR => anchor(kernel, context, metrics).await,
        VERIFY => verify(kernel, context, metrics).await,
        _ => bail!("there is no schedule `{name}`"),
    }
}

/// Writes the anchor as a line of its own, whatever `LOG` says: a level of the log must not silence it.
async fn anchor(kernel: &Kernel, context: &Context, metrics: &Metrics) -> anyhow::Result<()> {
    let anchor = kernel.audit_log().anchor(context).await?;
    writeln!(std::io::stdout().lock(), "{}", anchor.to_line())?;
    metrics.count(&[("AuditAnchors", 1)]);
    Ok(())
}

/// A log that is broken is not a failure of the verification: to run it again would not mend the log.
async fn verify(kernel: &Kernel, context: &Context, metrics: &Metrics) -> anyhow::Result<()> {
    let verified = kernel.audit_log().verify_whole(context).await?;
    if let Some(AuditBreak { chain, sequence, reason, .. }) = &verified.first_break {
        tracing::error!(chain, sequence, "the audit log is broken: this entry {}", reason.described());
    }
    metrics.count(&[
        ("AuditLogsIntact", u64::from(verified.valid)),
        ("AuditLogsBroken", u64::from(!verified.valid)),
        ("AuditEntriesVerified", verified.entries),
    ]);
    Ok(())
}
