//! Checks this backend against the contract: in a file, where each handle has its own connections, and in memory.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::{fs, process};

use async_trait::async_trait;
use switchyard_ambient::Ambient;
use switchyard_database::Database;
use switchyard_database::conformance::Subject;
use switchyard_sqlite::Sqlite;

/// A database file in its own folder, so that the log and the shared memory file are removed with it.
struct InFile(PathBuf);

impl InFile {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("conformance-{}-{number}", process::id());
        Self(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder))
    }
}

#[async_trait]
impl Subject for InFile {
    async fn open(&self, ambient: Ambient) -> Arc<dyn Database> {
        Arc::new(Sqlite::open(self.0.join("store.db"), ambient).expect("the file can be opened"))
    }

    async fn close(&self) {
        fs::remove_dir_all(&self.0).expect("the folder can be removed");
    }
}

/// A database in memory. All handles that a case opens are the same one, because the database exists only in its
/// handle.
#[derive(Default)]
struct InMemory(OnceLock<Arc<Sqlite>>);

#[async_trait]
impl Subject for InMemory {
    async fn open(&self, ambient: Ambient) -> Arc<dyn Database> {
        let open = || Arc::new(Sqlite::in_memory(ambient).expect("there is memory"));
        Arc::<Sqlite>::clone(self.0.get_or_init(open))
    }

    async fn close(&self) {}
}

mod in_file {
    use super::InFile;

    switchyard_database::conformance_tests!(InFile::new());
}

mod in_memory {
    use super::InMemory;

    switchyard_database::conformance_tests!(InMemory::default());
}
