use std::path::{Path, PathBuf};
use std::{fs, io};

use switchyard_ambient::Ambient;

use super::SigningKeys;
use crate::Secret;
use crate::private_file::{create_private_file, link_if_free};
use switchyard_kernel::{KeyRing, hex};

/// The secrets of a server on one machine, in files that only their owner can read.
///
/// They are used for `JWT_PRIVATE_KEY`, `PASSWORD_PEPPER`, `SIGN_IN_KEY`, `AUDIT_KEY` and `ENCRYPTION_KEY` if the environment
/// does not set these. Without the files, no one could sign in to the accounts of the database, so back them up together with
/// it.
#[derive(Debug)]
pub struct LocalSecrets {
    secrets: Vec<LocalSecret>,
}

#[derive(Debug)]
struct LocalSecret {
    setting: &'static str,
    path: PathBuf,
    value: Secret,
    /// Whether it was made and is not in its file yet.
    is_new: bool,
}

/// A secret could not be read or stored.
#[derive(Debug, thiserror::Error)]
pub enum LocalSecretsError {
    /// The file could not be read.
    #[error("the secret in {} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// The file does not contain the secret.
    #[error("the secret in {} cannot be used: it {reason}; restore the file from its backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with its content.
        reason: String,
    },
    /// A secret could not be generated.
    #[error("the secret for {} cannot be generated: {reason}", path.display())]
    Generate {
        /// The file that it would have been stored in.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The file could not be written.
    #[error("the secret in {} cannot be stored; make its folder writable, or set the secrets in the environment", .0.display())]
    Store(PathBuf, #[source] io::Error),
}

/// The settings and their files.
const FILES: [(&str, &str); 5] = [
    ("JWT_PRIVATE_KEY", "jwt-private-key.pem"),
    ("PASSWORD_PEPPER", "password-pepper"),
    ("SIGN_IN_KEY", "sign-in-key"),
    ("AUDIT_KEY", "audit-key"),
    ("ENCRYPTION_KEY", "encryption-key"),
];

impl LocalSecrets {
    /// The names of the settings.
    pub const SETTINGS: [&'static str; FILES.len()] =
        [FILES[0].0, FILES[1].0, FILES[2].0, FILES[3].0, FILES[4].0];

    /// Reads the secrets of the settings that `is_needed` accepts from their files in `folder`, and makes those that are
    /// missing. Nothing is written: [`keep`](Self::keep) stores what was made, once it is known that the database does not
    /// miss other ones.
    pub fn load_or_make(
        folder: &Path,
        ambient: &Ambient,
        is_needed: impl Fn(&str) -> bool,
    ) -> Result<Self, LocalSecretsError> {
        let mut secrets = Vec::new();
        for (setting, file) in FILES.into_iter().filter(|(setting, _)| is_needed(setting)) {
            let path = folder.join(file);
            let (value, is_new) = match fs::read_to_string(&path) {
                Ok(text) => (text, false),
                Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                    (make(setting, &path, ambient)?, true)
                }
                Err(fault) if fault.kind() == io::ErrorKind::InvalidData => {
                    return Err(LocalSecretsError::Damaged { path, reason: "must be text".to_owned() });
                }
                Err(fault) => return Err(LocalSecretsError::Read(path, fault)),
            };
            if let Some(reason) = fault_of(setting, &value) {
                return Err(LocalSecretsError::Damaged { path, reason });
            }
            secrets.push(LocalSecret { setting, path, value: Secret::new(value), is_new });
        }
        Ok(Self { secrets })
    }

    /// The secrets, each with the name of its setting.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.secrets.iter().map(|secret| (secret.setting, secret.value.expose()))
    }

    /// Returns the file that is missing for a secret that was made.
    pub fn missing_file(&self, setting: &str) -> Option<&Path> {
        let mut made = self.secrets.iter().filter(|secret| secret.is_new);
        made.find(|secret| secret.setting == setting).map(|secret| secret.path.as_path())
    }

    /// Stores the secrets that were made. Returns `false` if another process has stored one in the meantime, which counts
    /// then: load the secrets again.
    pub fn keep(&mut self, ambient: &Ambient) -> Result<bool, LocalSecretsError> {
        for secret in self.secrets.iter_mut().filter(|secret| secret.is_new) {
            let stored = store(&secret.path, secret.value.expose(), ambient);
            if !stored.map_err(|fault| LocalSecretsError::Store(secret.path.clone(), fault))? {
                return Ok(false);
            }
            secret.is_new = false;
        }
        Ok(true)
    }
}

