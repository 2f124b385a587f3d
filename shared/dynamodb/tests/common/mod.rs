//! Connects tests to DynamoDB Local. Each test has its own table prefix, and its tables are dropped afterwards.

use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Credentials;
use switchyard_ambient::Ambient;
use switchyard_dynamodb::DynamoDb;

/// Returns the endpoint of DynamoDB Local.
pub(crate) fn endpoint() -> String {
    std::env::var("TEST_DYNAMODB_ENDPOINT").unwrap_or_else(|_| {
        panic!("TEST_DYNAMODB_ENDPOINT is not set: run `local/servers start`, then `eval \"$(local/servers env)\"`")
    })
}

/// Returns the settings for a DynamoDB at `endpoint` that accepts every signature.
pub(crate) async fn config(endpoint: &str) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "tests"))
        .endpoint_url(endpoint)
        .load()
        .await
}

/// Tables under a prefix that no other test uses.
pub(crate) struct Tables {
    pub(crate) prefix: String,
}

impl Tables {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { prefix: format!("test-{}-{number}", process::id()) }
    }

    pub(crate) async fn connect(&self, ambient: Ambient) -> DynamoDb {
        self.connect_to(&endpoint(), ambient).await
    }

    pub(crate) async fn connect_to(&self, endpoint: &str, ambient: Ambient) -> DynamoDb {
        DynamoDb::with_config(&self.prefix, &config(endpoint).await, ambient)
            .expect("the settings are complete")
    }

    /// Returns the client of the SDK, to inspect the stored items.
    pub(crate) async fn client(&self) -> Client {
        self.connect(Ambient::system()).await.client().clone()
    }

    pub(crate) async fn drop_all(&self) {
        let client = self.client().await;
        let mut start = Some(format!("{}-", self.prefix));
        while let Some(after) = start {
            let page = client.list_tables().exclusive_start_table_name(after).send().await;
            let page = page.expect("the tables are listed");
            let names = page.table_names().iter();
            for name in names.filter(|name| name.starts_with(&format!("{}-", self.prefix))) {
                client.delete_table().table_name(name).send().await.expect("the table is dropped");
            }
            start = page.last_evaluated_table_name;
        }
    }
}
