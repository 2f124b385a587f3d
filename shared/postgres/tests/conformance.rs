//! Checks this backend against the contract, on the PostgreSQL that `local/servers start` starts.

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use switchyard_ambient::Ambient;
use switchyard_database::Database;
use switchyard_database::conformance::Subject;

use common::TestSchema;

#[async_trait]
impl Subject for TestSchema {
    async fn open(&self, ambient: Ambient) -> Arc<dyn Database> {
        Arc::new(TestSchema::open(self, ambient).await)
    }

    async fn close(&self) {
        self.drop().await;
    }
}

switchyard_database::conformance_tests!(TestSchema::create().await);
