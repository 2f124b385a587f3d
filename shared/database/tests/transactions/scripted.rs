//! A database whose commits fail as a test says, and what is stored in it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use switchyard_ambient::Ambient;
use switchyard_database::conformance::Memory;
use switchyard_database::{
    Addition, Batch, Cause, Collection, Consistency, Database, Db, Document, Entity, Error, Field, Key, Page,
    Query, Rejection, Result, Scan, Schema, Search, Unique, UniqueKey, Version,
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) email: Option<String>,
    pub(crate) balance: i64,
    pub(crate) points: i64,
}

impl Entity for Account {
    const COLLECTION: &'static Collection = &Collection::new("accounts")
        .fields(&[Field::string("email"), Field::integer("balance"), Field::integer("points")])
        .uniques(&[Unique::new("email", &["email"])])
        .counters(&["balance", "points"]);

    fn id(&self) -> &str {
        &self.id
    }
}

pub(crate) fn account(id: &str, balance: i64) -> Account {
    Account { id: id.to_owned(), email: None, balance, points: 0 }
}

pub(crate) fn with_email(id: &str, email: &str) -> Account {
    Account { email: Some(email.to_owned()), ..account(id, 0) }
}

pub(crate) fn rejected(id: &str, cause: Cause) -> Error {
    let key = Key::new(Account::COLLECTION, id).unwrap();
    Error::Rejected(vec![Rejection { operation: 0, key, cause }])
}

/// An in-memory store whose commits fail with the errors of a script until the script ends.
#[derive(Debug)]
pub(crate) struct Scripted {
    pub(crate) memory: Memory,
    pub(crate) script: Mutex<VecDeque<Error>>,
    pub(crate) commits: Mutex<Vec<Vec<Version>>>,
    /// The id of a document that cannot be read.
    pub(crate) unreadable: Mutex<Option<String>>,
}

impl Scripted {
    pub(crate) fn new(script: impl IntoIterator<Item = Error>) -> (Arc<Self>, Db) {
        let ambient = Ambient::system();
        let script = Mutex::new(script.into_iter().collect());
        let memory = Memory::new(ambient.clone());
        let (commits, unreadable) = Default::default();
        let database = Arc::new(Self { memory, script, commits, unreadable });
        (Arc::clone(&database), Db::new(database, ambient))
    }

    pub(crate) fn commits(&self) -> usize {
        self.commits.lock().unwrap().len()
    }
}

#[async_trait]
impl Database for Scripted {
    async fn migrate(&self, schema: &Schema) -> Result<()> {
        self.memory.migrate(schema).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>> {
        if self.unreadable.lock().unwrap().as_deref() == Some(key.id()) {
            return Err(unavailable());
        }
        self.memory.get(key).await
    }

    async fn get_many(&self, keys: &[Key], consistency: Consistency) -> Result<Vec<Option<Document>>> {
        self.memory.get_many(keys, consistency).await
    }

    async fn lookup(&self, unique: &UniqueKey) -> Result<Option<Document>> {
        self.memory.lookup(unique).await
    }

    async fn query(&self, query: &Query) -> Result<Page> {
        self.memory.query(query).await
    }

    async fn search(&self, search: &Search) -> Result<Page> {
        self.memory.search(search).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.memory.scan(scan).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Version>> {
        self.commits.lock().unwrap().push(batch.versions());
        let scripted = self.script.lock().unwrap().pop_front();
        match scripted {
            Some(error) => Err(error),
            None => self.memory.commit(batch).await,
        }
    }

    async fn add(&self, addition: &Addition) -> Result<i64> {
        self.memory.add(addition).await
    }

    async fn sweep_expired(&self, at_most: u32) -> Result<u64> {
        self.memory.sweep_expired(at_most).await
    }

    async fn ping(&self) -> Result<()> {
        self.memory.ping().await
    }
}

pub(crate) fn unavailable() -> Error {
    Error::Unavailable("the database does not respond".to_owned())
}

pub(crate) async fn stored(db: &Db, id: &str) -> Option<Account> {
    db.collection::<Account>().get(id).await.unwrap().map(|stored| stored.into_value())
}

/// The document of a `Check` is always reported as changed.
pub(crate) fn stale() -> Error {
    rejected("read", Cause::CheckFailed)
}
