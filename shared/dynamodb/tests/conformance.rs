//! Checks this backend against the contract. Each case has its own tables.

mod common;

use std::sync::Arc;

use async_trait::async_trait;
use common::Tables;
use switchyard_ambient::Ambient;
use switchyard_database::Database;
use switchyard_database::conformance::Subject;

#[async_trait]
impl Subject for Tables {
    async fn open(&self, ambient: Ambient) -> Arc<dyn Database> {
        Arc::new(self.connect(ambient).await)
    }

    async fn close(&self) {
        self.drop_all().await;
    }
}

switchyard_database::conformance_tests!(Tables::new());
