//! The function behind `/healthz`, `/readyz`, `/health`, `/metrics`, `/openapi.json` and `/docs`.

use std::sync::Arc;

use switchyard_kernel::NoAuthenticator;
use switchyard_runtime::{Environment, Runtime, Settings};

fn main() -> anyhow::Result<()> {
    switchyard_runtime::block_on(async {
        let runtime = Runtime::start(Environment::of_process().read(Settings::read)?).await?;
        runtime.migrate([]).await?;
        let router = switchyard_fn_system::router(runtime.db().clone(), runtime.metrics().clone());
        Ok(runtime.serve(router, Arc::new(NoAuthenticator)).await?)
    })
}
