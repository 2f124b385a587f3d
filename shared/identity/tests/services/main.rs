//! The services of identity, on a database. What is decided by the database, races above all, is tested on
//! every backend.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use switchyard_ambient::Ambient;
use switchyard_database::Database;
use switchyard_sqlite::Sqlite;

/// Makes a test of `async fn name(world: World)` on each backend. For what is decided by the database: races
/// above all.
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

/// Listings are up to date.
const LAG: Duration = Duration::ZERO;

fn database(ambient: Ambient) -> Arc<dyn Database> {
    Arc::new(Sqlite::in_memory(ambient).unwrap())
}
