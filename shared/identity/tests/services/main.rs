//! Tests the services of identity on a database. Tests whose outcome depends on the database, such as races,
//! run on every backend.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

// The modules are part of the tests on a lagging store too, which has another macro of this name.
#[macro_use(on_every_backend)]
extern crate switchyard_harness;

use std::sync::Arc;
use std::time::Duration;

use switchyard_ambient::Ambient;
use switchyard_database::Database;
use switchyard_sqlite::Sqlite;

mod accounts;
mod admins;
mod audit;
mod devices;
mod ended;
mod guesses;
mod import;
mod keys;
mod roles;
mod sessions;
mod users;
mod world;

/// Lists on this store are always up to date.
const LAG: Duration = Duration::ZERO;

fn database(ambient: Ambient) -> Arc<dyn Database> {
    Arc::new(Sqlite::in_memory(ambient).unwrap())
}
