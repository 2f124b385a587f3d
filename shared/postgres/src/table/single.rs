//! Statements that are each a whole transaction.

use tokio_postgres::types::Type;

use super::{Writer, is_live, list};
use crate::sql::{Parameters, Sql};

/// Statements that are each a whole transaction. They return a row for each document that was written.
#[derive(Debug)]
pub(crate) struct Single {
    /// `locks, id, version, doc, expires_at, columns…[, terms][, now]`; `now` only in an expiring collection.
    pub(crate) create: Sql,
    /// `id, version, doc, expires_at, columns…, previous version, now[, terms gone, terms new]`.
    pub(crate) replace: Sql,
    /// Like `replace`, preceded by the `locks` of the unique values that it claims.
    pub(crate) replace_claiming: Sql,
    /// `id, version, now[, terms]`.
    pub(crate) delete: Sql,
    /// `id, version, field, by, at least, now`.
    pub(crate) increment: Sql,
    /// `locks, id, version, doc, expires_at, field, by, now`, if the collection has a tally. Returns the tally, or no row
    /// if it would overflow.
    pub(crate) add: Option<Sql>,
}

const LOCKED: &str = "locked as materialized (select count(pg_advisory_xact_lock(k)) from unnest";

impl Single {
    pub(super) fn new(writer: &Writer) -> Self {
        Self {
            create: writer.create(),
            replace: writer.replace(false),
            replace_claiming: writer.replace(true),
            delete: writer.delete(),
            increment: writer.increment(),
            add: writer.collection.tally.is_some().then(|| writer.add()),
        }
    }
}

impl Writer {
    /// A new document may replace an expired one. Everything is overwritten except the search terms.
    fn create(&self) -> Sql {
        let mut parameters = Parameters::default();
        let locks = parameters.next(Type::INT8_ARRAY);
        let row = self.row(&mut parameters);
        let (names, values) = (list(&row, |(name, _)| name.clone()), list(&row, |(_, value)| value.clone()));
        let id = &row[0].1;
        let table = &self.table;
        let terms = self.storage.terms.as_ref().map(|terms| (terms, parameters.next(Type::BYTEA_ARRAY)));
        let mut insert =
            format!("insert into {table} ({names}) select {values} from locked on conflict (id) do ");
        if self.collection.expiring {
            let now = parameters.next(Type::INT8);
            let sets = list(&row[1..], |(name, _)| format!("{name} = excluded.{name}"));
            insert += &format!("update set {sets} where {table}.expires_at <= {now}");
        } else {
            insert += "nothing";
        }
        let Some((terms, terms_new)) = terms else {
            return parameters.into_sql(format!("with {LOCKED}({locks}) k) {insert}"));
        };
        let mut text = format!(
            "with {LOCKED}({locks}) k), written as ({insert} returning 1), \
             added as (insert into {terms} (position, id) select p, {id} from unnest({terms_new}) p, written \
             on conflict do nothing)"
        );
        if self.collection.expiring {
            // Both statements see the previous state: a term that stays must not be deleted by one of them and
            // skipped by the other.
            text += &format!(
                ", gone as (delete from {terms} using written where id = {id} and position <> all({terms_new}))"
            );
        }
        parameters.into_sql(text + " select from written")
    }

    fn replace(&self, is_claiming: bool) -> Sql {
        let mut parameters = Parameters::default();
        let locks = is_claiming.then(|| parameters.next(Type::INT8_ARRAY));
        let row = self.row(&mut parameters);
        let sets = self.sets(&row);
        let id = row[0].1.clone();
        let previous = parameters.next(Type::BYTEA);
        let live = is_live(&parameters.next(Type::INT8));
        let Self { table, .. } = self;
        let from = if is_claiming { " from locked" } else { "" };
        let update =
            format!("update {table} set {sets}{from} where id = {id} and version = {previous} and {live}");
        let with_locks = locks.map(|locks| format!("{LOCKED}({locks}) k)"));
        let text = self.with_terms(update, with_locks, &id, true, &mut parameters);
        parameters.into_sql(text)
    }

    fn delete(&self) -> Sql {
        let mut parameters = Parameters::default();
        let (id, version) = (parameters.next(Type::TEXT), parameters.next(Type::BYTEA));
        let live = is_live(&parameters.next(Type::INT8));
        let delete = format!("delete from {} where id = {id} and version = {version} and {live}", self.table);
        let text = self.with_terms(delete, None, &id, false, &mut parameters);
        parameters.into_sql(text)
    }

    /// Extends a statement that writes one row with statements that change its search terms if the row was
    /// written.
    fn with_terms(
        &self,
        write: String,
        with: Option<String>,
        id: &str,
        adds: bool,
        parameters: &mut Parameters,
    ) -> String {
        let mut with: Vec<String> = with.into_iter().collect();
        let Some(terms) = &self.storage.terms else {
            return if with.is_empty() { write } else { format!("with {} {write}", with.join(", ")) };
        };
        with.push(format!("written as ({write} returning 1)"));
        let gone = parameters.next(Type::BYTEA_ARRAY);
        with.push(format!("gone as (delete from {terms} using written where position = any({gone}))"));
        if adds {
            let new = parameters.next(Type::BYTEA_ARRAY);
            with.push(format!(
                "added as (insert into {terms} (position, id) select p, {id} from unnest({new}) p, written \
                 on conflict do nothing)"
            ));
        }
        format!("with {} select from written", with.join(", "))
    }

    /// A collection with a tally has no derived columns and no terms.
    fn add(&self) -> Sql {
        let Self { table, layout, .. } = self;
        let expired = format!("{table}.expires_at <= $8");
        let fits = format!("({table}.doc -> $6)::numeric + $7 between {} and {}", i64::MIN, i64::MAX);
        let sum = format!("jsonb_set({table}.doc, array[$6], to_jsonb(({table}.doc -> $6)::bigint + $7))");
        Sql::new(
            format!(
                "with {LOCKED}($1) k) insert into {table} (id, version, doc, expires_at, layout) \
                 select $2, $3, $4, $5, {layout} from locked on conflict (id) do update set \
                 version = excluded.version, expires_at = excluded.expires_at, layout = excluded.layout, \
                 doc = case when {expired} then excluded.doc else {sum} end where {expired} or {fits} \
                 returning (doc -> $6)::bigint"
            ),
            &[
                Type::INT8_ARRAY,
                Type::TEXT,
                Type::BYTEA,
                Type::JSONB,
                Type::INT8,
                Type::TEXT,
                Type::INT8,
                Type::INT8,
            ],
        )
    }

    fn increment(&self) -> Sql {
        Sql::new(
            format!(
                "update {} set version = $2, doc = jsonb_set(doc, array[$3], to_jsonb((doc -> $3)::bigint + $4)) \
                 where id = $1 and (doc -> $3)::numeric + $4 between $5 and {} and {}",
                self.table,
                i64::MAX,
                is_live("$6")
            ),
            &[Type::TEXT, Type::BYTEA, Type::TEXT, Type::INT8, Type::INT8, Type::INT8],
        )
    }
}
