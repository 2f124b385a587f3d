//! Statements and calls of statements.

use tokio_postgres::types::{ToSql, Type};

/// The value of a parameter.
pub(crate) type Param<'a> = Box<dyn ToSql + Sync + Send + 'a>;

/// The text of a statement with the types of its parameters. The types save a request to the server that would ask
/// for them.
#[derive(Clone, Debug)]
pub(crate) struct Sql {
    pub(crate) text: String,
    pub(crate) types: Vec<Type>,
}

impl Sql {
    pub(crate) fn new(text: impl Into<String>, types: &[Type]) -> Self {
        Self { text: text.into(), types: types.to_vec() }
    }
}

/// A statement with values for its parameters.
pub(crate) struct Call<'a> {
    pub(crate) sql: &'a Sql,
    pub(crate) params: Vec<Param<'a>>,
}

/// One of the statements that are sent together.
pub(crate) enum Step<'a> {
    /// Text without parameters, such as `begin`.
    Plain(&'a str),
    Call(Call<'a>),
}

pub(crate) fn call<'a>(sql: &'a Sql, params: Vec<Param<'a>>) -> Step<'a> {
    Step::Call(Call { sql, params })
}

/// Collects the parameters of a statement while its text is built.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    types: Vec<Type>,
}

impl Parameters {
    /// Adds a parameter and returns its placeholder.
    pub(crate) fn next(&mut self, kind: Type) -> String {
        self.types.push(kind);
        format!("${}", self.types.len())
    }

    pub(crate) fn into_sql(self, text: String) -> Sql {
        Sql { text, types: self.types }
    }
}
