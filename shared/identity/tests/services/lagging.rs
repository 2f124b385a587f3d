//! The same tests on a store whose queries, searches and scans lag behind. They show that no service bases a
//! decision on them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use switchyard_ambient::Ambient;
use switchyard_database::Database;
use switchyard_database::conformance::{Lagging, Memory};

/// Turns each `async fn name(world: World)` into a test.
macro_rules! on_every_backend {
    ($($name:ident),+ $(,)?) => {
        mod on_lagging {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    super::$name(crate::world::World::new().await).await;
                }
            )+
        }
    };
}

mod accounts;
mod admins;
mod audit;
mod devices;
mod ended;
mod guesses;
mod import;
mod roles;
mod sessions;
mod users;
mod world;

const LAG: Duration = Duration::from_millis(10);

fn database(ambient: Ambient) -> Arc<dyn Database> {
    Arc::new(Lagging::new(&Memory::new(ambient.clone()), ambient, LAG))
}
