//! Imports accounts from a file.
//!
//! Accounts whose address already exists are left unchanged, so an interrupted import can be started again. Bad
//! lines are reported on standard error, and the other lines are imported.

mod records;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use indicatif::{ProgressBar, ProgressStyle};
use switchyard_identity::{
    Identity, ImportFault, Imported, InvalidRoleList, NewImportedUser, PasswordHash, RoleList, RoleName,
};
use switchyard_kernel::Actor;
use tokio::sync::mpsc;

pub(crate) use records::Format;
use records::{Line, Record};

use crate::serve::start;

/// The number of accounts in one import call.
const PORTION: usize = 60;
/// The number of concurrent import calls: enough for the database to commit them in groups.
const PORTIONS_AT_ONCE: usize = 16;
/// How often a portion is imported before its failed accounts are reported as refused.
const ATTEMPTS: u32 = 3;

/// Imports the accounts in `file`. The exit code is 0 if no line was refused, else 2.
pub(crate) fn load(file: &Path, format: Option<Format>) -> anyhow::Result<ExitCode> {
    let format = format.map_or_else(|| format_of(file), Ok)?;
    let progress = progress_bar(file)?;
    let input: Box<dyn Read + Send> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(file).with_context(|| format!("cannot open {}", file.display()))?)
    };
    let input = BufReader::with_capacity(256 * 1024, progress.wrap_read(input));
    switchyard_runtime::block_on(async {
        let program = start().await?;
        let started = Instant::now();
        let counts = import(&program.identity, format, input, &progress).await?;
        progress.finish_and_clear();
        eprintln!("{}", counts.summary(started.elapsed().as_secs_f64()));
        anyhow::Ok(counts)
    })
    .map(|counts| if counts.refused == 0 { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

fn format_of(file: &Path) -> anyhow::Result<Format> {
    match file.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => Ok(Format::Csv),
        Some("ndjson" | "jsonl") => Ok(Format::Ndjson),
        _ => bail!("{} ends neither in .ndjson nor in .csv: set the format with --format", file.display()),
    }
}

/// A progress bar that counts bytes. It shows a percentage only for a regular file, whose size is known.
fn progress_bar(file: &Path) -> anyhow::Result<ProgressBar> {
    let known = "{bar:30} {percent:>3} %  {msg}  {elapsed} elapsed, {eta} to go";
    let unknown = "{spinner} {bytes}  {msg}  {elapsed} elapsed";
    let (progress, template) = match std::fs::metadata(file) {
        Ok(about) if about.is_file() => (ProgressBar::new(about.len()), known),
        _ => (ProgressBar::no_length(), unknown),
    };
    Ok(progress.with_style(ProgressStyle::with_template(template)?))
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    imported: u64,
    there_already: u64,
    refused: u64,
}

impl Counts {
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    fn summary(&self, seconds: f64) -> String {
        let Self { imported, there_already, refused } = self;
        let rate = (imported + there_already) as f64 / seconds.max(0.001);
        format!(
            "{imported} imported, {there_already} there already, {refused} refused, in {seconds:.1} s ({rate:.0}/s)"
        )
    }
}

/// Reads lines on a separate thread, so that reading and importing overlap.
async fn import(
    identity: &Identity,
    format: Format,
    input: impl BufRead + Send + 'static,
    progress: &ProgressBar,
) -> anyhow::Result<Counts> {
    let (sender, receiver) = mpsc::channel(PORTIONS_AT_ONCE);
    let reading = tokio::task::spawn_blocking(move || read_portions(format, input, &sender));
    let portions =
        futures::stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
    let mut counts = Counts::default();
    let outcomes = portions.map(|portion| import_portion(identity, portion)).buffered(PORTIONS_AT_ONCE);
    let mut outcomes = std::pin::pin!(outcomes);
    while let Some(outcomes) = outcomes.next().await {
        for (number, outcome) in outcomes {
            match outcome {
                Ok(Imported::Created(_)) => counts.imported += 1,
                Ok(Imported::AlreadyThere) => counts.there_already += 1,
                Err(fault) => {
                    counts.refused += 1;
                    progress.suspend(|| eprintln!("line {number}: {fault}"));
                }
            }
        }
        progress.set_message(format!(
            "{} in, {} refused",
            counts.imported + counts.there_already,
            counts.refused
        ));
    }
    reading.await??;
    Ok(counts)
}

type Portion = Vec<(u64, Result<NewImportedUser, String>)>;

fn read_portions(
    format: Format,
    input: impl BufRead + 'static,
    sender: &mpsc::Sender<Portion>,
) -> anyhow::Result<()> {
    let mut portion = Portion::new();
    for line in records::read(format, input)? {
        let Line { number, record } = line.context("the rest of the file cannot be read")?;
        portion.push((number, record.and_then(account)));
        if portion.len() == PORTION && sender.blocking_send(std::mem::take(&mut portion)).is_err() {
            return Ok(()); // the import failed, and reports the error itself
        }
    }
    let _ = sender.blocking_send(portion);
    Ok(())
}

/// Returns the account that a record describes, or all its faults in one message.
fn account(record: Record) -> Result<NewImportedUser, String> {
    let mut faults = Vec::new();
    let email = noted("email", record.email.try_into(), &mut faults);
    let name = noted("name", record.name.try_into(), &mut faults);
    let roles = noted("roles", roles(record.roles), &mut faults);
    let created_at = noted("created_at", record.created_at.map(|text| text.parse()).transpose(), &mut faults);
    let password_hash = noted(
        "password_hash",
        record.password_hash.as_deref().map(PasswordHash::import).transpose(),
        &mut faults,
    );
    match (email, name, roles, created_at, password_hash) {
        (Some(email), Some(name), Some(roles), Some(created_at), Some(password_hash)) => {
            Ok(NewImportedUser { email, name, roles, password_hash, email_verified: false, created_at })
        }
        _ => Err(faults.join("; ")),
    }
}

fn noted<T, E: ToString>(field: &str, value: Result<T, E>, faults: &mut Vec<String>) -> Option<T> {
    value.map_err(|fault| faults.push(format!("{field} {}", fault.to_string()))).ok()
}

fn roles(names: Vec<String>) -> Result<Option<RoleList>, String> {
    if names.is_empty() {
        return Ok(None);
    }
    let names: Vec<RoleName> = names
        .into_iter()
        .map(RoleName::try_from)
        .collect::<Result<_, _>>()
        .map_err(|fault| fault.to_string())?;
    RoleList::try_from(names).map(Some).map_err(|fault: InvalidRoleList| fault.to_string())
}

async fn import_portion(identity: &Identity, portion: Portion) -> Vec<(u64, Result<Imported, String>)> {
    let mut outcomes = Vec::new();
    let (mut numbers, mut accounts) = (Vec::new(), Vec::new());
    for (number, account) in portion {
        match account {
            Ok(account) => {
                numbers.push(number);
                accounts.push(account);
            }
            Err(fault) => outcomes.push((number, Err(fault))),
        }
    }
    let mut attempt = 1;
    loop {
        let context = identity.context("load").by(Actor::System);
        let results = match identity.users().import(&context, &accounts).await {
            Ok(results) => results,
            Err(fault) => accounts.iter().map(|_| Err(ImportFault::User(fault.clone()))).collect(),
        };
        // If it is unclear whether an account was stored, importing it again resolves that.
        let unclear = results.iter().any(|result| matches!(result, Err(ImportFault::User(_))));
        if !unclear || attempt == ATTEMPTS {
            let results = results.into_iter().map(|result| result.map_err(|fault| fault.to_string()));
            outcomes.extend(numbers.into_iter().zip(results));
            outcomes.sort_by_key(|(number, _)| *number);
            return outcomes;
        }
        attempt += 1;
    }
}
