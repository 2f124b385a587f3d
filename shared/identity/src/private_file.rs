//! Files that only their owner can read.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// Writes a new file that only its owner can read, in a folder that is created if it is missing. When this returns, the file
/// survives a crash.
///
/// # Errors
///
/// Those of the operating system. [`AlreadyExists`](io::ErrorKind::AlreadyExists) if there is a file with this name.
pub fn create_private_file(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = folder_of(path) {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    sync_folder(path)
}

/// Gives a file a second name, unless another file has it: then returns `false`.
pub(crate) fn link_if_free(file: &Path, name: &Path) -> io::Result<bool> {
    match fs::hard_link(file, name) {
        Ok(()) => sync_folder(name).map(|()| true),
        Err(fault) if fault.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(fault) => Err(fault),
    }
}

/// Syncs the folder of a file: only then the file certainly survives a crash.
fn sync_folder(path: &Path) -> io::Result<()> {
    match folder_of(path) {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn folder_of(path: &Path) -> Option<&Path> {
    path.parent().filter(|folder| *folder != Path::new(""))
}
