//! Books on every database.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// Makes a test of `async fn name(world: World)` on each database.
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

mod access;
mod changes;
mod limit;
mod lists;
mod world;
