//! The server with the whole API in one process, and commands for its database.

mod admin;
mod alarm;
mod audit;
mod environment_file;
mod first_admin;
mod functions;
mod health;
mod load;
mod new;
mod sample;
mod secrets;
mod serve;
mod settings;
mod tables;
mod worker;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

/// Switchyard: accounts over HTTP, on SQLite, PostgreSQL or DynamoDB (`DATABASE_URL`).
///
/// Settings are environment variables: `switchyard settings` lists them.
#[derive(Debug, Parser)]
#[command(name = "switchyard", version)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API (the default).
    Serve,
    /// List every setting with its meaning and its present value.
    Settings {
        /// Write a table in Markdown, without the values.
        #[arg(long)]
        markdown: bool,
    },
    /// Check that the server which listens on HOST and PORT is ready: exits with 0 if it is, else with 1.
    Health,
    /// Migrate the database's tables to this version, then exit.
    Migrate,
    /// Import accounts from a file. Existing accounts are not changed, so it can be repeated.
    Load {
        /// The file, or `-` for standard input.
        file: PathBuf,
        /// The format of the file. The default follows from the file's extension.
        #[arg(long, value_enum)]
        format: Option<load::Format>,
    },
    /// Create admins, reset passwords, unlock accounts.
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Verify the audit log, and write anchors that show later whether it was set back.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Manage what the database knows about the secrets.
    #[command(subcommand)]
    Secrets(Secrets),
    /// Write sample accounts as NDJSON to standard output, for experiments.
    Sample {
        /// The number of accounts.
        count: u64,
    },
    /// Write the CloudFormation template of the DynamoDB tables to standard output.
    Tables,
    /// Write the functions into the template of the deployment, from what they declare.
    Functions {
        /// The template.
        #[arg(default_value = "template.yaml")]
        template: PathBuf,
    },
    /// Write the code of something new into the workspace.
    #[command(subcommand)]
    New(New),
}

#[derive(Debug, Subcommand)]
enum Secrets {
    /// Permit another secret than the one that the database was used with: one that is lost, or that must not be used any
    /// longer. Without the old `JWT_PRIVATE_KEY` access tokens are no longer valid, without the old `PASSWORD_PEPPER` no
    /// password is right, and without an old `ENCRYPTION_KEY` what it has sealed is lost.
    Forget {
        /// The setting.
        #[arg(value_parser = PossibleValuesParser::new(secrets::FORGETTABLE))]
        name: String,
    },
}

#[derive(Debug, Subcommand)]
enum New {
    /// A domain and a function with routes to list, search, create, read, change and delete things that users own.
    Feature {
        /// What they are called, in the plural, as in `books` or `order-items`.
        name: String,
        /// What one of them is called, if that does not follow from the plural by simple rules.
        #[arg(long)]
        singular: Option<String>,
    },
}

fn main() -> ExitCode {
    if let Err(fault) = environment_file::load() {
        return exit_code(Err(fault));
    }
    let arguments = Arguments::command().after_long_help(settings::help()).get_matches();
    let arguments = Arguments::from_arg_matches(&arguments).unwrap_or_else(|fault| fault.exit());
    let outcome = match arguments.command.unwrap_or(Command::Serve) {
        Command::Serve => switchyard_runtime::block_on(serve::serve()),
        Command::Settings { markdown } => {
            print!("{}", if markdown { settings::table() } else { settings::present() });
            Ok(())
        }
        Command::Health => switchyard_runtime::block_on(health::check()),
        Command::Migrate => switchyard_runtime::block_on(serve::migrate()),
        Command::Load { file, format } => return exit_code(load::load(&file, format)),
        Command::Admin(command) => switchyard_runtime::block_on(command.run()),
        Command::Audit(command) => switchyard_runtime::block_on(command.run()),
        Command::Secrets(Secrets::Forget { name }) => switchyard_runtime::block_on(serve::forget(&name)),
        Command::Sample { count } => sample::write(count, io::stdout().lock()),
        Command::Tables => serve::schema().map(|schema| print!("{}", tables::template(&schema))),
        Command::Functions { template } => {
            serve::schema().and_then(|schema| functions::write(&template, &schema))
        }
        Command::New(New::Feature { name, singular }) => new::feature(&name, singular.as_deref()),
    };
    exit_code(outcome.map(|()| ExitCode::SUCCESS))
}

/// Prints an error with its causes in one line, without a backtrace: an error at this point is usually one of
/// configuration.
fn exit_code(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|fault| {
        eprintln!("switchyard: {fault:#}");
        ExitCode::FAILURE
    })
}
