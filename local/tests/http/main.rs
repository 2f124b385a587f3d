//! Tests the whole API over HTTP, on every backend: requests go through the routers and all layers around them.
//!
//! Each scenario is a function of an [`App`]. [`on_every_backend`] turns it into one test per database.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod account;
mod audit;
mod audited;
mod authorization;
mod limits;
mod lists;
mod lost_answers;
mod operations;
mod profile;
mod races;
mod requests;
mod roles;
mod sessions;
mod text;
mod users;

use switchyard_api::ApiSettings;
use switchyard_harness::app::App;
use switchyard_harness::store::Backend;
use switchyard_runtime::Metrics;

/// Turns each scenario of a module into a test on every backend.
macro_rules! on_every_backend {
    ($($scenario:ident),+ $(,)?) => {
        $crate::on_every_backend!(@ sqlite Sqlite [$($scenario)+]);
        $crate::on_every_backend!(@ postgres Postgres [$($scenario)+]);
        $crate::on_every_backend!(@ dynamodb DynamoDb [$($scenario)+]);
    };
    (@ $module:ident $backend:ident [$($scenario:ident)+]) => {
        mod $module {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $scenario() {
                    super::$scenario($crate::start($crate::Backend::$backend).await).await;
                }
            )+
        }
    };
}

use on_every_backend;

/// Starts the whole API on a new store, without rate limits.
async fn start(backend: Backend) -> App {
    let metrics = Metrics::in_process().unwrap();
    App::start(backend, |db, identity| switchyard_local::router(db, &metrics, identity)).await
}

/// Starts the whole API on a new store, with these settings.
async fn start_with(backend: Backend, settings: ApiSettings) -> App {
    let metrics = Metrics::in_process().unwrap();
    App::start_with(backend, settings, |db, identity| switchyard_local::router(db, &metrics, identity)).await
}
