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
use switchyard_local::functions;
use switchyard_runtime::{Access, Function};

/// A database whose uses of collections are recorded.
#[derive(Debug)]
pub(crate) struct Recorded {
    inner: Arc<dyn Database>,
    file: PathBuf,
    seen: Mutex<BTreeSet<(Access, &'static str)>>,
}

impl Recorded {
    /// Records the calls of `inner` in `file`.
    pub(crate) fn new(inner: Arc<dyn Database>, file: PathBuf) -> Self {
        Self { inner, file, seen: Mutex::default() }
    }

    fn record(&self, access: Access, collection: &Collection) {
        let name = collection.name;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.insert((access, name)) {
            // Several processes of one function append to its file, a line with each call of the system.
            let file = OpenOptions::new().create(true).append(true).open(&self.file);
            file.unwrap().write_all(format!("{}\n", access.described(name)).as_bytes()).unwrap();
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
        self.record(Access::List(query.index), query.collection);
        self.inner.query(query).await
    }

    async fn search(&self, search: &Search) -> Result<Page> {
        self.record(Access::Search, search.collection);
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
                Operation::Create { .. } => Access::Insert,
                Operation::Replace { .. } => Access::Replace,
                Operation::Delete { .. } => Access::Delete,
                Operation::Increment { .. } => Access::Increment,
            };
            self.record(access, prepared.key().collection());
        }
        self.inner.commit(batch).await
    }

    async fn add(&self, addition: &Addition) -> Result<i64> {
        self.record(Access::Add, addition.key().collection());
        self.inner.add(addition).await
    }

    async fn sweep_expired(&self, at_most: u32) -> Result<u64> {
        self.inner.sweep_expired(at_most).await
    }

    async fn ping(&self) -> Result<()> {
        self.inner.ping().await
    }
}

/// Reads what a function has recorded in `file`, as it is described.
fn uses_in(file: &Path) -> BTreeSet<String> {
    fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// What is declared although no request of the trace makes a function do it: the function, if it is not each that knows
/// users; what it does; and the reason.
const NOT_RECORDED: &[(Option<&str>, Access, &str, &str)] = &[
    (Some("users"), Access::Delete, "sign_in_attempts", "unlocks who has never signed in"),
    (
        Some("auth"),
        Access::Insert,
        "token_keys",
        "publishes its key where no migration has, which has published it here",
    ),
    (Some("auth"), Access::Replace, "token_keys", "publishes a key that has arrived since its start"),
    (
        Some("auth"),
        Access::Replace,
        "credentials",
        "hashes a password again that was imported, or hashed at another cost or with another pepper",
    ),
    (
        Some("accounts"),
        Access::Insert,
        "token_keys",
        "publishes its key where no migration has, which has published it here",
    ),
    (Some("accounts"), Access::Replace, "token_keys", "publishes a key that has arrived since its start"),
    (Some("admin"), Access::Insert, "job_schedules", "pauses a schedule, of which the trace has none"),
    (Some("admin"), Access::Delete, "job_schedules", "resumes a schedule, of which the trace has none"),
    (None, Access::Replace, "audit_refusals", "opens a window again that has ended and not yet expired"),
];

/// Whether it is known that the trace does not make the function do this.
fn is_excused(function: Option<&str>, access: Access, collection: &str) -> bool {
    let mut excused = NOT_RECORDED.iter();
    excused.any(|(of, does, to, _)| (*of, *does, *to) == (function, access, collection))
}

/// Compares what the functions used with what they declare.
///
/// # Panics
///
/// If a function used a collection in a way that it does not declare, or declares one that it did not use.
pub(crate) fn check(folder: &Path) {
    let recorded: Vec<_> =
        functions().map(|function| (function, uses_in(&folder.join(function.name)))).collect();
    let mut violations = Vec::new();
    for (function, used) in &recorded {
        violations.extend(undeclared(function, used));
        violations.extend(unused(function, used));
    }
    let of_users: Vec<_> = recorded.iter().filter(|(function, _)| function.knows_users()).collect();
    let does = |function: &Function, access: Access, collection: &str| {
        let mut of_function = recorded.iter().filter(|(other, _)| other.name == function.name);
        of_function.any(|(_, used)| used.contains(&access.described(collection)))
    };
    // What follows from knowing users is declared once for all functions that do.
    let implied: BTreeSet<_> =
        of_users.iter().flat_map(|(function, _)| function.accesses_of_users()).collect();
    for (access, collection) in implied {
        let is_used = of_users.iter().any(|(function, _)| does(function, access, collection));
        if is_used == is_excused(None, access, collection) {
            let described = access.described(collection);
            violations.push(format!("that functions with users {described} is declared or excused in vain"));
        }
    }
    for (function, _) in &recorded {
        let excused = NOT_RECORDED.iter().filter(|(of, ..)| *of == Some(function.name));
        let outdated = excused.filter(|(_, access, collection, _)| does(function, *access, collection));
        violations.extend(outdated.map(|(_, access, collection, _)| {
            format!("the function `{}` does {}, and is excused", function.name, access.described(collection))
        }));
    }
    assert!(violations.is_empty(), "what functions do is not what they declare:\n{}", violations.join("\n"));
}

/// Describes what a function did and does not declare.
fn undeclared(function: &Function, used: &BTreeSet<String>) -> Vec<String> {
    let declared: BTreeSet<_> =
        function.accesses().map(|(access, collection)| access.described(collection)).collect();
    // Whatever a function uses it may also read.
    let readable = function.accesses().map(|(_, collection)| Access::Read.described(collection));
    let declared: BTreeSet<_> = declared.into_iter().chain(readable).collect();
    let undeclared = used.difference(&declared);
    undeclared.map(|used| format!("the function `{}` does not declare to {used}", function.name)).collect()
}

/// Describes what a function declares and did not do.
fn unused(function: &Function, used: &BTreeSet<String>) -> Vec<String> {
    let declared = function.uses.iter().flat_map(|(collection, accesses)| {
        accesses.iter().map(move |access| (*access, *collection, access.described(collection)))
    });
    let unused = declared.filter(|(access, collection, described)| {
        !used.contains(described) && !is_excused(Some(function.name), *access, collection)
    });
    unused
        .map(|(.., described)| {
            format!("the function `{}` declares to {described} and does not", function.name)
        })
        .collect()
}

#[test]
fn what_is_not_declared_and_what_is_not_done_is_described() {
    let function = Function::new("notes", "Notes")
        .uses(&[("users", &[Access::Read]), ("notes", &[Access::List("by_owner"), Access::Insert])]);
    let used = |uses: &[(Access, &str)]| {
        uses.iter().map(|(access, collection)| access.described(collection)).collect::<BTreeSet<_>>()
    };
    let as_declared = [
        (Access::Read, "users"),
        (Access::Read, "notes"),
        (Access::List("by_owner"), "notes"),
        (Access::Insert, "notes"),
    ];
    assert_eq!(undeclared(&function, &used(&as_declared)), Vec::<String>::new());
    assert_eq!(unused(&function, &used(&as_declared)), Vec::<String>::new());
    let more = [(Access::Delete, "notes"), (Access::List("by_time"), "notes"), (Access::Read, "roles")];
    assert_eq!(
        undeclared(&function, &used(&more)),
        [
            "the function `notes` does not declare to delete from `notes`",
            "the function `notes` does not declare to list `notes` by `by_time`",
            "the function `notes` does not declare to read `roles`",
        ]
    );
    assert_eq!(
        unused(&function, &used(&[(Access::Read, "users"), (Access::Insert, "notes")])),
        ["the function `notes` declares to list `notes` by `by_owner` and does not"]
    );
}
