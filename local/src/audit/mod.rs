//! Commands of an operator for the audit log, and the anchors that the server writes.

mod anchors;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;
use switchyard_identity::Identity;
use switchyard_kernel::{Actor, AuditBreak, Context};
use switchyard_program::Program;

use anchors::Anchors;
pub(crate) use anchors::{AnchorSettings, write_regularly};

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Write an anchor: the ends of all chains, signed, as a line of JSON.
    Anchor {
        /// The file to append it to. The default is `AUDIT_ANCHOR_FILE`; if that is not set, it goes to standard output.
        #[arg(long)]
        file: Option<PathBuf>,
    },
    /// Verify the whole log, and hold it against the last anchor.
    Verify {
        /// The file with the anchors. The default is `AUDIT_ANCHOR_FILE`.
        #[arg(long)]
        anchor: Option<PathBuf>,
    },
}

impl Audit {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let of_settings = crate::serve::environment().read(AnchorSettings::read)?.file;
        let Program { identity, .. } = crate::serve::start().await?;
        let context = &identity.context("audit").by(Actor::System);
        match self {
            Self::Anchor { file } => anchor(&identity, context, file.or(of_settings)).await,
            Self::Verify { anchor } => verify(&identity, context, anchor.or(of_settings)).await,
        }
    }
}

async fn anchor(identity: &Identity, context: &Context, file: Option<PathBuf>) -> anyhow::Result<()> {
    let anchor = identity.kernel().audit_log().anchor(context).await?;
    match file {
        Some(file) => Ok(anchors::append(&file, &anchor)?),
        None => Ok(writeln!(io::stdout(), "{}", anchor.to_line())?),
    }
}

async fn verify(identity: &Identity, context: &Context, file: Option<PathBuf>) -> anyhow::Result<()> {
    let log = identity.kernel().audit_log();
    // Read first: what is wrong with them is told even if the log is broken.
    let anchors = file.as_deref().map(|file| read_anchors(identity, file)).transpose()?;
    let verified = log.verify_whole(context).await?;
    if let Some(found) = verified.first_break {
        bail!("the audit log is broken: {}", described(&found));
    }
    println!("The entries of the audit log are intact: {}.", verified.entries);
    let Some(anchors) = anchors else {
        println!("No anchor was given, so this does not show whether the whole log was set back.");
        return Ok(());
    };
    if let Some(last) = &anchors.last {
        if let Some(found) = log.verify_anchor(context, last).await? {
            bail!("the audit log was set back behind the anchor of {}: {}", last.at(), described(&found));
        }
        println!("The log contains everything up to the last anchor, of {}.", last.at());
    }
    match anchors.faults.first() {
        None => Ok(()),
        Some((number, fault)) => {
            let others = anchors.faults.len() - 1;
            bail!("of the anchors line {number} {fault}; {others} other lines are wrong")
        }
    }
}

fn read_anchors(identity: &Identity, file: &Path) -> anyhow::Result<Anchors> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("the anchors in {} cannot be read", file.display()))?;
    let anchors = Anchors::read(&text, |line| identity.kernel().audit_log().read_anchor(line));
    if anchors.last.is_none() && anchors.faults.is_empty() {
        bail!("{} has no anchor", file.display());
    }
    Ok(anchors)
}

fn described(AuditBreak { chain, sequence, reason, .. }: &AuditBreak) -> String {
    format!("entry {sequence} of chain {chain} {}", reason.described())
}
