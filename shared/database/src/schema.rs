use std::fmt;

use crate::{Collection, Error, FieldKind, Result};

/// The collections of a program, with their declarations checked.
#[derive(Clone, Debug)]
pub struct Schema {
    collections: Vec<&'static Collection>,
}

impl Schema {
    /// Checks the declarations. Names must be lower-case ASCII, except the names of fields. Fields must be
    /// declared once, and their kinds must suit their uses.
    ///
    /// # Errors
    ///
    /// Fails with [`Error::Invalid`] for the first fault found.
    pub fn new(collections: impl IntoIterator<Item = &'static Collection>) -> Result<Self> {
        let collections: Vec<_> = collections.into_iter().collect();
        for (place, collection) in collections.iter().enumerate() {
            if collections[..place].contains(collection) {
                return Err(Error::Invalid(format!(
                    "the collection `{}` is declared twice",
                    collection.name
                )));
            }
            check_collection(collection)
                .map_err(|fault| Error::Invalid(format!("collection `{}`: {fault}", collection.name)))?;
        }
        Ok(Self { collections })
    }

    /// The collections, in the order of their declaration.
    pub fn collections(&self) -> &[&'static Collection] {
        &self.collections
    }
}

/// Names become parts of table, column and index names, which have at most 63 bytes (PostgreSQL) with their
/// prefix.
const MAX_NAME_BYTES: usize = 40;
/// The table in which a backend stores its own data.
const RESERVED_NAME: &str = "system";
/// A declared field's name is also the name of a column, of which PostgreSQL keeps this many bytes. Undeclared
/// fields may have longer names.
const MAX_COLUMN_NAME_BYTES: usize = 63;

fn check_collection(collection: &'static Collection) -> Result<(), String> {
    check_name(collection.name)?;
    if collection.name == RESERVED_NAME {
        return Err("the name is reserved for backends".to_owned());
    }
    check_distinct("field", collection.fields.iter().map(|field| field.name))?;
    check_distinct("index", collection.indexes.iter().map(|index| index.name))?;
    check_distinct("unique attribute", collection.uniques.iter().map(|unique| unique.name))?;
    check_distinct("search field", collection.search.iter().copied())?;
    check_distinct("counter", collection.counters.iter().copied())?;
    collection.fields.iter().try_for_each(|field| check_field_name(field.name))?;
    for index in collection.indexes {
        check_name(index.name)?;
        if index.partition.is_empty() && index.sort.is_empty() {
            return Err(format!("index `{}` has neither a partition nor a sort", index.name));
        }
        let shards = index.shard_count();
        if !(1..=16).contains(&shards) {
            return Err(format!("index `{}` has {shards} shards; 1 to 16 are allowed", index.name));
        }
        check_distinct("indexed field", index.partition.iter().chain(index.sort).copied())?;
        check_fields(collection, index.partition.iter().chain(index.sort), is_indexable)?;
        check_distinct("copied field", index.copied_fields().iter().copied())?;
        check_fields(collection, index.copied_fields().iter(), is_indexable)?;
        let has_few_values = |name: &&str| collection.field(name).is_some_and(|field| field.has_few_values);
        if shards == 1 && !index.partition.is_empty() && index.partition.iter().all(has_few_values) {
            return Err(format!(
                "the partition fields of index `{}` (`{}`) have few values: spread it over several shards",
                index.name,
                index.partition.join("`, `")
            ));
        }
    }
    for unique in collection.uniques {
        check_name(unique.name)?;
        if unique.fields.is_empty() {
            return Err(format!("unique attribute `{}` has no field", unique.name));
        }
        check_distinct("field of a unique attribute", unique.fields.iter().copied())?;
        check_fields(collection, unique.fields.iter(), is_indexable)?;
    }
    check_fields(collection, collection.search.iter(), |kind| kind == FieldKind::String)?;
    check_fields(collection, collection.counters.iter(), |kind| kind == FieldKind::Integer)?;
    if let Some(tally) = collection.tally {
        check_fields(collection, [&tally].into_iter(), |kind| kind == FieldKind::Integer)?;
        let is_plain = collection.counters.is_empty()
            && collection.indexes.is_empty()
            && collection.uniques.is_empty()
            && collection.search.is_empty();
        if !is_plain {
            return Err(format!(
                "a collection with a tally (`{tally}`) has no counters, indexes, unique attributes or search fields"
            ));
        }
    }
    if collection.append_only && !(collection.counters.is_empty() && collection.tally.is_none()) {
        return Err("a collection that is append-only has neither counters nor a tally".to_owned());
    }
    for counter in collection.counters {
        let indexed = collection.indexes.iter().any(|index| {
            [index.partition, index.sort, index.copied_fields()].iter().any(|used| used.contains(counter))
        });
        if indexed || collection.uniques.iter().any(|u| u.fields.contains(counter)) {
            return Err(format!(
                "`{counter}` is a counter and cannot be used by an index or a unique attribute"
            ));
        }
    }
    Ok(())
}

