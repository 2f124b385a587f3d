//! The function behind `/api/v1/users`, `/api/v1/roles`, `/api/v1/permissions` and `/api/v1/audit-logs`.

use std::sync::Arc;

use switchyard_identity::{COLLECTIONS, Identity};
use switchyard_identity_http::{AccessTokens, read_settings};
use switchyard_runtime::{Environment, Runtime, Settings};

fn main() -> anyhow::Result<()> {
    switchyard_runtime::block_on(async {
        let (settings, identity) = Environment::of_process().read(|environment| {
            let (settings, identity) = (Settings::read(environment), read_settings(environment));
            Some((settings?, identity?))
        })?;
        let runtime = Runtime::start(settings).await?;
        runtime.migrate(COLLECTIONS.iter().copied()).await?;
        let db = runtime.db();
        let identity = Identity::new(db.clone(), identity);
        let tokens = AccessTokens::new(identity.clone(), db.ambient().clone());
        Ok(runtime.serve(switchyard_users::router(identity), Arc::new(tokens)).await?)
    })
}
