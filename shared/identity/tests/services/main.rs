//! Tests the services of identity on a database. Tests whose outcome depends on the database, such as races,
//! run on every backend.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use switchyard_ambient::Ambient;
use switchyard_database::Database;
use switchyard_sqlite::Sqlite;

/// Turns each `async fn name(world: World)` into a test on each backend. For tests whose outcome depends on the
/// database, such as races.
macro_rules! on_every_backend {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite { on_every_backend!(@ Sqlite $($name),+); }
        mod on_postgres { on_every_backend!(@ Postgres $($name),+); }
        mod on_dynamodb { on_every_backend!(@ DynamoDb $($name),+); }
    };
    (@ $backend:ident $($name:ident),+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(crate::world::World::on(switchyard_harness::store::Backend::$backend).await).await;
            }
        )+
    };
}

mod accounts;
mod audit;
mod import;
mod roles;
mod sessions;
mod users;
mod world;

/// Lists on this store are always up to date.
const LAG: Duration = Duration::ZERO;

fn database(ambient: Ambient) -> Arc<dyn Database> {
    Arc::new(Sqlite::in_memory(ambient).unwrap())
}
