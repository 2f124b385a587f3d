use switchyard_kernel::SECRET_CHECKS;

/// A way to use a collection.
///
/// A function that uses a collection in any way may also read its documents by their ids: a query reads those that it finds,
/// and a write whose reply was lost is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// To read documents by their ids or by unique values, and to check in a transaction that they are unchanged.
    Read,
    /// To list documents with the index of this name.
    List(&'static str),
    /// To search.
    Search,
    /// To read all documents, with a [`Scan`](switchyard_database::Scan).
    Scan,
    /// To create documents.
    Insert,
    /// To change documents.
    Replace,
    /// To remove documents.
    Delete,
    /// To change counters.
    Increment,
    /// To add to tallies.
    Add,
}

/// How a collection, by its name, is used.
pub type Use = (&'static str, &'static [Access]);

impl Access {
    /// Whether it changes what is stored.
    pub const fn is_write(self) -> bool {
        matches!(self, Self::Insert | Self::Replace | Self::Delete | Self::Increment | Self::Add)
    }

    /// Describes a use of a collection, as in ``to list `users` by `by_creation` ``.
    pub fn described(self, collection: &str) -> String {
        let verb = match self {
            Self::List(index) => return format!("list `{collection}` by `{index}`"),
            Self::Read => "read",
            Self::Search => "search",
            Self::Scan => "scan",
            Self::Insert => "insert into",
            Self::Replace => "replace in",
            Self::Delete => "delete from",
            Self::Increment => "increment in",
            Self::Add => "add to",
        };
        format!("{verb} `{collection}`")
    }
}

/// What every function does that knows users, whatever it serves: it compares its secrets with those of the database, reads
/// the public keys of access tokens, asks what its users may do, records events and refusals in the audit log, and follows
/// the conventions of the API (idempotency keys, rate limits).
pub(crate) const OF_USERS: &[Use] = &[
    (SECRET_CHECKS.name, &[Access::Read]),
    ("token_keys", &[Access::Read]),
    ("users", &[Access::Read]),
    ("roles", &[Access::Read]),
    ("audit_entries", &[Access::Insert]),
    ("audit_chains", &[Access::Read, Access::Insert, Access::Replace]),
    ("audit_refusals", &[Access::Read, Access::Insert, Access::Replace, Access::Increment]),
    ("idempotency_keys", &[Access::Read, Access::Insert, Access::Replace, Access::Delete]),
    ("request_effects", &[Access::Insert]),
    ("rate_windows", &[Access::Add]),
];
