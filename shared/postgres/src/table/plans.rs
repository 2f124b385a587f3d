//! Tests of the query plans: each statement follows an index and reads no more than a page, wherever the page
//! begins.

use serde_json::Value;
use switchyard_ambient::Ambient;
use switchyard_database::{Collection, Database as _, Field, Index, Schema, Unique};
use tokio_postgres::{Client, NoTls};

use super::{Storage, Table};
use crate::Postgres;
use crate::limits::PLANNING;
use crate::sql::Sql;

const NOTES: &Collection = &Collection::new("notes")
    .fields(&[
        Field::string("author"),
        Field::time("written_at"),
        Field::string("code"),
        Field::string("title"),
    ])
    .indexes(&[
        Index::new("by_author").partition(&["author"]).sort(&["written_at"]),
        Index::new("by_time").sort(&["written_at"]),
    ])
    .uniques(&[Unique::new("code", &["code"])])
    .search(&["title"])
    .expiring();

/// Numbers of rows. With few rows, as in a new table, the planner would prefer to read the whole table, and would
/// keep that plan when the table has grown. The large number makes a wrong plan visible.
const ROWS: [i64; 2] = [3, 20_000];

struct Plans {
    /// For each number of rows, a session with the settings of the pool, and its schema.
    sessions: Vec<(Client, String)>,
    table: Table,
}

impl Plans {
    async fn new() -> Self {
        let url = std::env::var("TEST_POSTGRES_URL").expect(
            "TEST_POSTGRES_URL is not set: run `local/servers start`, then `eval \"$(local/servers env)\"`, and test \
             again",
        );
        let mut sessions = Vec::new();
        for rows in ROWS {
            let (client, connection) =
                tokio_postgres::connect(&url, NoTls).await.expect("PostgreSQL answers");
            tokio::spawn(connection);
            let schema = format!("test_{}", Ambient::system().uuid_v7().simple());
            client
                .batch_execute(&format!("create schema {schema}; set search_path = {schema}"))
                .await
                .unwrap();
            let url = format!("{url}?options=-c%20search_path%3D{schema}");
            let database = Postgres::connect(&url, Ambient::system()).await.unwrap();
            database.migrate(&Schema::new([NOTES]).unwrap()).await.unwrap();
            fill(&client, rows).await;
            for (name, value) in PLANNING {
                client.batch_execute(&format!("set {name} = {value}")).await.unwrap();
            }
            sessions.push((client, schema));
        }
        Self { sessions, table: Table::new(NOTES) }
    }

    /// Returns the plan of a statement, which must be the same for both numbers of rows, with the measurements for
    /// the large table.
    async fn explain(&self, sql: &Sql, arguments: &str) -> Plan {
        let types = sql.types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let mut plans = Vec::new();
        for (client, _) in &self.sessions {
            client.batch_execute(&format!("prepare s ({types}) as {}", sql.text)).await.unwrap();
            let explain =
                format!("explain (analyze, buffers, timing off, format json) execute s ({arguments})");
            let reply = client.simple_query(&explain).await.unwrap();
            let text = crate::migrate::single_value(&reply).expect("a plan has a row");
            client.batch_execute("deallocate s").await.unwrap();
            let plan: Value = serde_json::from_str(text).unwrap();
            plans.push(Plan(plan[0]["Plan"].clone()));
        }
        let [few, many] = <[Plan; 2]>::try_from(plans).expect("there are two sessions");
        assert_eq!(few.steps(), many.steps(), "{}", sql.text);
        many
    }

    async fn close(self) {
        for (client, schema) in self.sessions {
            let drop = format!("set client_min_messages = warning; drop schema {schema} cascade");
            client.batch_execute(&drop).await.unwrap();
        }
    }
}

/// Fills the table with rows as this crate writes them, created on the server: forty authors, and one word that
/// all titles contain.
async fn fill(client: &Client, rows: i64) {
    let Storage { indexes, uniques, terms } = Storage::new(NOTES);
    let terms = terms.expect("the collection has search fields");
    let fill = format!(
        "create temp table made as select n, 'n' || lpad(n::text, 8, '0') as id, \
           int8send((n::bit(64) # (1::bigint << 63)::bit(64))::bigint) as time from generate_series(1, {rows}) n; \
         insert into notes (id, version, doc, layout, {by_author}, {by_time}, {code}) \
           select id, '\\x00', '{{}}', 0, \
             ('author' || n % 40)::bytea || '\\x00' || time || id::bytea || '\\x00', \
             time || id::bytea || '\\x00', ('code' || n)::bytea || '\\x00' from made; \
         insert into {terms} select convert_to('common', 'UTF8') || '\\x00' || id::bytea || '\\x00', id from made; \
         analyze notes; analyze {terms}",
        by_author = indexes[0],
        by_time = indexes[1],
        code = uniques[0],
    );
    client.batch_execute(&fill).await.unwrap();
}

#[derive(Debug)]
struct Plan(Value);

impl Plan {
    /// Returns the types of the steps, the outermost first.
    fn steps(&self) -> Vec<String> {
        fn collect(plan: &Value, into: &mut Vec<String>) {
            into.push(plan["Node Type"].as_str().unwrap_or_default().to_owned());
            plan["Plans"].as_array().into_iter().flatten().for_each(|below| collect(below, into));
        }
        let mut steps = Vec::new();
        collect(&self.0, &mut steps);
        steps
    }

    #[expect(clippy::cast_possible_truncation, reason = "it is a whole number")]
    fn rows(&self) -> i64 {
        self.0["Actual Rows"].as_f64().unwrap_or_default() as i64
    }

