use switchyard_api::COLLECTIONS;
use switchyard_kernel::SECRET_CHECKS;

/// What a function declares about itself: the requests it answers, the collections it uses, the secrets it needs.
///
/// `cargo run -- functions` writes the function's part of `template.yaml` from it, the program reads no other secrets, and a test records which collections the
/// function uses and compares them with it.
///
/// ```
/// use switchyard_runtime::{Access, Function};
///
/// pub const FUNCTION: Function = Function::new("notes", "Notes, and who may read them")
///     .routes(&["/api/v1/notes", "/api/v1/notes/{proxy+}"])
///     .reads(&["users", "roles", "token_keys"])
///     .writes(&["notes", "audit_entries", "audit_chains", "audit_refusals"])
///     .secrets(&["AUDIT_KEY"]);
///
/// assert!(FUNCTION.allows(Access::Read, "notes"));
/// assert!(!FUNCTION.allows(Access::Write, "users"));
/// ```
///
/// Two things follow from what is declared and are not declared themselves:
///
/// - A function with secrets knows users: whatever it refuses them is written to the audit log, with `AUDIT_KEY`. To verify
///   access tokens takes no secret, since the public keys are in the collection `token_keys`. Requests of users are counted and their POSTs can be repeated, so it writes the
///   collections of the API's conventions ([`COLLECTIONS`]). When it starts, it compares its secrets with those of the
///   database ([`SECRET_CHECKS`]).
/// - The table that the DynamoDB backend keeps beside the collections. What a function does with it follows from the unique
///   attributes and search fields of the collections it uses.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// The name: of its folder under `functions/`, and of its package after `switchyard-fn-`.
    pub name: &'static str,
    /// What it serves, for people who look at the deployment.
    pub description: &'static str,
    /// The paths of API Gateway whose requests it answers. A function without paths answers every request that no other
    /// function answers.
    pub routes: &'static [&'static str],
    /// The names of the collections it only reads.
    pub reads: &'static [&'static str],
    /// The names of the collections it reads and writes.
    pub writes: &'static [&'static str],
    /// The names of the collections it reads from beginning to end, with a [`Scan`](switchyard_database::Scan). A collection
    /// that it only reads is listed here alone.
    pub scans: &'static [&'static str],
    /// The secrets it gets, by the names of their settings.
    pub secrets: &'static [&'static str],
}

/// A way to use a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// To read single documents, or those that a query or a search finds.
    Read,
    /// To read all documents.
    Scan,
    /// To create, change and delete documents.
    Write,
}

impl Function {
    /// A function that answers everything that others do not, and uses nothing.
    pub const fn new(name: &'static str, description: &'static str) -> Self {
        Self { name, description, routes: &[], reads: &[], writes: &[], scans: &[], secrets: &[] }
    }

    /// Declares the paths whose requests it answers, as API Gateway writes them: `/api/v1/notes`, and
    /// `/api/v1/notes/{proxy+}` for everything below it.
    #[must_use]
    pub const fn routes(mut self, paths: &'static [&'static str]) -> Self {
        self.routes = paths;
        self
    }

    /// Declares collections that it only reads.
    #[must_use]
    pub const fn reads(mut self, collections: &'static [&'static str]) -> Self {
        self.reads = collections;
        self
    }

    /// Declares collections that it writes. It may read them too: a document is read before it is changed, and again if the
    /// reply to a write is lost.
    #[must_use]
    pub const fn writes(mut self, collections: &'static [&'static str]) -> Self {
        self.writes = collections;
        self
    }

    /// Declares collections that it reads from beginning to end.
    #[must_use]
    pub const fn scans(mut self, collections: &'static [&'static str]) -> Self {
        self.scans = collections;
        self
    }

    /// Declares the secrets it gets.
    #[must_use]
    pub const fn secrets(mut self, names: &'static [&'static str]) -> Self {
        self.secrets = names;
        self
    }

    /// Whether it knows users. Without a secret it could not record what it refuses them.
    pub const fn knows_users(&self) -> bool {
        !self.secrets.is_empty()
    }

    /// What is declared, with what follows from it: each access, and the name of a collection.
    pub fn accesses(&self) -> impl Iterator<Item = (Access, &'static str)> {
        let of_conventions = COLLECTIONS.iter().map(|collection| collection.name);
        let written = self.writes.iter().copied().chain(of_conventions.filter(|_| self.knows_users()));
        let checks = [SECRET_CHECKS.name].into_iter().filter(|_| self.knows_users());
        let reads = self.reads.iter().copied().chain(checks).map(|name| (Access::Read, name));
        let scans = self.scans.iter().map(|name| (Access::Scan, *name));
        reads.chain(scans).chain(written.map(|name| (Access::Write, name)))
    }

    /// Whether it may use a collection in this way. Whatever it may scan or write it may also read.
    pub fn allows(&self, access: Access, collection: &str) -> bool {
        let mut declared = self.accesses().filter(|(_, name)| *name == collection);
        declared.any(|(declared, _)| declared == access || access == Access::Read)
    }
}
