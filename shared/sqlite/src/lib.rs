//! An implementation of the [`Database`](switchyard_database::Database) contract on embedded SQLite.
//!
//! ```
//! use switchyard_ambient::Ambient;
//! use switchyard_database::{Batch, Collection, Database, Field, Key, Operation, Schema};
//! use switchyard_sqlite::Sqlite;
//!
//! const NOTES: &Collection = &Collection::new("notes").fields(&[Field::string("text")]);
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let ambient = Ambient::system();
//! let sqlite = Sqlite::in_memory(ambient.clone())?;
//! sqlite.migrate(&Schema::new([NOTES])?).await?;
//!
//! let key = Key::new(NOTES, "n-1")?;
//! let body = serde_json::json!({"text": "hello"}).as_object().cloned().unwrap_or_default();
//! let create = Operation::Create { key: key.clone(), body, expires_at: None };
//! sqlite.commit(&Batch::new(vec![create], &ambient)?).await?;
//! assert_eq!(sqlite.get(&key).await?.map(|note| note.body["text"].clone()), Some("hello".into()));
//! # Ok::<(), switchyard_database::Error>(()) }).unwrap();
//! ```
//!
//! # How it works
//!
//! One thread writes. It takes the waiting batches, applies them in one transaction, and answers when the
//! transaction is on the disk, so that one `fsync` serves all of them. A pool of connections reads; in WAL mode
//! readers and the writer do not wait for each other. A caller that is cancelled loses only the answer; its
//! transaction is still applied.
//!
//! # What is stored
//!
//! | name | contents |
//! |---|---|
//! | `users` | the documents: `id`, `version`, `doc` (JSON), `expires_at` (microseconds since 1970), then `terms`, and for each index a column `i_<index>` and for each unique attribute a column `u_<attribute>` with the encoded key, or `NULL` if the document has none |
//! | `_users_terms` | the search terms, in search order |
//! | `_users_view` | a view for people: the declared fields as columns, times as text |
//! | `_switchyard_layout` | the declarations for which the tables above were created |
//!
//! Several processes may have one file open: each write transaction reads the state on which it decides under
//! SQLite's own lock, and a process refuses to write if the tables lack something that it declares.

mod add;
mod commit;
mod database;
mod fault;
mod group;
mod layout;
mod migrate;
mod open;
mod pool;
mod ranges;
mod removal;
mod rows;
mod statements;
mod sweep;
mod view;
mod writer;

pub use database::Sqlite;