    /// Returns the number of 8 KiB pages that were read.
    fn pages(&self) -> i64 {
        ["Shared Hit Blocks", "Shared Read Blocks"].iter().filter_map(|name| self.0[name].as_i64()).sum()
    }
}

/// Returns the position of row `number` in an index, as SQL.
fn position(author: &str, number: i64) -> String {
    format!(
        "'{author}'::bytea || {nul} || int8send(({number}::bigint::bit(64) # (1::bigint << 63)::bit(64))::bigint)",
        nul = if author.is_empty() { "''::bytea" } else { "'\\x00'::bytea" }
    )
}

#[tokio::test]
async fn a_key_is_read_through_one_index_entry() {
    let plans = Plans::new().await;
    let reads = &plans.table.reads;
    for (sql, arguments) in
        [(&reads.get, "'n00011234'"), (&reads.lookup[0], "'code11234'::bytea || '\\x00'::bytea")]
    {
        let plan = plans.explain(sql, arguments).await;
        assert_eq!(plan.steps(), ["Index Scan"], "{plan:?}");
        assert_eq!(plan.rows(), 1);
        assert!(plan.pages() <= 5, "{plan:?}");
    }
    plans.close().await;
}

#[tokio::test]
async fn a_page_reads_only_its_own_rows_wherever_it_begins() {
    let plans = Plans::new().await;
    let first = position("", 1);
    let last = position("", ROWS[1] - 100);
    let end = "'\\xffffffffffffffffffff'::bytea";
    for sql in &plans.table.reads.range[1] {
        for (from, to) in [(&first, end), (&last, end), (&first, &*position("", 200))] {
            let plan = plans.explain(sql, &format!("{from}, {to}, 0, 50")).await;
            assert_eq!(plan.steps(), ["Limit", "Index Scan"], "{plan:?}");
            assert_eq!(plan.rows(), 50);
            assert!(plan.pages() <= 60, "{plan:?}");
        }
    }
    plans.close().await;
}

#[tokio::test]
async fn a_page_of_a_partition_reads_only_its_own_rows() {
    let plans = Plans::new().await;
    for sql in &plans.table.reads.range[0] {
        let arguments = format!("{}, '\\x617574686f723701'::bytea, 0, 50", position("author7", 0)); // author7 and 01
        let plan = plans.explain(sql, &arguments).await;
        assert_eq!(plan.steps(), ["Limit", "Index Scan"], "{plan:?}");
        assert_eq!(plan.rows(), 50);
        assert!(plan.pages() <= 60, "{plan:?}");
    }
    plans.close().await;
}

#[tokio::test]
async fn a_search_follows_the_index_of_its_terms() {
    let plans = Plans::new().await;
    for sql in plans.table.reads.terms.as_ref().expect("the collection has search fields") {
        for from in ["'comm'::bytea", "'common'::bytea || '\\x00'::bytea || 'n00019000'::bytea"] {
            let plan = plans.explain(sql, &format!("{from}, 'comn'::bytea, 0, 50")).await;
            assert_eq!(plan.steps(), ["Limit", "Nested Loop", "Index Scan", "Index Scan"], "{plan:?}");
            assert_eq!(plan.rows(), 50);
            assert!(plan.pages() <= 260, "{plan:?}");
        }
    }
    plans.close().await;
}

#[tokio::test]
async fn a_scan_continues_after_an_id() {
    let plans = Plans::new().await;
    for after in ["''", "'n00019000'"] {
        let plan = plans.explain(&plans.table.reads.scan, &format!("{after}, 0, 50")).await;
        assert_eq!(plan.steps(), ["Limit", "Index Scan"], "{plan:?}");
        assert_eq!(plan.rows(), 50);
        assert!(plan.pages() <= 60, "{plan:?}");
    }
    plans.close().await;
}

#[tokio::test]
async fn each_statement_finds_its_rows_through_an_index() {
    let plans = Plans::new().await;
    let Table { reads, single, locked, .. } = &plans.table;
    let terms = locked.terms.as_ref().expect("the collection has search fields");
    let codes = "array['code1'::bytea || '\\x00'::bytea, 'code2'::bytea || '\\x00'::bytea]";
    let term = "array['common'::bytea || '\\x00'::bytea || 'n00000001'::bytea || '\\x00'::bytea]";
    for (sql, arguments) in [
        (&reads.get_many, "array['n00000001', 'n00000002']"),
        (&locked.read_for_write, "array['n00000001', 'n00000002'], array['n00000001']"),
        (&locked.read_for_check, "array['n00000001', 'n00000002']"),
        (&locked.read_unlocked, "array['n00000001', 'n00000002']"),
        (&locked.owners[0], codes),
        (&locked.remove_expired, "array['n00000001'], 1"),
        (&locked.release[0], "array['n00000001']"),
        (&locked.release_stale[0], "'n00000001', '\\x00'"),
        (&locked.delete, "'n00000002'"),
        (&terms.delete, term),
        (&single.delete, "'n00000003', '\\x00', 0, array['\\x01'::bytea]"),
        (&single.increment, "'n00000001', '\\x01', 'none', 1, 0, 0"),
    ] {
        let plan = plans.explain(sql, arguments).await;
        let steps = plan.steps();
        for step in ["Seq Scan", "Sort", "Hash Join", "Merge Join"] {
            assert!(!steps.iter().any(|taken| taken == step), "{steps:?} of {}", sql.text);
        }
        assert!(plan.pages() <= 40, "{} pages for {}", plan.pages(), sql.text);
    }
    plans.close().await;
}
