//! The conditional writes of a batch, one for each item.

use aws_sdk_dynamodb::types::AttributeValue;
use switchyard_ambient::Timestamp;
use switchyard_database::{Batch, Expect, GuardChange, Operation, Prepared, TermChange};

use crate::DynamoDb;
use crate::commit::Purpose;
use crate::item::{document_item, document_key, guard_item, guard_key, term_item, term_key};
use crate::value::{number, text};
use crate::write::Write;

/// Returns the write of an operation's document.
pub(crate) fn document_write(db: &DynamoDb, prepared: &Prepared, now: Timestamp, purpose: Purpose) -> Write {
    let key = prepared.key();
    let table = db.table(key.collection());
    let now = number(now.as_micros());
    match (&prepared.operation, &prepared.after) {
        (Operation::Create { body, .. }, Some(after)) => {
            let write = Write::put(table, document_item(key, prepared.version, body, after));
            absent(write, now)
        }
        (Operation::Replace { previous, body, .. }, Some(after)) => {
            let write = Write::put(table, document_item(key, prepared.version, body, after));
            live(write, "#version = :previous", now).value(":previous", text(previous.version.to_string()))
        }
        (Operation::Delete { previous }, _) => {
            let write = Write::delete(table, document_key(key))
                .value(":previous", text(previous.version.to_string()));
            match purpose {
                Purpose::Commit => live(write, "#version = :previous", now),
                Purpose::Sweep => write.only_if("#version = :previous"),
            }
        }
        (Operation::Increment { field, by, at_least, .. }, _) => {
            // The sum must fit in i64. DynamoDB's numbers would exceed that range without an error.
            let lowest = i128::from(at_least.unwrap_or(i64::MIN)) - i128::from(*by);
            let highest = i128::from(i64::MAX) - i128::from(*by);
            let update = "SET #doc.#counter = #doc.#counter + :by, #version = :version";
            let write = Write::update(table, document_key(key), update)
                .alias("#counter", field)
                .value(":by", number(*by))
                .value(":version", text(prepared.version.to_string()));
            let condition =
                "attribute_exists(#id) AND #doc.#counter >= :lowest AND #doc.#counter <= :highest";
            live(write, condition, now)
                .alias("#counter", field)
                .value(":lowest", number(lowest))
                .value(":highest", number(highest))
        }
        (Operation::Check { expect, .. }, _) => {
            let write = Write::check(table, document_key(key));
            match expect {
                Expect::Absent => absent(write, now),
                Expect::Exists => live(write, "attribute_exists(#id)", now),
                Expect::Version(version) => {
                    live(write, "#version = :expected", now).value(":expected", text(version.to_string()))
                }
            }
        }
        // A prepared Create or Replace always has a projection. This condition never holds, so nothing is written.
        (Operation::Create { .. } | Operation::Replace { .. }, None) => {
            Write::check(table, document_key(key))
                .only_if("attribute_exists(#id) AND attribute_not_exists(#id)")
        }
    }
}

/// Adds `condition` and the condition that the document has not expired.
fn live(write: Write, condition: &str, now: AttributeValue) -> Write {
    let live = "(attribute_not_exists(#expires_at) OR #expires_at > :now)";
    write.only_if(format!("{condition} AND {live}")).value(":now", now)
}

/// Adds the condition that the document is absent or expired. If another document replaces an expired one, the
/// guards and terms of the expired one have expired too, are ignored, and are removed by DynamoDB.
fn absent(write: Write, now: AttributeValue) -> Write {
    write.only_if("attribute_not_exists(#id) OR #expires_at <= :now").value(":now", now)
}

/// Returns the write of a guard, which stores it for its new owner or removes it. Its condition is that the guard
/// is absent or expired, or that it belongs to a document that releases it in this batch. Moving a value is one
/// write, because DynamoDB does not allow two writes of one item in a transaction.
pub(crate) fn guard_write(db: &DynamoDb, batch: &Batch, change: &GuardChange, now: Timestamp) -> Write {
    let operations = batch.operations();
    let mut condition = "attribute_not_exists(#partition)".to_owned();
    let mut values = Vec::new();
    let write = match change.claimed_by.map(|place| &operations[place]) {
        Some(claimant) => {
            condition.push_str(" OR #owner = :claimant OR #expires_at <= :now");
            values.push((":claimant", text(claimant.key().id())));
            values.push((":now", number(now.as_micros())));
            let expires_at = claimant.after.as_ref().and_then(|after| after.expires_at);
            Write::put(db.system_table(), guard_item(&change.guard, claimant.key(), expires_at))
        }
        None => Write::delete(db.system_table(), guard_key(&change.guard)),
    };
    if let Some(place) = change.released_by {
        condition.push_str(" OR #owner = :releaser");
        values.push((":releaser", text(operations[place].key().id())));
    }
    let write = write.only_if(condition);
    values.into_iter().fold(write, |write, (name, value)| write.value(name, value))
}

/// Returns the write of a search term. It needs no condition, because the condition of its document covers it.
pub(crate) fn term_write(db: &DynamoDb, batch: &Batch, change: &TermChange) -> Write {
    let prepared = &batch.operations()[change.operation];
    let key = prepared.key();
    if change.present {
        let expires_at = prepared.after.as_ref().and_then(|after| after.expires_at);
        Write::put(db.system_table(), term_item(key, &change.term, expires_at))
    } else {
        Write::delete(db.system_table(), term_key(key, &change.term))
    }
}