fn is_indexable(kind: FieldKind) -> bool {
    kind != FieldKind::Json
}

fn check_name(name: &str) -> Result<(), String> {
    let fits = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= MAX_NAME_BYTES
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if fits {
        Ok(())
    } else {
        Err(format!(
            "the name `{name}` must be 1 to {MAX_NAME_BYTES} of a-z, 0-9 and _, starting with a letter"
        ))
    }
}

/// A field's name is a key of the documents, so it may have any characters. It is also the name of a column, for
/// people.
fn check_field_name(name: &str) -> Result<(), String> {
    if (1..=MAX_COLUMN_NAME_BYTES).contains(&name.len()) && !name.contains('\0') {
        Ok(())
    } else {
        Err(format!(
            "the field name `{name}` must have 1 to {MAX_COLUMN_NAME_BYTES} bytes and must not contain U+0000"
        ))
    }
}

fn check_distinct(what: impl fmt::Display, names: impl Iterator<Item = &'static str>) -> Result<(), String> {
    let mut seen = Vec::new();
    for name in names {
        if seen.contains(&name) {
            return Err(format!("{what} `{name}` is listed twice"));
        }
        seen.push(name);
    }
    Ok(())
}

fn check_fields<'a>(
    collection: &Collection,
    names: impl Iterator<Item = &'a &'static str>,
    fits: impl Fn(FieldKind) -> bool,
) -> Result<(), String> {
    for name in names {
        let field =
            collection.field(name).ok_or_else(|| format!("the field `{name}` is used but not declared"))?;
        if !fits(field.kind) {
            return Err(format!("the field `{name}` is of kind {:?}, which cannot be used here", field.kind));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Field, Index, Unique};

    const A: Field = Field::string("a");

    fn fault_of(collection: &'static Collection) -> String {
        match Schema::new([collection]) {
            Err(Error::Invalid(fault)) => fault,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn declarations_that_contradict_themselves_are_refused() {
        const CASES: &[(&Collection, &str)] = &[
            (
                &Collection::new("People"),
                "the name `People` must be 1 to 40 of a-z, 0-9 and _, starting with a letter",
            ),
            (&Collection::new("system"), "the name is reserved for backends"),
            (&Collection::new("c").fields(&[A, A]), "field `a` is listed twice"),
            (&Collection::new("c").search(&["a"]), "the field `a` is used but not declared"),
            (
                &Collection::new("c").fields(&[Field::integer("a")]).search(&["a"]),
                "the field `a` is of kind Integer, which cannot be used here",
            ),
            (&Collection::new("c").fields(&[A]).search(&["a", "a"]), "search field `a` is listed twice"),
            (
                &Collection::new("c").indexes(&[Index::new("all")]),
                "index `all` has neither a partition nor a sort",
            ),
            (
                &Collection::new("c").fields(&[A]).indexes(&[Index::new("i").partition(&["a"]).sort(&["a"])]),
                "indexed field `a` is listed twice",
            ),
            (
                &Collection::new("c").fields(&[A]).indexes(&[Index::new("i").sort(&["a"]).shards(17)]),
                "index `i` has 17 shards; 1 to 16 are allowed",
            ),
            (
                &Collection::new("c")
                    .fields(&[Field::boolean("b"), A.few_values()])
                    .indexes(&[Index::new("i").partition(&["b", "a"])]),
                "the partition fields of index `i` (`b`, `a`) have few values: spread it over several shards",
            ),
            (
                &Collection::new("c")
                    .fields(&[A.few_values()])
                    .indexes(&[Index::new("i").partition(&["a"]).shards(1)]),
                "the partition fields of index `i` (`a`) have few values: spread it over several shards",
            ),
            (
                &Collection::new("c").fields(&[A]).indexes(&[Index::new("i").partition(&["a"]).shards(0)]),
                "index `i` has 0 shards; 1 to 16 are allowed",
            ),
            (
                &Collection::new("c").fields(&[Field::json("a")]).uniques(&[Unique::new("a", &["a"])]),
                "the field `a` is of kind Json, which cannot be used here",
            ),
            (
                &Collection::new("c").fields(&[A]).uniques(&[Unique::new("a", &["a", "a"])]),
                "field of a unique attribute `a` is listed twice",
            ),
            (
                &Collection::new("c")
                    .fields(&[Field::integer("n")])
                    .indexes(&[Index::new("i").sort(&["n"])])
                    .counters(&["n"]),
                "`n` is a counter and cannot be used by an index or a unique attribute",
            ),
            (
                &Collection::new("c")
                    .fields(&[A, Field::integer("n")])
                    .indexes(&[Index::new("i").sort(&["a"]).copying_fields(&["n"])])
                    .counters(&["n"]),
                "`n` is a counter and cannot be used by an index or a unique attribute",
            ),
            (
                &Collection::new("c")
                    .fields(&[A, Field::json("j")])
                    .indexes(&[Index::new("i").sort(&["a"]).copying_fields(&["j"])]),
                "the field `j` is of kind Json, which cannot be used here",
            ),
            (
                &Collection::new("c")
                    .fields(&[A])
                    .indexes(&[Index::new("i").sort(&["a"]).copying_fields(&["a", "a"])]),
                "copied field `a` is listed twice",
            ),
            (
                &Collection::new("c").fields(&[Field::integer("n")]).tally("n").counters(&["n"]),
                "a collection with a tally (`n`) has no counters, indexes, unique attributes or search fields",
            ),
            (
                &Collection::new("c").fields(&[Field::integer("n")]).counters(&["n"]).append_only(),
                "a collection that is append-only has neither counters nor a tally",
            ),
            (
                &Collection::new("c").fields(&[Field::integer("n")]).tally("n").append_only(),
                "a collection that is append-only has neither counters nor a tally",
            ),
            (
                &Collection::new("c").fields(&[Field::string("")]),
                "the field name `` must have 1 to 63 bytes and must not contain U+0000",
            ),
        ];
        for (collection, fault) in CASES {
            assert_eq!(fault_of(collection), format!("collection `{}`: {fault}", collection.name));
        }
    }

    #[test]
    fn an_index_of_few_partitions_is_allowed_if_another_field_or_its_shards_spread_it() {
        const C: &Collection = &Collection::new("c").fields(&[A, Field::boolean("b")]).indexes(&[
            Index::new("by_both").partition(&["b", "a"]),
            Index::new("by_b").partition(&["b"]).shards(2),
            Index::new("all").sort(&["b"]).shards(1),
        ]);
        assert_eq!(Schema::new([C]).map(|schema| schema.collections().len()), Ok(1));
        assert_eq!([0, 1, 2].map(|place| C.indexes[place].shard_count()), [1, 2, 1]);
        assert_eq!(Index::new("all").sort(&["b"]).shard_count(), 4);
    }

    #[test]
    fn a_collection_is_declared_once() {
        const C: &Collection = &Collection::new("c");
        let fault = "the collection `c` is declared twice".to_owned();
        assert_eq!(Schema::new([C, C]).unwrap_err(), Error::Invalid(fault));
    }
}
