//! Reads several items as of one moment. Separate reads by key could see a transaction half applied.

use aws_sdk_dynamodb::types::{Get, TransactGetItem};
use switchyard_database::Result;

use crate::DynamoDb;
use crate::failure::{Failure, incomplete};
use crate::value::Item;

/// Returns the items at these tables and keys, at most 100, as of one moment. With `attributes`, returns only
/// those attributes.
pub(crate) async fn snapshot(
    db: &DynamoDb,
    keys: impl IntoIterator<Item = (String, Item)>,
    attributes: Option<&str>,
) -> Result<Vec<Option<Item>>> {
    let mut keys: Vec<_> = keys.into_iter().collect();
    if let [(table, key)] = &mut keys[..] {
        let (table, key) = (std::mem::take(table), std::mem::take(key));
        let request = db.client.get_item().table_name(table).set_key(Some(key)).consistent_read(true);
        let request = request.set_projection_expression(attributes.map(str::to_owned));
        let request = request.set_expression_attribute_names(attributes.map(crate::write::names_in));
        return Ok(vec![db.read(|| request.clone().send()).await?.item]);
    }
    let gets = keys.into_iter().map(|(table, key)| {
        let get = Get::builder().table_name(table).set_key(Some(key));
        let names = attributes.map(crate::write::names_in);
        let get = get.set_projection_expression(attributes.map(str::to_owned));
        let get = get.set_expression_attribute_names(names).build().map_err(incomplete)?;
        Ok(TransactGetItem::builder().get(get).build())
    });
    let request = db.client.transact_get_items().set_transact_items(Some(gets.collect::<Result<_>>()?));
    let mut patience = db.patience();
    loop {
        let failure = match request.clone().send().await.map_err(Failure::from) {
            Ok(answer) => {
                patience.answered();
                let responses = answer.responses.unwrap_or_default();
                return Ok(responses.into_iter().map(|response| response.item).collect());
            }
            Err(Failure::Cancelled(reasons)) => Failure::of_reasons(&reasons),
            Err(failure) => failure,
        };
        if !patience.lasts(&failure).await {
            return Err(db.error_of(failure));
        }
    }
}
