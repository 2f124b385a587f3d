use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use switchyard_runtime::{Environment, Lifetime};

/// Where the secrets come from that the environment does not set: the value of `SECRETS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// `environment`: from nowhere else. A start without one of them is refused.
    Environment,
    /// `file:data`: from files in this folder. The local server makes those that are new to the database.
    Files(PathBuf),
    /// `secretsmanager:switchyard/identity`: from the secret of this name or ARN in AWS Secrets Manager, a JSON object.
    SecretsManager(String),
}

impl SecretSource {
    /// What it may be, for `Environment::setting`.
    pub const FORM: &'static str = "environment; file: and a folder, as in file:data; or secretsmanager: and the name or ARN of a \
                                    secret, as in secretsmanager:switchyard/identity";

    /// Reads `SECRETS`. Returns `None` if it is malformed; `environment` then has the fault.
    pub fn read(environment: &mut Environment, default: Self) -> Option<Self> {
        let meaning = "where secrets come from that are not set: from files that a server makes, from one secret of AWS Secrets \
                       Manager, or from nowhere; the default of a server is the folder of an embedded database, and \
                       environment for a database server";
        environment.setting("SECRETS", Self::FORM, meaning).or(default)
    }
}

/// Reads `SECRETS_TTL`: how long secrets of Secrets Manager are used before they are read again.
pub fn read_secrets_ttl(environment: &mut Environment) -> Option<Lifetime> {
    let meaning = "after how long secrets are read again from Secrets Manager, so that a new one arrives";
    environment.setting("SECRETS_TTL", Lifetime::FORM, meaning).or(Lifetime::minutes(5))
}

impl FromStr for SecretSource {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text.split_once(':') {
            None if text == "environment" => Ok(Self::Environment),
            Some(("file", folder)) if !folder.is_empty() => Ok(Self::Files(folder.into())),
            Some(("secretsmanager", id)) if !id.is_empty() => Ok(Self::SecretsManager(id.to_owned())),
            _ => Err(
                "must be environment, file: and a folder as in file:data, or secretsmanager: and the name of a secret",
            ),
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Environment => f.write_str("environment"),
            Self::Files(folder) => write!(f, "file:{}", folder.display()),
            Self::SecretsManager(id) => write!(f, "secretsmanager:{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_the_environment_a_folder_or_a_secret() {
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:switchyard/identity-AbCdEf";
        for (text, source) in [
            ("environment", SecretSource::Environment),
            ("file:data", SecretSource::Files("data".into())),
            (
                "secretsmanager:switchyard/identity",
                SecretSource::SecretsManager("switchyard/identity".into()),
            ),
            (&format!("secretsmanager:{arn}"), SecretSource::SecretsManager(arn.to_owned())),
        ] {
            assert_eq!(text.parse(), Ok(source.clone()));
            assert_eq!(source.to_string(), text);
        }
        for text in ["", "file:", "data", "files:data", "Environment", "secretsmanager", "secretsmanager:"] {
            let fault = "must be environment, file: and a folder as in file:data, or secretsmanager: and the name of a secret";
            assert_eq!(text.parse::<SecretSource>(), Err(fault), "{text}");
        }
    }
}
