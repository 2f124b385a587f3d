//! The secrets of the server: from the environment, from files that it makes for itself, or from Secrets Manager.

use std::path::{Path, PathBuf};

use anyhow::bail;
use switchyard_ambient::Ambient;
use switchyard_identity::{InstallError, LocalSecrets};
use switchyard_program::{ALL_SECRETS, Program, SecretSource, read_secrets_ttl};
use switchyard_runtime::{DatabaseUrl, Environment};

use crate::audit::AnchorSettings;

/// The secrets that a new one may replace although the old one is lost. Not the key of the audit log: what it covers could
/// never be verified again.
pub(crate) const FORGETTABLE: [&str; 4] =
    ["JWT_PRIVATE_KEY", "PASSWORD_PEPPER", "SIGN_IN_KEY", "ENCRYPTION_KEY"];

/// The source for a database if `SECRETS` is not set. The secrets of an embedded database are in the folder of its file, so
/// that one backup has both. The secrets of a database server belong to all instances that use it.
fn default_for(database: &DatabaseUrl) -> SecretSource {
    match database {
        DatabaseUrl::SqliteMemory => SecretSource::Files(crate::serve::DATA.into()),
        DatabaseUrl::Sqlite(file) => {
            let folder = file.parent().filter(|folder| *folder != Path::new(""));
            SecretSource::Files(folder.unwrap_or(Path::new(".")).to_owned())
        }
        DatabaseUrl::Postgres(_) | DatabaseUrl::DynamoDb(_) => SecretSource::Environment,
    }
}

/// The folder for what the server stores in files of its own.
pub(crate) fn folder(database: &DatabaseUrl) -> PathBuf {
    let source = crate::serve::environment().text("SECRETS").and_then(|source| source.parse().ok());
    match source.unwrap_or_else(|| default_for(database)) {
        SecretSource::Files(folder) => folder,
        SecretSource::Environment | SecretSource::SecretsManager(_) => crate::serve::DATA.into(),
    }
}

/// Starts the program with the secrets of the environment and of `SECRETS`. Secrets that are missing are made, if the database
/// does not know them, and stored only when everything else is in order.
///
/// # Errors
///
/// If the settings are wrong, the database cannot be used, or it was used with other secrets.
pub(crate) async fn start(ambient: &Ambient) -> anyhow::Result<Program> {
    loop {
        let (environment, mut secrets) = environment_with_secrets(ambient)?;
        let program = Program::open(environment, &ALL_SECRETS, ambient.clone(), |database| database).await?;
        program.migrate().await?;
        if let Some(other) = program.identity.other_secret().await? {
            let Some(file) = secrets.missing_file(other.setting) else {
                bail!(InstallError::from(other));
            };
            if file.exists() {
                continue; // another process has just made it
            }
            let (name, file) = (other.setting, file.display());
            let hint = if FORGETTABLE.contains(&name) {
                format!("; if it is lost for good, `switchyard secrets forget {name}` permits a new one")
            } else {
                String::new()
            };
            bail!("{file} with the {name} of this database is missing: restore it from its backup{hint}");
        }
        if secrets.keep(ambient)? {
            program.identity.install(ambient.now()).await?;
            return Ok(program);
        }
    }
}

/// Reads the settings of the secrets, for a list of all settings.
pub(crate) fn read_source(environment: &mut Environment) {
    let database = environment.text("DATABASE_URL").and_then(|url| url.parse().ok());
    let default = default_for(&database.unwrap_or(DatabaseUrl::SqliteMemory));
    let _ = SecretSource::read(environment, default);
    let _ = read_secrets_ttl(environment);
}

/// The environment, completed with secrets from files.
fn environment_with_secrets(ambient: &Ambient) -> anyhow::Result<(Environment, LocalSecrets)> {
    let mut environment = crate::serve::environment();
    // A malformed URL is reported together with all other faults when the settings are read. Until then, secrets that are
    // made and not stored stand in for those of the database.
    let database = environment.text("DATABASE_URL").and_then(|url| url.parse().ok());
    let default = default_for(&database.unwrap_or(DatabaseUrl::SqliteMemory));
    let is_missing = |environment: &Environment, name: &str| environment.text(name).is_none();
    let missing: Vec<_> =
        LocalSecrets::SETTINGS.into_iter().filter(|name| is_missing(&environment, name)).collect();
    let source = SecretSource::read(&mut environment, default);
    // Their faults are told with all others, although they are used later.
    let _ = AnchorSettings::read(&mut environment);
    let folder = match source {
        Some(SecretSource::Environment) if !missing.is_empty() => {
            environment.fault(
                "SECRETS",
                "does not say where this server finds its secrets: set the variables below, or SECRETS=file:data to have \
                 it make secrets of its own in the folder data",
            );
            None
        }
        Some(SecretSource::Files(folder)) => Some(folder),
        Some(SecretSource::Environment | SecretSource::SecretsManager(_)) | None => None,
    };
    let is_needed = |name: &str| folder.is_some() && missing.contains(&name);
    let folder = folder.as_deref().unwrap_or(Path::new(""));
    let secrets = LocalSecrets::load_or_make(folder, ambient, is_needed)?;
    for (name, secret) in secrets.iter() {
        environment = environment.with_default(name, secret);
    }
    Ok((environment, secrets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_embedded_database_has_its_secrets_in_files_by_default() {
        let source = |url: &str| default_for(&url.parse().unwrap());
        assert_eq!(source("sqlite:data/switchyard.db"), SecretSource::Files("data".into()));
        assert_eq!(source("sqlite:/var/lib/shop/a.db"), SecretSource::Files("/var/lib/shop".into()));
        assert_eq!(source("sqlite:a.db"), SecretSource::Files(".".into()));
        assert_eq!(source("sqlite::memory:"), SecretSource::Files("data".into()));
        assert_eq!(source("postgres://u@h/d"), SecretSource::Environment);
        assert_eq!(source("dynamodb://shop"), SecretSource::Environment);
    }
}
