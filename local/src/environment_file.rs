//! The file `.env` in the current folder, with variables for development.

use std::path::Path;

use anyhow::{Context as _, bail};

const FILE: &str = ".env";

/// Adds the variables of the file to those of the process, which win. Call it before any thread starts: a process has only
/// one environment, which the AWS SDK reads too.
///
/// # Errors
///
/// If the file cannot be read. The message never repeats a line, which may contain a secret.
pub(crate) fn load() -> anyhow::Result<()> {
    let entries = match dotenvy::from_path_iter(Path::new(FILE)) {
        Ok(entries) => entries,
        Err(fault) if fault.not_found() => return Ok(()),
        Err(_) => bail!("the file {FILE} cannot be read; make it readable, or move it away"),
    };
    let mut last = "the beginning".to_owned();
    for entry in entries {
        match entry {
            Ok((name, _)) => last = name,
            Err(_) => bail!(
                "the file {FILE} has a malformed line after {last}: write NAME=value, and put a value with spaces or # in \
                 single quotes"
            ),
        }
    }
    dotenvy::from_path(FILE).map(drop).with_context(|| format!("the file {FILE} cannot be read"))
}
