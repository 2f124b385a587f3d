//! Runs the suite on the in-memory store, which is the model for the others.

use std::sync::Arc;

use async_trait::async_trait;
use switchyard_ambient::Ambient;
use switchyard_database::Database;
use switchyard_database::conformance::{Memory, Subject};

struct InMemory(Memory);

#[async_trait]
impl Subject for InMemory {
    async fn open(&self, ambient: Ambient) -> Arc<dyn Database> {
        Arc::new(self.0.with_ambient(ambient))
    }

    async fn close(&self) {}
}

switchyard_database::conformance_tests!(InMemory(Memory::new(Ambient::system())));
