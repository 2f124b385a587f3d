//! Creates missing tables and indexes, waits until they are ready, and drops indexes that are no longer declared.

use std::error::Error as StdError;
use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, CreateGlobalSecondaryIndexAction, DeleteGlobalSecondaryIndexAction,
    GlobalSecondaryIndex, GlobalSecondaryIndexUpdate, IndexStatus, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, TableDescription, TableStatus, TimeToLiveSpecification,
    TimeToLiveStatus,
};
use switchyard_database::Result;

use crate::DynamoDb;
use crate::failure::{Failure, incomplete};
use crate::tables::{AttributeKind, IndexDefinition, IndexProjection, KeyAttribute, TableDefinition};

/// Creates the table and its indexes if they are missing, and waits until they can be used.
pub(crate) async fn create_missing(db: &DynamoDb, table: &TableDefinition) -> Result<()> {
    // DynamoDB accepts one index change at a time, and another migration may be making one.
    loop {
        let Some(description) = settled(db, &table.name).await? else {
            create_table(db, table).await?;
            tokio::time::sleep(MOMENT).await;
            continue;
        };
        let present = index_names(&description);
        let Some(missing) = table.indexes.iter().find(|index| !present.contains(&index.name)) else { break };
        create_index(db, table, missing).await?;
    }
    enable_time_to_live(db, table).await
}

/// Drops the indexes that `table` does not declare.
pub(crate) async fn drop_undeclared_indexes(db: &DynamoDb, table: &TableDefinition) -> Result<()> {
    // If the table is deleted meanwhile, its indexes are gone too.
    while let Some(description) = settled(db, &table.name).await? {
        let present = index_names(&description);
        let is_declared = |name: &String| table.indexes.iter().any(|index| index.name == *name);
        let Some(undeclared) = present.into_iter().find(|name| !is_declared(name)) else { return Ok(()) };
        tracing::info!(table = table.name, index = undeclared, "dropping an index");
        let drop = DeleteGlobalSecondaryIndexAction::builder().index_name(undeclared).build();
        let update = GlobalSecondaryIndexUpdate::builder().delete(drop.map_err(incomplete)?).build();
        update_indexes(db, table, Vec::new(), update).await?;
    }
    Ok(())
}

async fn describe(db: &DynamoDb, table: &str) -> Result<Option<TableDescription>> {
    let request = db.client.describe_table().table_name(table);
    let mut patience = db.patience();
    loop {
        match request.clone().send().await.map_err(Failure::from) {
            Ok(answer) => return Ok(answer.table),
            Err(Failure::Missing(_)) => return Ok(None),
            Err(failure) if patience.lasts(&failure).await => {}
            Err(failure) => return Err(db.error_of(failure)),
        }
    }
}

async fn create_table(db: &DynamoDb, table: &TableDefinition) -> Result<()> {
    let mut attributes = vec![&table.partition];
    attributes.extend(&table.sort);
    attributes.extend(table.indexes.iter().flat_map(|index| [&index.partition, &index.sort]));
    let indexes: Vec<_> = table.indexes.iter().map(global_index).collect::<Result<_>>()?;
    let request = db
        .client
        .create_table()
        .table_name(&table.name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(key_schema(&table.partition, table.sort.as_ref())?))
        .set_attribute_definitions(Some(definitions(attributes)?))
        .set_global_secondary_indexes(Some(indexes).filter(|indexes| !indexes.is_empty()));
    tracing::info!(table = table.name, "creating a table");
    // In use: another migration is creating the table, or an earlier attempt created it.
    until_taken(db, || request.clone().send(), |refusal| refusal.code() == Some("ResourceInUseException"))
        .await
}

async fn create_index(db: &DynamoDb, table: &TableDefinition, index: &IndexDefinition) -> Result<()> {
    let global = global_index(index)?;
    let create = CreateGlobalSecondaryIndexAction::builder()
        .index_name(global.index_name)
        .set_key_schema(Some(global.key_schema))
        .set_projection(global.projection)
        .build()
        .map_err(incomplete)?;
    let update = GlobalSecondaryIndexUpdate::builder().create(create).build();
    tracing::info!(table = table.name, index = index.name, "creating an index");
    update_indexes(db, table, definitions([&index.partition, &index.sort])?, update).await
}

async fn update_indexes(
    db: &DynamoDb,
    table: &TableDefinition,
    definitions: Vec<AttributeDefinition>,
    update: GlobalSecondaryIndexUpdate,
) -> Result<()> {
    let request = db.client.update_table().table_name(&table.name).global_secondary_index_updates(update);
    let request = request.set_attribute_definitions(Some(definitions).filter(|all| !all.is_empty()));
    // Another migration or an earlier attempt is making or has made the same change. The caller then describes the
    // table again.
    let came_later = |refusal: &SdkError<_>| {
        matches!(refusal.code(), Some("ResourceInUseException" | "ResourceNotFoundException"))
            || refusal.message().is_some_and(|text| text.contains("already exists"))
    };
    until_taken(db, || request.clone().send(), came_later).await
}

