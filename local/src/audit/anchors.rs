use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context as _;
use switchyard_identity::Identity;
use switchyard_kernel::{Actor, AnchorError, AuditAnchor};
use switchyard_runtime::{Environment, Lifetime};

/// Where and how often the server writes anchors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AnchorSettings {
    /// The file, if they do not go to the log.
    pub(crate) file: Option<PathBuf>,
    /// The time between two of them.
    pub(crate) every: Every,
}

/// The time between two anchors, if there is more than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Every {
    Off,
    Period(Lifetime),
}

impl FromStr for Every {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "off" => Ok(Self::Off),
            _ => text.parse().map(Self::Period).map_err(|_| "must be off, or a duration such as 15m or 1h"),
        }
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Period(period) => period.fmt(f),
        }
    }
}

impl AnchorSettings {
    pub(crate) fn read(environment: &mut Environment) -> Option<Self> {
        let file = environment
            .setting(
                "AUDIT_ANCHOR_FILE",
                "a path",
                "the file to which anchors of the audit log are appended, on a medium that this server cannot rewrite; if it is \
                 not set, the server logs them (level info, message `audit anchor`)",
            )
            .optional();
        let every = environment
            .setting(
                "AUDIT_ANCHOR_EVERY",
                "off, or a duration, as in 15m or 1h",
                "the time between two anchors of the audit log that the server writes",
            )
            .or(Every::Period(Lifetime::hours(1)));
        Some(Self { file: file?, every: every? })
    }
}

/// The anchors of a file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Anchors {
    /// The last that is authentic.
    pub(super) last: Option<AuditAnchor>,
    /// The numbers of the lines that are not, or that contradict the one before, and what is wrong with them.
    pub(super) faults: Vec<(usize, AnchorError)>,
}

impl Anchors {
    /// Reads the anchors of a text, one on each line.
    pub(super) fn read(text: &str, parse: impl Fn(&str) -> Result<AuditAnchor, AnchorError>) -> Self {
        let mut anchors = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            match parse(line) {
                Ok(anchor) => {
                    if let Some(Err(fault)) = anchors.last.as_ref().map(|last| anchor.follows(last)) {
                        anchors.faults.push((number, fault));
                    }
                    anchors.last = Some(anchor);
                }
                Err(fault) => anchors.faults.push((number, fault)),
            }
        }
        anchors
    }
}

/// Appends an anchor to a file. A file that another process is appending to keeps whole lines.
pub(super) fn append(file: &Path, anchor: &AuditAnchor) -> anyhow::Result<()> {
    let line = format!("{}\n", anchor.to_line());
    let write = || OpenOptions::new().append(true).create(true).open(file)?.write_all(line.as_bytes());
    write().with_context(|| format!("the anchor cannot be appended to {}", file.display()))
}

/// Writes anchors as long as the server runs. One that cannot be written is an error in the log, and the next is tried.
pub(crate) async fn write_regularly(identity: Identity, settings: AnchorSettings) {
    let Every::Period(period) = settings.every else { return };
    loop {
        // First the pause: a server that is restarted again and again writes none, but neither does it change much.
        tokio::time::sleep(Duration::from(period)).await;
        let context = identity.context("anchor").by(Actor::System);
        let written = match identity.kernel().audit_log().anchor(&context).await {
            Err(fault) => Err(fault.into()),
            Ok(anchor) => match &settings.file {
                Some(file) => append(file, &anchor),
                None => {
                    tracing::info!(anchor = anchor.to_line(), "audit anchor");
                    Ok(())
                }
            },
        };
        if let Err(fault) = written {
            tracing::error!(cause = format!("{fault:#}"), "no anchor of the audit log could be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_a_duration_or_off() {
        assert_eq!("off".parse(), Ok(Every::Off));
        assert_eq!("15m".parse(), Ok(Every::Period(Lifetime::minutes(15))));
        assert_eq!(Every::Period(Lifetime::hours(1)).to_string(), "1h");
        for text in ["", "never", "0", "1"] {
            assert_eq!(text.parse::<Every>(), Err("must be off, or a duration such as 15m or 1h"), "{text}");
        }
    }
}
