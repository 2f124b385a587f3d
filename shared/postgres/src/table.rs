//! The statements on one collection's table.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use switchyard_database::Collection;
use tokio_postgres::types::Type;

use crate::names;
use crate::sql::{Parameters, Sql};

/// The statements on a collection's table, written once.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) collection: &'static Collection,
    /// What a row says of the declaration under which it was written.
    pub(crate) layout: i64,
    pub(crate) reads: Reads,
    pub(crate) single: Single,
    pub(crate) locked: Locked,
}

/// Statements that read.
#[derive(Debug)]
pub(crate) struct Reads {
    /// `id` → document.
    pub(crate) get: Sql,
    /// `ids` → documents.
    pub(crate) get_many: Sql,
    /// For each unique attribute: value → document.
    pub(crate) lookup: Vec<Sql>,
    /// For each index, ascending and descending: `from, to, now, limit` → position and document.
    pub(crate) range: Vec<[Sql; 2]>,
    /// The same for the search terms.
    pub(crate) terms: [Sql; 2],
    /// `after, now, limit` → documents.
    pub(crate) scan: Sql,
}

/// Statements that are a whole transaction each; they answer with a row for each document that was written.
#[derive(Debug)]
pub(crate) struct Single {
    /// `locks, id, version, doc, expires_at, columns…[, terms], now`.
    pub(crate) create: Sql,
    /// `id, version, doc, expires_at, columns…, previous version, now[, terms gone, terms new]`.
    pub(crate) replace: Sql,
    /// The same with the `locks` of the unique values that it claims in front.
    pub(crate) replace_claiming: Sql,
    /// `id, version, now[, terms]`.
    pub(crate) delete: Sql,
    /// `id, version, field, by, at least, now`.
    pub(crate) increment: Sql,
}

/// Statements of a transaction that holds the locks of everything that it names.
#[derive(Debug)]
pub(crate) struct Locked {
    /// `ids, ids of those whose content is needed` → documents, locked for a write, or against writes.
    pub(crate) read_for_write: Sql,
    pub(crate) read_for_check: Sql,
    /// For each unique attribute: `values` → who holds them.
    pub(crate) owners: Vec<Sql>,
    /// `ids, now`: removes documents that have expired.
    pub(crate) remove_expired: Sql,
    /// For each unique attribute: `ids`, which let go of their values.
    pub(crate) release: Vec<Sql>,
    /// `id, version, doc, expires_at, columns…`.
    pub(crate) insert: Sql,
    /// The same.
    pub(crate) update: Sql,
    /// `id`.
    pub(crate) delete: Sql,
    /// `positions, ids`.
    pub(crate) insert_terms: Sql,
    /// `positions`.
    pub(crate) delete_terms: Sql,
}

/// The condition that a row has not expired.
fn is_live(now: &str) -> String {
    format!("(expires_at is null or expires_at > {now})")
}

const DOCUMENT: &str = "id, version, doc, expires_at";
const LOCKED: &str = "locked as materialized (select count(pg_advisory_xact_lock(k)) from unnest";

impl Table {
    pub(crate) fn new(collection: &'static Collection) -> Self {
        let writer = Writer::new(collection);
        Self {
            collection,
            layout: writer.layout,
            reads: reads(collection),
            single: Single {
                create: writer.create(),
                replace: writer.replace(false),
                replace_claiming: writer.replace(true),
                delete: writer.delete(),
                increment: writer.increment(),
            },
            locked: locked(&writer),
        }
    }

    pub(crate) fn has_terms(&self) -> bool {
        !self.collection.search.is_empty()
    }
}