async fn enable_time_to_live(db: &DynamoDb, table: &TableDefinition) -> Result<()> {
    let Some(attribute) = table.time_to_live else { return Ok(()) };
    let request = db.client.describe_time_to_live().table_name(&table.name);
    let answer = db.read(|| request.clone().send()).await?;
    let status = answer.time_to_live_description.and_then(|description| description.time_to_live_status);
    if matches!(status, Some(TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)) {
        return Ok(());
    }
    let specification = TimeToLiveSpecification::builder().attribute_name(attribute).enabled(true);
    let specification = specification.build().map_err(incomplete)?;
    let request =
        db.client.update_time_to_live().table_name(&table.name).time_to_live_specification(specification);
    // Another migration or an earlier attempt has enabled it.
    let is_enabled =
        |refusal: &SdkError<_>| refusal.message().is_some_and(|text| text.contains("already enabled"));
    until_taken(db, || request.clone().send(), is_enabled).await
}

/// Sends a change of a table until DynamoDB accepts it or `made_already` recognizes the refusal. Sends it again
/// after transient failures.
async fn until_taken<T, E, F>(
    db: &DynamoDb,
    request: impl Fn() -> F,
    made_already: impl Fn(&SdkError<E>) -> bool,
) -> Result<()>
where
    E: Into<aws_sdk_dynamodb::Error> + ProvideErrorMetadata + StdError + Send + Sync + 'static,
    F: Future<Output = Result<T, SdkError<E>>>,
{
    let mut patience = db.patience();
    loop {
        let refusal = match request().await {
            Ok(_) => return Ok(()),
            Err(refusal) if made_already(&refusal) => return Ok(()),
            Err(refusal) => refusal,
        };
        // DynamoDB is changing as many tables as it can at a time, which lasts until those changes end. The
        // account may also have reached its limit of tables, which lasts until someone reads this warning.
        if refusal.code() == Some("LimitExceededException") {
            let reason = refusal.message().unwrap_or_default();
            tracing::warn!(
                reason,
                "DynamoDB accepts no more table changes at the moment; trying again until it does"
            );
            tokio::time::sleep(BUSY).await;
            continue;
        }
        let failure = Failure::from(refusal);
        if !patience.lasts(&failure).await {
            return Err(db.error_of(failure));
        }
    }
}

/// The pause while DynamoDB is changing as many tables as it can at a time.
const BUSY: Duration = Duration::from_secs(2);
/// The first pause before a table that is changing is described again.
const MOMENT: Duration = Duration::from_millis(20);

/// Waits until the table and its indexes are no longer changing, however long that takes: building an index on a
/// large table takes hours. Returns `None` if the table does not exist or was deleted meanwhile, and possibly for
/// a moment after it was created.
async fn settled(db: &DynamoDb, table: &str) -> Result<Option<TableDescription>> {
    let mut pause = MOMENT;
    loop {
        match describe(db, table).await? {
            Some(description) if !is_active(&description) => {}
            description => return Ok(description),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(5));
    }
}

fn is_active(description: &TableDescription) -> bool {
    let mut indexes = description.global_secondary_indexes().iter();
    description.table_status == Some(TableStatus::Active)
        && indexes.all(|index| index.index_status == Some(IndexStatus::Active))
}

fn index_names(description: &TableDescription) -> Vec<String> {
    description.global_secondary_indexes().iter().filter_map(|index| index.index_name.clone()).collect()
}

fn global_index(index: &IndexDefinition) -> Result<GlobalSecondaryIndex> {
    let (projection, attributes) = match &index.projection {
        IndexProjection::All => (ProjectionType::All, None),
        IndexProjection::Keys => (ProjectionType::KeysOnly, None),
        IndexProjection::Include(attributes) => (ProjectionType::Include, Some(attributes.clone())),
    };
    let projection = Projection::builder().projection_type(projection).set_non_key_attributes(attributes);
    GlobalSecondaryIndex::builder()
        .index_name(&index.name)
        .set_key_schema(Some(key_schema(&index.partition, Some(&index.sort))?))
        .projection(projection.build())
        .build()
        .map_err(incomplete)
}

fn key_schema(partition: &KeyAttribute, sort: Option<&KeyAttribute>) -> Result<Vec<KeySchemaElement>> {
    let element = |attribute: &KeyAttribute, kind| {
        KeySchemaElement::builder().attribute_name(&attribute.name).key_type(kind).build().map_err(incomplete)
    };
    let partition = Some(element(partition, KeyType::Hash));
    partition.into_iter().chain(sort.map(|sort| element(sort, KeyType::Range))).collect()
}

fn definitions<'a>(
    attributes: impl IntoIterator<Item = &'a KeyAttribute>,
) -> Result<Vec<AttributeDefinition>> {
    let definition = |attribute: &KeyAttribute| {
        let kind = match attribute.kind {
            AttributeKind::Text => ScalarAttributeType::S,
            AttributeKind::Number => ScalarAttributeType::N,
            AttributeKind::Bytes => ScalarAttributeType::B,
        };
        AttributeDefinition::builder().attribute_name(&attribute.name).attribute_type(kind).build()
    };
    attributes.into_iter().map(|attribute| definition(attribute).map_err(incomplete)).collect()
}
