use std::time::Duration;

use crate::access::{Access, OF_USERS, Use};

/// What a function declares about itself: the requests it answers or the events it takes, the collections it uses, the
/// secrets it needs.
///
/// `cargo run -- functions` writes the function's part of `template.yaml` from it, with the permissions that it needs and no
/// others, and the program reads no other secrets. A test records how the function uses collections and compares: what is not
/// declared fails, and so does what is declared and not used.
///
/// ```
/// use switchyard_runtime::Access::{Delete, Insert, List, Read, Replace};
/// use switchyard_runtime::Function;
///
/// pub const FUNCTION: Function = Function::new("notes", "Notes, and who may read them")
///     .routes(&["/api/v1/notes", "/api/v1/notes/{proxy+}"])
///     .uses(&[("notes", &[Read, List("by_owner"), Insert, Replace, Delete])])
///     .secrets(&["AUDIT_KEY"]);
///
/// assert!(FUNCTION.allows(Insert, "notes"));
/// assert!(!FUNCTION.allows(Insert, "users"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// The name: of its folder under `functions/`, and of its package after `switchyard-fn-`.
    pub name: &'static str,
    /// What it serves, for people who look at the deployment.
    pub description: &'static str,
    /// The paths of API Gateway whose requests it answers. A function with neither paths nor schedules answers every request
    /// that no other function answers.
    pub routes: &'static [&'static str],
    /// When it is run with which event, if it answers no requests.
    pub schedules: &'static [Schedule],
    /// How it uses collections, without what follows from knowing users.
    pub uses: &'static [Use],
    /// The secrets it gets, by the names of their settings.
    pub secrets: &'static [&'static str],
    /// Its memory in MB. Lambda gives it processor time in proportion: a whole processor at 1,769 MB.
    pub memory: Option<u32>,
    /// How long it may run.
    pub timeout: Option<Duration>,
    /// Whether its log is a record that is kept, which no other function may write to.
    pub keeps_log: bool,
}

/// An event that a function is run with, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The name: of the event, in its field `run`, and of the parameter of the template that changes the schedule.
    pub name: &'static str,
    /// The schedule unless that parameter says otherwise, in the words of `EventBridge`: `rate(1 hour)`.
    pub rate: &'static str,
}

impl Function {
    /// A function that answers everything that others do not, and uses nothing.
    pub const fn new(name: &'static str, description: &'static str) -> Self {
        Self {
            name,
            description,
            routes: &[],
            schedules: &[],
            uses: &[],
            secrets: &[],
            memory: None,
            timeout: None,
            keeps_log: false,
        }
    }

    /// Declares the paths whose requests it answers, as API Gateway writes them: `/api/v1/notes`, and
    /// `/api/v1/notes/{proxy+}` for everything below it.
    #[must_use]
    pub const fn routes(mut self, paths: &'static [&'static str]) -> Self {
        self.routes = paths;
        self
    }

    /// Declares that it is run by schedules. It answers no requests then.
    #[must_use]
    pub const fn schedules(mut self, schedules: &'static [Schedule]) -> Self {
        self.schedules = schedules;
        self
    }

    /// Declares how it uses collections.
    ///
    /// What follows from knowing users need not be declared: their permissions, the audit log and the API's conventions.
    #[must_use]
    pub const fn uses(mut self, uses: &'static [Use]) -> Self {
        self.uses = uses;
        self
    }

    /// Declares the secrets it gets.
    #[must_use]
    pub const fn secrets(mut self, names: &'static [&'static str]) -> Self {
        self.secrets = names;
        self
    }

    /// Sets its memory in MB, and with it its share of a processor.
    #[must_use]
    pub const fn memory(mut self, megabytes: u32) -> Self {
        self.memory = Some(megabytes);
        self
    }

    /// Sets how long it may run.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Declares that its log is a record: it is kept for `AnchorRetentionDays`, also when the stack is deleted, and no other
    /// function may write to it.
    #[must_use]
    pub const fn keeps_log(mut self) -> Self {
        self.keeps_log = true;
        self
    }

    /// Whether it answers requests, rather than being run by schedules.
    pub const fn is_served(&self) -> bool {
        self.schedules.is_empty()
    }

    /// Whether it knows users. Without a secret it could not record what it refuses them.
    pub const fn knows_users(&self) -> bool {
        self.is_served() && !self.secrets.is_empty()
    }

    /// What follows from knowing users: each access, and the name of a collection.
    pub fn accesses_of_users(&self) -> impl Iterator<Item = (Access, &'static str)> {
        each(if self.knows_users() { OF_USERS } else { &[] })
    }

    /// What is declared, with what follows from it: each access, and the name of a collection.
    pub fn accesses(&self) -> impl Iterator<Item = (Access, &'static str)> {
        each(self.uses).chain(self.accesses_of_users())
    }

    /// Whether it may use a collection in this way. Whatever it uses it may also read.
    pub fn allows(&self, access: Access, collection: &str) -> bool {
        let mut declared = self.accesses().filter(|(_, name)| *name == collection);
        declared.any(|(declared, _)| declared == access || access == Access::Read)
    }
}

fn each(uses: &'static [Use]) -> impl Iterator<Item = (Access, &'static str)> {
    uses.iter().flat_map(|(name, accesses)| accesses.iter().map(move |access| (*access, *name)))
}
