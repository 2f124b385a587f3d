//! Converts a declaration to the text that a migration record stores, and back to a collection.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};
use switchyard_database::{Collection, Copies, Error, Field, FieldKind, Index, Result, Unique};

/// Returns the parts of a declaration that determine the index entries, guards and terms of documents, as text.
pub(crate) fn declaration(collection: &Collection) -> String {
    let indexes = collection.indexes.iter().map(|index| {
        let (name, partition, sort, shards) = (index.name, index.partition, index.sort, index.shard_count());
        let copies = match index.copies {
            Copies::Nothing => json!("nothing"),
            Copies::Documents => json!("documents"),
            Copies::Fields(fields) => json!(fields),
        };
        json!({"name": name, "partition": partition, "sort": sort, "shards": shards, "copies": copies})
    });
    let uniques =
        collection.uniques.iter().map(|unique| json!({"name": unique.name, "fields": unique.fields}));
    let fields = collection.fields.iter().filter(|field| {
        let in_index = |index: &Index| {
            let used = [index.partition, index.sort, index.copied_fields()];
            used.iter().any(|fields| fields.contains(&field.name))
        };
        collection.indexes.iter().any(in_index)
            || collection.uniques.iter().any(|unique| unique.fields.contains(&field.name))
    });
    let fields = fields.map(|field| json!([field.name, kind_name(field.kind)]));
    json!({
        "name": collection.name,
        "fields": fields.collect::<Vec<_>>(),
        "indexes": indexes.collect::<Vec<_>>(),
        "uniques": uniques.collect::<Vec<_>>(),
        "search": collection.search,
        "tally": collection.tally,
        "expiring": collection.expiring,
    })
    .to_string()
}

/// Returns the collection that a stored declaration describes. Collections live as long as the program, so each
/// distinct text is converted once and cached.
pub(crate) fn collection_of(declaration: &str) -> Result<&'static Collection> {
    static KNOWN: Mutex<Option<HashMap<String, &'static Collection>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(collection) = known.get(declaration) {
        return Ok(collection);
    }
    let damaged =
        || Error::Corrupt(format!("the system table holds an unreadable declaration: {declaration}"));
    let value: Value = serde_json::from_str(declaration).map_err(|_| damaged())?;
    let collection = parse(&value).ok_or_else(damaged)?;
    let collection: &'static Collection = Box::leak(Box::new(collection));
    known.insert(declaration.to_owned(), collection);
    Ok(collection)
}

const KINDS: &[(&str, FieldKind)] = &[
    ("string", FieldKind::String),
    ("integer", FieldKind::Integer),
    ("time", FieldKind::Time),
    ("boolean", FieldKind::Boolean),
    ("json", FieldKind::Json),
];

fn kind_name(kind: FieldKind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("json", |(name, _)| name)
}

fn parse(value: &Value) -> Option<Collection> {
    let indexes = value.get("indexes")?.as_array()?.iter().map(|index| {
        let shards = u8::try_from(index.get("shards")?.as_u64()?).ok()?;
        let index_of = Index::new(kept_text(index.get("name")?)?)
            .partition(kept_texts(index.get("partition")?)?)
            .sort(kept_texts(index.get("sort")?)?)
            .shards(shards);
        let copies = index.get("copies")?;
        Some(match copies.as_str() {
            Some("nothing") => index_of,
            Some("documents") => index_of.copying_documents(),
            _ => index_of.copying_fields(kept_texts(copies)?),
        })
    });
    let uniques =
        value.get("uniques")?.as_array()?.iter().map(|unique| {
            Some(Unique::new(kept_text(unique.get("name")?)?, kept_texts(unique.get("fields")?)?))
        });
    let fields = value.get("fields")?.as_array()?.iter().map(|field| {
        let kind = KINDS.iter().find(|(name, _)| field.get(1).and_then(Value::as_str) == Some(name))?.1;
        Some(Field::of(kept_text(field.get(0)?)?, kind))
    });
    let mut collection = Collection::new(kept_text(value.get("name")?)?)
        .fields(Vec::leak(fields.collect::<Option<_>>()?))
        .indexes(Vec::leak(indexes.collect::<Option<_>>()?))
        .uniques(Vec::leak(uniques.collect::<Option<_>>()?))
        .search(kept_texts(value.get("search")?)?);
    let tally = value.get("tally")?;
    collection.tally = if tally.is_null() { None } else { Some(kept_text(tally)?) };
    collection.expiring = value.get("expiring")?.as_bool()?;
    Some(collection)
}

fn kept_text(value: &Value) -> Option<&'static str> {
    value.as_str().map(|text| &*text.to_owned().leak())
}

fn kept_texts(value: &Value) -> Option<&'static [&'static str]> {
    let texts = value.as_array()?.iter().map(kept_text).collect::<Option<Vec<_>>>()?;
    Some(texts.leak())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_survives_a_round_trip() {
        const USERS: &Collection = &Collection::new("users")
            .indexes(&[
                Index::new("all").sort(&["created_at"]).shards(7).copying_fields(&["role"]),
                Index::new("by_role").partition(&["role"]).shards(2).copying_documents(),
                Index::new("by_creation").sort(&["created_at"]).shards(1),
            ])
            .uniques(&[Unique::new("login", &["tenant", "email"])])
            .search(&["name"])
            .fields(&[Field::time("created_at"), Field::string("role"), Field::json("rest")])
            .expiring();
        let text = declaration(USERS);
        let read = collection_of(&text).unwrap();
        assert_eq!(read.fields, &USERS.fields[..2]);
        assert_eq!((read.indexes, read.uniques), (USERS.indexes, USERS.uniques));
        assert_eq!((read.name, read.search, read.expiring), ("users", USERS.search, true));
        assert_eq!(declaration(read), text);
        assert!(std::ptr::eq(collection_of(&text).unwrap(), read));
    }
}
