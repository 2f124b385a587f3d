//! Proves that the suite waits for listings that lag: it passes on a store whose listings do.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use switchyard_ambient::Ambient;
use switchyard_database::Database;
use switchyard_database::conformance::{Lagging, Memory, Subject};

struct Late(Memory);

#[async_trait]
impl Subject for Late {
    async fn open(&self, ambient: Ambient) -> Arc<dyn Database> {
        Arc::new(Lagging::new(&self.0, ambient, Duration::from_millis(25)))
    }

    async fn close(&self) {}
}

switchyard_database::conformance_tests!(Late(Memory::new(Ambient::system())));