fn reads(collection: &'static Collection) -> Reads {
    let table = names::table(collection);
    let range = |column: &str, source: &str| {
        ["asc", "desc"].map(|direction| {
            Sql::new(
                format!(
                    "select {column}, d.id, d.version, d.doc, d.expires_at from {source} \
                     where {column} >= $1 and {column} < $2 and (d.expires_at is null or d.expires_at > $3) \
                     order by {column} {direction} limit $4"
                ),
                &[Type::BYTEA, Type::BYTEA, Type::INT8, Type::INT8],
            )
        })
    };
    let unique_columns =
        collection.uniques.iter().map(|unique| names::quoted(&names::unique_column(unique.name)));
    let index_columns =
        collection.indexes.iter().map(|index| names::quoted(&names::index_column(index.name)));
    let terms = names::quoted(&names::terms_table(collection.name));
    Reads {
        get: Sql::new(format!("select version, doc, expires_at from {table} where id = $1"), &[Type::TEXT]),
        get_many: Sql::new(format!("select {DOCUMENT} from {table} where id = any($1)"), &[Type::TEXT_ARRAY]),
        lookup: unique_columns
            .map(|column| {
                Sql::new(format!("select {DOCUMENT} from {table} where {column} = $1"), &[Type::BYTEA])
            })
            .collect(),
        range: index_columns.map(|column| range(&format!("d.{column}"), &format!("{table} d"))).collect(),
        terms: range("t.position", &format!("{terms} t join {table} d on d.id = t.id")),
        scan: Sql::new(
            format!(
                "select {DOCUMENT} from {table} where id > $1 and {} order by id limit $3",
                is_live("$2")
            ),
            &[Type::TEXT, Type::INT8, Type::INT8],
        ),
    }
}

/// Writes the statements that write.
struct Writer {
    collection: &'static Collection,
    table: String,
    terms: String,
    has_terms: bool,
    /// The columns that follow from the content, in the order of [`columns_of`].
    columns: Vec<String>,
    layout: i64,
}

impl Writer {
    fn new(collection: &'static Collection) -> Self {
        let indexes = collection.indexes.iter().map(|index| names::index_column(index.name));
        let uniques = collection.uniques.iter().map(|unique| names::unique_column(unique.name));
        Self {
            collection,
            table: names::table(collection),
            terms: names::quoted(&names::terms_table(collection.name)),
            has_terms: !collection.search.is_empty(),
            columns: indexes.chain(uniques).map(|column| names::quoted(&column)).collect(),
            layout: crate::layout::of(collection),
        }
    }

    /// Names and placeholders of all columns of a row.
    fn row(&self, parameters: &mut Parameters) -> Vec<(String, String)> {
        let mut row = vec![
            ("id".to_owned(), parameters.next(Type::TEXT)),
            ("version".to_owned(), parameters.next(Type::UUID)),
            ("doc".to_owned(), parameters.next(Type::JSONB)),
            ("expires_at".to_owned(), parameters.next(Type::INT8)),
            ("layout".to_owned(), self.layout.to_string()),
        ];
        row.extend(self.columns.iter().map(|column| (column.clone(), parameters.next(Type::BYTEA))));
        row
    }

