use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use switchyard_ambient::Ambient;

use super::SigningKeys;
use crate::Secret;
use switchyard_kernel::hex;

/// The secrets of a server on one machine. They are created at its first start, in files that only their owner
/// can read.
///
/// They are used for `JWT_PRIVATE_KEY`, `PASSWORD_PEPPER` and `AUDIT_KEY` if the environment does not set
/// these. Without the files, no one could sign in to the accounts of the database, so back them up together
/// with it.
#[derive(Clone, Debug)]
pub struct LocalSecrets {
    values: Vec<(&'static str, Secret)>,
}

/// A secret could not be read or created.
#[derive(Debug, thiserror::Error)]
#[error("cannot read or create the secret {}: {source}", path.display())]
pub struct LocalSecretsError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The settings and their files.
const FILES: [(&str, &str); 3] = [
    ("JWT_PRIVATE_KEY", "jwt-private-key.pem"),
    ("PASSWORD_PEPPER", "password-pepper"),
    ("AUDIT_KEY", "audit-key"),
];

impl LocalSecrets {
    /// The names of the settings.
    pub const SETTINGS: [&'static str; FILES.len()] = [FILES[0].0, FILES[1].0, FILES[2].0];

    /// Reads the secrets in `folder`, and creates those that are missing. If several processes do so at once,
    /// all get the same secrets.
    pub fn load_or_create(folder: &Path, ambient: &Ambient) -> Result<Self, LocalSecretsError> {
        let mut values = Vec::new();
        for (name, file) in FILES {
            let path = folder.join(file);
            let secret = load_or_create(&path, ambient, || new_secret(name, ambient))
                .map_err(|source| LocalSecretsError { path, source })?;
            values.push((name, Secret::new(secret)));
        }
        Ok(Self { values })
    }

    /// The secrets, each with the name of its setting.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.values.iter().map(|(name, secret)| (*name, secret.expose()))
    }
}

fn new_secret(name: &str, ambient: &Ambient) -> io::Result<String> {
    match name {
        "JWT_PRIVATE_KEY" => SigningKeys::generate_pem().map_err(io::Error::other),
        _ => Ok(hex(&ambient.bytes::<32>())),
    }
}

/// The file is written under another name and then linked to its own name. So a reader never sees a partial
/// file, and of two writers the first one wins.
fn load_or_create(
    path: &Path,
    ambient: &Ambient,
    make: impl Fn() -> io::Result<String>,
) -> io::Result<String> {
    match read(path) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
        found => return found,
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let draft = path.with_extension(format!("{}.draft", hex(&ambient.bytes::<8>())));
    let mut file = create_private(&draft)?;
    file.write_all(make()?.as_bytes())?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    sync_folder(path)?;
    match linked {
        Err(fault) if fault.kind() != io::ErrorKind::AlreadyExists => Err(fault),
        _ => read(path),
    }
}

/// Syncs the folder of a file: only then the file certainly survives a crash. Data that is written later may
/// depend on the secret.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) && folder != Path::new("") => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

fn create_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("switchyard-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn secrets_are_created_once_and_only_their_owner_can_read_them() {
        let folder = folder("secrets");
        let first = LocalSecrets::load_or_create(&folder, &Ambient::system()).unwrap();
        let again = LocalSecrets::load_or_create(&folder, &Ambient::system()).unwrap();
        assert!(first.iter().eq(again.iter()));
        for (_, file) in FILES {
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                assert_eq!(fs::metadata(folder.join(file)).unwrap().permissions().mode() & 0o777, 0o600);
            }
        }
        assert_eq!(fs::read_dir(&folder).unwrap().count(), FILES.len());
        let [(_, key), (_, pepper), (_, audit_key)] = first.iter().collect::<Vec<_>>()[..] else {
            panic!("expected three secrets")
        };
        assert_eq!((pepper.len(), audit_key.len()), (64, 64));
        assert_ne!(pepper, audit_key);
        assert!(SigningKeys::from_pem(key).is_ok());
        assert!(first.iter().map(|(name, _)| name).eq(LocalSecrets::SETTINGS));
        fs::remove_dir_all(folder).unwrap();
    }
}
