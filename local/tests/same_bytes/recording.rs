//! Which collections the functions use, compared with what they declare.
//!
//! A wrapper around a function's database writes each use to a file when it happens for the first time. The test reads the
//! files when all requests have been answered.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use switchyard_database::{
    Addition, Batch, Collection, Consistency, Database, Document, Key, Operation, Page, Query, Result, Scan,
    Schema, Search, UniqueKey, Version,
};
use switchyard_local::FUNCTIONS;
use switchyard_runtime::{Access, Function};

/// A way to use a collection, and the collection's name.
type Use = (Access, String);

/// A database whose uses of collections are recorded.
#[derive(Debug)]
pub(crate) struct Recorded {
    inner: Arc<dyn Database>,
    file: PathBuf,
    seen: Mutex<BTreeSet<Use>>,
}

impl Recorded {
    /// Records the calls of `inner` in `file`.
    pub(crate) fn new(inner: Arc<dyn Database>, file: PathBuf) -> Self {
        Self { inner, file, seen: Mutex::default() }
    }

    fn record(&self, access: Access, collection: &Collection) {
        let name = collection.name;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.insert((access, name.to_owned())) {
            // Several processes of one function append to its file, a line with each call of the system.
            let file = OpenOptions::new().create(true).append(true).open(&self.file);
            file.unwrap().write_all(format!("{} {name}\n", verb(access)).as_bytes()).unwrap();
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Database for Recorded {
    async fn migrate(&self, schema: &Schema) -> Result<()> {
        self.inner.migrate(schema).await
    }

    async fn get(&self, key: &Key) -> Result<Option<Document>> {
        self.record(Access::Read, key.collection());
        self.inner.get(key).await
    }

    async fn get_many(&self, keys: &[Key], consistency: Consistency) -> Result<Vec<Option<Document>>> {
        for key in keys {
            self.record(Access::Read, key.collection());
        }
        self.inner.get_many(keys, consistency).await
    }

    async fn lookup(&self, unique: &UniqueKey) -> Result<Option<Document>> {
        self.record(Access::Read, unique.collection());
        self.inner.lookup(unique).await
    }

    async fn query(&self, query: &Query) -> Result<Page> {
        self.record(Access::Read, query.collection);
        self.inner.query(query).await
    }

    async fn search(&self, search: &Search) -> Result<Page> {
        self.record(Access::Read, search.collection);
        self.inner.search(search).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page> {
        self.record(Access::Scan, scan.collection);
        self.inner.scan(scan).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Vec<Version>> {
        for prepared in batch.operations() {
            let access = match prepared.operation {
                Operation::Check { .. } => Access::Read,
                Operation::Create { .. }
                | Operation::Replace { .. }
                | Operation::Delete { .. }
                | Operation::Increment { .. } => Access::Write,
            };
            self.record(access, prepared.key().collection());
        }
        self.inner.commit(batch).await
    }

    async fn add(&self, addition: &Addition) -> Result<i64> {
        self.record(Access::Write, addition.key().collection());
        self.inner.add(addition).await
    }

    async fn sweep_expired(&self, at_most: u32) -> Result<u64> {
        self.inner.sweep_expired(at_most).await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }
}

const ACCESSES: [Access; 3] = [Access::Read, Access::Scan, Access::Write];

fn verb(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Scan => "scan",
        Access::Write => "write",
    }
}

/// Reads what a function has recorded in `file`.
fn uses_in(file: &Path) -> BTreeSet<Use> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let of_line = |line: &str| {
        let (verb, collection) = line.split_once(' ')?;
        let access = ACCESSES.into_iter().find(|access| self::verb(*access) == verb)?;
        Some((access, collection.to_owned()))
    };
    text.lines().map(|line| of_line(line).expect("a line is a use")).collect()
}

/// Prints what the functions declare and did not use.
///
/// # Panics
///
/// If a function used a collection in a way that it does not declare.
pub(crate) fn check(folder: &Path) {
    let mut violations = Vec::new();
    for (function, _) in FUNCTIONS {
        let used = uses_in(&folder.join(function.name));
        assert!(
            !used.is_empty() || function.accesses().next().is_none(),
            "`{}` recorded nothing",
            function.name
        );
        for (access, collection) in function.accesses() {
            if !used.contains(&(access, collection.to_owned())) {
                println!(
                    "the function `{}` declares to {} `{collection}` and did not",
                    function.name,
                    verb(access)
                );
            }
        }
        violations
            .extend(used.iter().filter_map(|(access, collection)| violation(function, *access, collection)));
    }
    assert!(violations.is_empty(), "functions do what they do not declare:\n{}", violations.join("\n"));
}

/// Describes a use of a collection, if the function does not declare it.
fn violation(function: &Function, access: Access, collection: &str) -> Option<String> {
    if function.allows(access, collection) {
        return None;
    }
    let declared: Vec<_> =
        function.accesses().filter(|(_, name)| *name == collection).map(|(access, _)| verb(access)).collect();
    let declared = match &declared[..] {
        [] => "does not declare it".to_owned(),
        verbs => format!("declares only to {} it", verbs.join(" and ")),
    };
    Some(format!("the function `{}` {}s `{collection}` and {declared}", function.name, verb(access)))
}

#[test]
fn an_undeclared_use_is_described() {
    let function = Function::new("notes", "Notes").reads(&["users"]).writes(&["notes"]);
    assert_eq!(violation(&function, Access::Write, "notes"), None);
    assert_eq!(violation(&function, Access::Read, "notes"), None);
    let of = |access, collection| violation(&function, access, collection).unwrap();
    assert_eq!(
        of(Access::Write, "users"),
        "the function `notes` writes `users` and declares only to read it"
    );
    assert_eq!(of(Access::Read, "roles"), "the function `notes` reads `roles` and does not declare it");
    assert!(of(Access::Scan, "notes").starts_with("the function `notes` scans `notes`"));
}