    /// A new document may take the place of one that has expired, all but its search terms overwritten.
    fn create(&self) -> Sql {
        let mut parameters = Parameters::default();
        let locks = parameters.next(Type::INT8_ARRAY);
        let row = self.row(&mut parameters);
        let (names, values) = (list(&row, |(name, _)| name.clone()), list(&row, |(_, value)| value.clone()));
        let id = &row[0].1;
        let Self { table, terms, .. } = self;
        let terms_new = self.has_terms.then(|| parameters.next(Type::BYTEA_ARRAY));
        let mut insert =
            format!("insert into {table} ({names}) select {values} from locked on conflict (id) do ");
        if self.collection.expiring {
            let now = parameters.next(Type::INT8);
            let sets = list(&row[1..], |(name, _)| format!("{name} = excluded.{name}"));
            insert += &format!("update set {sets} where {table}.expires_at <= {now}");
        } else {
            insert += "nothing";
        }
        let Some(terms_new) = terms_new else {
            return parameters.into_sql(format!("with {LOCKED}({locks}) k) {insert}"));
        };
        let mut text = format!(
            "with {LOCKED}({locks}) k), written as ({insert} returning 1), \
             added as (insert into {terms} (position, id) select p, {id} from unnest({terms_new}) p, written \
             on conflict do nothing)"
        );
        if self.collection.expiring {
            // Both see the state before: a term that stays must not be deleted by one and left alone by the other.
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
        let sets = list(&row[1..], |(name, value)| format!("{name} = {value}"));
        let id = row[0].1.clone();
        let previous = parameters.next(Type::UUID);
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
        let (id, version) = (parameters.next(Type::TEXT), parameters.next(Type::UUID));
        let live = is_live(&parameters.next(Type::INT8));
        let delete = format!("delete from {} where id = {id} and version = {version} and {live}", self.table);
        let text = self.with_terms(delete, None, &id, false, &mut parameters);
        parameters.into_sql(text)
    }

    /// Completes a statement that writes one row by one that changes its search terms when it did.
    fn with_terms(
        &self,
        write: String,
        with: Option<String>,
        id: &str,
        adds: bool,
        parameters: &mut Parameters,
    ) -> String {
        let mut with: Vec<String> = with.into_iter().collect();
        if !self.has_terms {
            return if with.is_empty() { write } else { format!("with {} {write}", with.join(", ")) };
        }
        let terms = &self.terms;
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

    fn increment(&self) -> Sql {
        Sql::new(
            format!(
                "update {} set version = $2, doc = jsonb_set(doc, array[$3], to_jsonb((doc -> $3)::bigint + $4)) \
                 where id = $1 and (doc -> $3)::numeric + $4 between $5 and {} and {}",
                self.table,
                i64::MAX,
                is_live("$6")
            ),
            &[Type::TEXT, Type::UUID, Type::TEXT, Type::INT8, Type::INT8, Type::INT8],
        )
    }
}

fn locked(writer: &Writer) -> Locked {
    let Writer { collection, table, terms, .. } = writer;
    let unique_columns: Vec<_> =
        collection.uniques.iter().map(|unique| names::quoted(&names::unique_column(unique.name))).collect();
    let read = |lock: &str| {
        Sql::new(
            format!(
                "select id, version, case when id = any($2) then doc end, expires_at from {table} \
                 where id = any($1) {lock}"
            ),
            &[Type::TEXT_ARRAY, Type::TEXT_ARRAY],
        )
    };
    let expired = format!("delete from {table} where id = any($1) and expires_at <= $2");
    let remove_expired = if writer.has_terms {
        format!("with gone as ({expired} returning id) delete from {terms} t using gone where t.id = gone.id")
    } else {
        expired
    };
    let mut insert = Parameters::default();
    let row = writer.row(&mut insert);
    let insert = insert.into_sql(format!(
        "insert into {table} ({}) values ({})",
        list(&row, |(name, _)| name.clone()),
        list(&row, |(_, value)| value.clone())
    ));
    let sets = list(&row[1..], |(name, value)| format!("{name} = {value}"));
    let update = Sql::new(format!("update {table} set {sets} where id = $1"), &insert.types);
    Locked {
        read_for_write: read("for update"),
        read_for_check: read("for share"),
        owners: unique_columns
            .iter()
            .map(|column| {
                let text = format!("select {column}, id, expires_at from {table} where {column} = any($1)");
                Sql::new(text, &[Type::BYTEA_ARRAY])
            })
            .collect(),
        remove_expired: Sql::new(remove_expired, &[Type::TEXT_ARRAY, Type::INT8]),
        release: unique_columns
            .iter()
            .map(|column| {
                Sql::new(
                    format!("update {table} set {column} = null where id = any($1)"),
                    &[Type::TEXT_ARRAY],
                )
            })
            .collect(),
        insert,
        update,
        delete: Sql::new(format!("delete from {table} where id = $1"), &[Type::TEXT]),
        insert_terms: Sql::new(
            format!("insert into {terms} (position, id) select * from unnest($1, $2) on conflict do nothing"),
            &[Type::BYTEA_ARRAY, Type::TEXT_ARRAY],
        ),
        delete_terms: Sql::new(format!("delete from {terms} where position = any($1)"), &[Type::BYTEA_ARRAY]),
    }
}

fn list(row: &[(String, String)], of: impl FnMut(&(String, String)) -> String) -> String {
    row.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// The tables of the collections that were used so far.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    /// By the address of the declaration: two declarations of one name, as before and after a change, are two.
    tables: RwLock<HashMap<usize, Arc<Table>>>,
}

impl Tables {
    pub(crate) fn of(&self, collection: &'static Collection) -> Arc<Table> {
        let address = std::ptr::from_ref(collection).addr();
        let known = self.tables.read().unwrap_or_else(PoisonError::into_inner).get(&address).cloned();
        known.unwrap_or_else(|| {
            let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
            tables.entry(address).or_insert_with(|| Arc::new(Table::new(collection))).clone()
        })
    }
}
