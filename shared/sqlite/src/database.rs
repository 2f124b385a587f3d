use std::path::Path;
use std::sync::Arc;
use std::thread;

use async_trait::async_trait;
use rusqlite::Connection;
use switchyard_ambient::Ambient;
use switchyard_database::{
    Addition, Batch, Consistency, Database, Document, Key, Page, Query, Result, Scan, Schema, Search,
    UniqueKey, Version, paging,
};

use crate::fault::Fault;
use crate::pool::Pool;
use crate::ranges::StoredRanges;
use crate::writer::{Source, Writer};
use crate::{add, migrate, open, rows, sweep};

/// The largest number of keys that `get_many` reads on the calling thread.
const FEW_KEYS: usize = 8;

/// A [`Database`] in one file or in memory. See the documentation of the crate.
///
/// Dropping it waits until all accepted writes are on the disk.
#[derive(Debug)]
pub struct Sqlite {
    writer: Writer,
    readers: Arc<Pool>,
    ambient: Ambient,
}

impl Sqlite {
    /// Opens the database file at `path`. Creates the file and its folder if they do not exist.
    ///
    /// # Errors
    ///
    /// Fails with [`Unavailable`](switchyard_database::Error::Unavailable) if the file cannot be opened for
    /// writing, with [`Invalid`](switchyard_database::Error::Invalid) if it is the database of another program,
    /// and with [`Corrupt`](switchyard_database::Error::Corrupt) if it is not a database.
    pub fn open(path: impl AsRef<Path>, ambient: Ambient) -> Result<Self> {
        let path = path.as_ref();
        let writer = open::writer(path)?;
        let count = reader_count();
        let readers = (0..count).map(|_| open::reader(path, count)).collect::<Result<_>>()?;
        Ok(Self {
            writer: Writer::start(Source::Own(writer), ambient.clone())?,
            readers: Pool::new(readers),
            ambient,
        })
    }

    /// Creates an empty database in memory, which is deleted when this value is dropped.
    pub fn in_memory(ambient: Ambient) -> Result<Self> {
        // One connection is shared by all callers: with the ways that SQLite offers to share a database in memory
        // (`memdb`, the shared cache), reads fail during a write.
        let readers = Pool::new(vec![open::in_memory()?]);
        let writer = Writer::start(Source::Shared(Arc::clone(&readers)), ambient.clone())?;
        Ok(Self { writer, readers, ambient })
    }

    fn ranges(&self) -> StoredRanges<'_> {
        StoredRanges { readers: &self.readers, ambient: &self.ambient }
    }
}

fn reader_count() -> usize {
    thread::available_parallelism().map_or(2, usize::from).clamp(2, 8)
}

#[async_trait]
impl Database for Sqlite {
    async fn migrate(&self, schema: &Schema) -> Result<()> {
        migrate::migrate(&self.writer, &self.ambient, schema).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>> {
        let read = |connection: &Connection| rows::get(connection, key, self.ambient.now());
        self.readers.read_here(&self.ambient, read).await
    }

    async fn get_many(&self, keys: &[Key], _consistency: Consistency) -> Result<Vec<Option<Document>>> {
        paging::check_keys(keys)?;
        let now = self.ambient.now();
        if keys.len() <= FEW_KEYS {
            let read = |connection: &Connection| rows::get_many(connection, keys, now);
            return self.readers.read_here(&self.ambient, read).await;
        }
        let keys = keys.to_vec();
        let read = move |connection: &Connection| rows::get_many(connection, &keys, now);
        self.readers.read_apart(&self.ambient, read).await
    }

    async fn lookup(&self, unique: &UniqueKey) -> Result<Option<Document>> {
        let read = |connection: &Connection| rows::lookup(connection, unique, self.ambient.now());
        self.readers.read_here(&self.ambient, read).await
    }

    async fn query(&self, query: &Query) -> Result<Page> {
        paging::query(&self.ranges(), query).await
    }

    async fn search(&self, search: &Search) -> Result<Page> {
        paging::search(&self.ranges(), search).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        paging::scan(&self.ranges(), scan).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Version>> {
        self.writer.commit(batch).await
    }

    async fn add(&self, addition: &Addition) -> Result<i64> {
        add::add(&self.writer, &self.ambient, addition).await
    }

    async fn sweep_expired(&self, at_most: u32) -> Result<u64> {
        sweep::sweep_expired(&self.writer, &self.ambient, at_most).await
    }

    async fn ping(&self) -> Result<()> {
        self.writer.check()?;
        let read = |connection: &Connection| -> Result<(), Fault> {
            let reads_the_file = "SELECT count(*) FROM sqlite_schema";
            Ok(connection.prepare_cached(reads_the_file)?.query_row([], |_| Ok(()))?)
        };
        self.readers.read_here(&self.ambient, read).await
    }
}
