//! What a batch writes, item by item, and under which conditions.

use aws_sdk_dynamodb::types::AttributeValue;
use switchyard_ambient::Timestamp;
use switchyard_database::{Batch, Expect, GuardChange, Operation, Prepared, TermChange};

use crate::DynamoDb;
use crate::commit::Purpose;
use crate::item::{document_item, document_key, guard_item, guard_key, term_item, term_key};
use crate::value::{number, text};
use crate::write::Write;

/// The write of an operation's document.
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
            // The sum must stay in i64, which DynamoDB's numbers would leave without a word.
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
        // A prepared Create or Replace has its projection: this is written nowhere.
        (Operation::Create { .. } | Operation::Replace { .. }, None) => {
            Write::check(table, document_key(key))
                .only_if("attribute_exists(#id) AND attribute_not_exists(#id)")
        }
    }
}

/// Only where `condition` holds of a document that has not expired.
fn live(write: Write, condition: &str, now: AttributeValue) -> Write {
    let live = "(attribute_not_exists(#expires_at) OR #expires_at > :now)";
    write.only_if(format!("{condition} AND {live}")).value(":now", now)
}

/// Only where there is no document, or an expired one. What such a one leaves beside it when another takes its place has
/// expired with it, stands in nobody's way, and is removed by DynamoDB.
fn absent(write: Write, now: AttributeValue) -> Write {
    write.only_if("attribute_not_exists(#id) OR #expires_at <= :now").value(":now", now)
}

/// The write of a guard: put under its new owner or removed, if it is free, has expired or belongs to a document that
/// this batch makes let go of it. A value that moves is one write, because DynamoDB refuses two on one item.
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

/// The write of a search term. It needs no condition: that of its document stands for it.
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