fn make(setting: &str, path: &Path, ambient: &Ambient) -> Result<String, LocalSecretsError> {
    match setting {
        "JWT_PRIVATE_KEY" => SigningKeys::generate_pem().map_err(|fault| LocalSecretsError::Generate {
            path: path.to_owned(),
            reason: fault.to_string(),
        }),
        _ => Ok(hex(&ambient.bytes::<32>())),
    }
}

/// Returns what is wrong with a secret, as in `must hold keys …`.
fn fault_of(setting: &str, value: &str) -> Option<String> {
    match setting {
        "JWT_PRIVATE_KEY" => SigningKeys::from_pem(value).err().map(|fault| fault.to_string()),
        _ => KeyRing::parse(value).err().map(|fault| fault.to_string()),
    }
}

/// The file is written under another name and then linked to its own name. So a reader never sees a partial
/// file, and of two writers the first one wins.
fn store(path: &Path, value: &str, ambient: &Ambient) -> io::Result<bool> {
    let draft = path.with_extension(format!("{}.draft", hex(&ambient.bytes::<8>())));
    create_private_file(&draft, value)?;
    let linked = link_if_free(&draft, path);
    fs::remove_file(&draft)?;
    linked
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("switchyard-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    fn load(folder: &Path) -> Result<LocalSecrets, LocalSecretsError> {
        LocalSecrets::load_or_make(folder, &Ambient::system(), |_| true)
    }

    fn values(secrets: &LocalSecrets) -> Vec<String> {
        secrets.iter().map(|(_, secret)| secret.to_owned()).collect()
    }

    #[test]
    fn secrets_are_stored_once_and_only_their_owner_can_read_them() {
        let folder = folder("secrets");
        let ambient = Ambient::system();
        let (mut first, mut second) = (load(&folder).unwrap(), load(&folder).unwrap());
        assert!(!folder.exists(), "nothing is written before the secrets are kept");
        assert_eq!(first.missing_file("AUDIT_KEY"), Some(folder.join("audit-key").as_path()));
        assert!(first.keep(&ambient).unwrap());
        assert!(!second.keep(&ambient).unwrap(), "the first one wins");
        let again = load(&folder).unwrap();
        assert_eq!(values(&again), values(&first));
        assert_eq!(again.missing_file("AUDIT_KEY"), None);
        for (_, file) in FILES {
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                assert_eq!(fs::metadata(folder.join(file)).unwrap().permissions().mode() & 0o777, 0o600);
            }
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), FILES.len());
        let [key, rings @ ..] = &values(&first)[..] else { panic!("expected secrets") };
        assert!(rings.iter().all(|ring| ring.len() == 64));
        assert_eq!(rings.iter().collect::<BTreeSet<_>>().len(), 4);
        assert!(SigningKeys::from_pem(key).is_ok());
        assert!(first.iter().map(|(name, _)| name).eq(LocalSecrets::SETTINGS));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_damaged_file_is_reported_by_its_name() {
        let folder = folder("damaged-secrets");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("password-pepper"), "short").unwrap();
        let fault = LocalSecrets::load_or_make(&folder, &Ambient::system(), |name| name == "PASSWORD_PEPPER");
        let expected = format!(
            "the secret in {} cannot be used: it must hold keys of at least 32 characters each, separated by commas; \
             restore the file from its backup",
            folder.join("password-pepper").display()
        );
        assert_eq!(fault.unwrap_err().to_string(), expected);
        fs::remove_dir_all(folder).unwrap();
    }
}
