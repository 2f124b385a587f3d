//! Adds to a tally with one request.

use std::collections::HashMap;

use switchyard_ambient::Timestamp;
use switchyard_database::{Addition, Error, Result, is_expired};

use crate::DynamoDb;
use crate::failure::Failure;
use crate::item::{document_item, document_key, expiry_of};
use crate::tables::{EXPIRES_AT, TIME_TO_LIVE, document, field_attribute};
use crate::value::{Item, number};
use crate::write::Write;

/// Implements [`Database::add`](switchyard_database::Database::add).
///
/// An addition whose reply is lost is not sent again, and not looked for either: who counts has no use for an answer
/// that comes late.
pub(crate) async fn add(db: &DynamoDb, addition: &Addition) -> Result<i64> {
    let (key, version) = (addition.key(), addition.version());
    let item = document_item(key, version, addition.body(), addition.projection());
    let mut patience = db.patience();
    loop {
        let now = db.ambient.now();
        let failure = match update(db, addition, &item, now).send_update(&db.client).await {
            Ok(attributes) => {
                patience.answered();
                return tally_of(addition, &attributes);
            }
            Err(Failure::Condition(Some(stored))) if is_expired(expiry_of(&stored), now) => {
                // Only a put removes what the expired document has.
                match replace_expired(db, addition, &item, now).send(&db.client).await {
                    Ok(()) => {
                        patience.answered();
                        return Ok(addition.amount());
                    }
                    Err(Failure::Condition(_)) => Failure::Contended,
                    Err(failure) => failure,
                }
            }
            Err(Failure::Condition(Some(_))) => return Err(addition.overflow()),
            // It was removed after the condition had failed.
            Err(Failure::Condition(None)) => Failure::Contended,
            Err(failure) => failure,
        };
        if let Failure::Lost(reason) = failure {
            return Err(Error::OutcomeUnknown(reason));
        }
        if !patience.lasts(&failure).await {
            return Err(db.error_of(failure));
        }
    }
}

/// Creates the document, or adds to that of the table if it is live.
fn update(db: &DynamoDb, addition: &Addition, item: &Item, now: Timestamp) -> Write {
    let tally = field_attribute(addition.field());
    let mut sets = Vec::new();
    let mut values = HashMap::new();
    for (name, value) in item {
        let set = match name.as_str() {
            document::ID => continue,
            name if name == tally => continue,
            document::BODY => "#doc = if_not_exists(#doc, :doc)".to_owned(),
            name => format!("#{name} = :{name}"),
        };
        sets.push(set);
        values.insert(format!(":{name}"), value.clone());
    }
    let mut expression = format!("SET {} ADD #tally :amount", sets.join(", "));
    if addition.expires_at().is_none() {
        expression += &format!(" REMOVE #{EXPIRES_AT}, #{TIME_TO_LIVE}");
    }
    // The sum must fit in i64. DynamoDB's numbers would exceed that range without an error.
    let lowest = i128::from(i64::MIN) - i128::from(addition.amount());
    let highest = i128::from(i64::MAX) - i128::from(addition.amount());
    let condition = "attribute_not_exists(#id) OR ((attribute_not_exists(#expires_at) OR #expires_at > :now) AND \
                     #tally BETWEEN :lowest AND :highest)";
    let key = addition.key();
    let write = Write::update(db.table(key.collection()), document_key(key), expression)
        .only_if(condition)
        .alias("#tally", &tally)
        .value(":amount", number(addition.amount()))
        .value(":now", number(now.as_micros()))
        .value(":lowest", number(lowest))
        .value(":highest", number(highest));
    values.into_iter().fold(write, |write, (name, value)| write.value(name, value))
}

/// Stores the document instead of one that has expired.
fn replace_expired(db: &DynamoDb, addition: &Addition, item: &Item, now: Timestamp) -> Write {
    Write::put(db.table(addition.key().collection()), item.clone())
        .only_if("attribute_not_exists(#id) OR #expires_at <= :now")
        .value(":now", number(now.as_micros()))
}

fn tally_of(addition: &Addition, attributes: &Item) -> Result<i64> {
    let tally = attributes.get(&field_attribute(addition.field()));
    let digits = tally.and_then(|tally| tally.as_n().ok());
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        Error::Corrupt(format!("the tally `{}` of {} is not an integer", addition.field(), addition.key()))
    })
}
