//! What a batch writes, item by item, and under which conditions.

use aws_sdk_dynamodb::types::AttributeValue;
use switchyard_ambient::Timestamp;
use switchyard_database::{Batch, Collection, Expect, GuardChange, Operation, Prepared, TermChange};

use crate::DynamoDb;
use crate::commit::Purpose;
use crate::item::{document_item, document_key, guard_item, guard_key, term_item, term_key};
use crate::value::{number, text};
use crate::write::Write;

/// The write of an operation's document.
pub(crate) fn document_write(db: &DynamoDb, prepared: &Prepared, now: Timestamp, purpose: Purpose) -> Write {
    let key = prepared.key();
    let table = db.table(key.collection());
    let now = now_value(now);
    match (&prepared.operation, &prepared.after) {
        (Operation::Create { body, .. }, Some(after)) => {
            let write = Write::put(table, document_item(key, prepared.version, body, after));
            if is_replaceable_once_expired(key.collection()) {
                absent(write, now)
            } else {
                write.only_if("attribute_not_exists(#id)")
            }
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

/// Whether an expired document leaves nothing beside it, so that another one may simply take its place.
fn is_replaceable_once_expired(collection: &Collection) -> bool {
    collection.uniques.is_empty() && collection.search.is_empty()
}

/// Only where `condition` holds of a document that has not expired.
fn live(write: Write, condition: &str, now: AttributeValue) -> Write {
    let live = "(attribute_not_exists(#expires_at) OR #expires_at > :now)";
    write.only_if(format!("{condition} AND {live}")).value(":now", now)
}

/// Only where there is no document, or an expired one.
fn absent(write: Write, now: AttributeValue) -> Write {
    write.only_if("attribute_not_exists(#id) OR #expires_at <= :now").value(":now", now)
}

fn now_value(now: Timestamp) -> AttributeValue {
    number(now.as_micros())
}

/// The write of a guard: put under its new owner or removed, if it is free or belongs to a document that this batch
/// makes let go of it. A value that moves is one write, because DynamoDB refuses two on one item.
pub(crate) fn guard_write(db: &DynamoDb, batch: &Batch, change: &GuardChange) -> Write {
    let operations = batch.operations();
    let claimant = change.claimed_by.map(|place| &operations[place]);
    let write = match claimant {
        Some(claimant) => {
            let expires_at = claimant.after.as_ref().and_then(|after| after.expires_at);
            Write::put(db.system_table(), guard_item(&change.guard, claimant.key(), expires_at))
        }
        None => Write::delete(db.system_table(), guard_key(&change.guard)),
    };
    let owners = change.released_by.map(|place| &operations[place]).into_iter().chain(claimant);
    let mut condition = "attribute_not_exists(#partition)".to_owned();
    let mut values = Vec::new();
    for (place, owner) in owners.enumerate() {
        condition.push_str(&format!(" OR #owner = :owner{place}"));
        values.push((format!(":owner{place}"), text(owner.key().id())));
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
