//! The first admin of a server, and how their password reaches its operator.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use anyhow::Context as _;
use switchyard_identity::{Identity, Secret, create_private_file};
use switchyard_kernel::Actor;

/// The address of the admin that is created if there is none and `ADMIN_EMAIL` is not set.
const EMAIL: &str = "admin@localhost";
/// The file with the password.
const FILE: &str = "admin-password";

/// An admin who was just created, and where their password is.
#[derive(Debug)]
pub(crate) struct CreatedAdmin(Password);

#[derive(Debug)]
enum Password {
    Shown(Secret),
    InFile(PathBuf),
}

/// Creates an admin with a random password if there is no admin and the settings do not name one.
///
/// The password is shown in a terminal. Other output is kept by whatever collects it, so then the password goes to a file
/// in `folder` that only its owner can read.
pub(crate) async fn create(
    identity: &Identity,
    folder: &Path,
    is_for_people: bool,
) -> anyhow::Result<Option<CreatedAdmin>> {
    if identity.settings().first_admin.is_some() {
        return Ok(None);
    }
    let context = identity.context("start").by(Actor::System);
    let created = identity.accounts().create_first_admin(&context, &EMAIL.parse()?).await;
    let Some((_, password)) = created.context("the first admin cannot be created")? else { return Ok(None) };
    if is_for_people && io::stdout().is_terminal() {
        return Ok(Some(CreatedAdmin(Password::Shown(password))));
    }
    let path = folder.join(FILE);
    store(&path, &password).with_context(|| {
        let path = path.display();
        format!(
            "the password of {EMAIL} cannot be stored in {path}; make that possible, then get another one with \
             `switchyard admin reset-password {EMAIL}`"
        )
    })?;
    Ok(Some(CreatedAdmin(Password::InFile(path))))
}

/// Stores the password, instead of one of an earlier database.
fn store(path: &Path, password: &Secret) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(fault) if fault.kind() != io::ErrorKind::NotFound => return Err(fault),
        _ => {}
    }
    create_private_file(path, &format!("{}\n", password.expose()))
}

impl CreatedAdmin {
    /// Writes where the password is to the log.
    pub(crate) fn log(&self) {
        if let Password::InFile(path) = &self.0 {
            let path = path.display();
            tracing::info!(admin = EMAIL, password_file = %path, "created the first admin; the password must be changed first");
        }
    }
}

/// Two lines for people.
impl fmt::Display for CreatedAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  Admin     {EMAIL}")?;
        match &self.0 {
            Password::Shown(password) => writeln!(
                f,
                "  Password  {}   (shown this once, and must be changed first)",
                password.expose()
            ),
            Password::InFile(path) => {
                writeln!(f, "  Password  in {}   (must be changed first)", path.display())
            }
        }
    }
}
