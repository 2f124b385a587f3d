//! Keys and index positions: their bytes have the same order as the values, and the values can be decoded from them.

#![no_main]

use std::cmp::Ordering;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use switchyard_database::limits::{MAX_ID_BYTES, MAX_INDEXED_STRING_BYTES};
use switchyard_database::{
    Collection, Document, Field, Index, Key, Projection, Scalar, Version, encoding, term_position,
};

const PLACES: &Collection = &Collection::new("places")
    .fields(&[Field::string("name"), Field::integer("rank"), Field::boolean("open")])
    .indexes(&[Index::new("by_all").sort(&["name", "rank", "open"])]);

#[derive(Arbitrary, Debug)]
struct Input {
    /// Pairs of values of the same kind. The first values form one tuple, the second values another.
    pairs: Vec<Pair>,
    bytes: Vec<u8>,
    documents: [Place; 2],
    version: String,
}

#[derive(Arbitrary, Debug)]
enum Pair {
    Booleans(bool, bool),
    Integers(i64, i64),
    Strings(String, String),
    /// The same value twice, so that the tuples first differ at a later place.
    Same(String),
}

#[derive(Arbitrary, Debug)]
struct Place {
    name: String,
    rank: i64,
    open: bool,
    id: String,
    /// If set, extends the name and the id to their maximum lengths plus these.
    longer: Option<(i8, i8)>,
}

fuzz_target!(|input: Input| {
    tuples_and_their_bytes_have_the_same_order(&input);
    versions_round_trip(&input.version);
    documents_and_their_positions_have_the_same_order(&input.documents.map(lengthened));
});

fn tuples_and_their_bytes_have_the_same_order(input: &Input) {
    let (a, b): (Vec<Scalar>, Vec<Scalar>) = input.pairs.iter().map(scalars).unzip();
    let (bytes_a, bytes_b) = (encoding::encode(&a), encoding::encode(&b));
    assert_eq!(bytes_a.cmp(&bytes_b), a.cmp(&b));
    assert_eq!(decode(&a, &bytes_a), a);
    for length in 0..=a.len() {
        let prefix = encoding::encode(&a[..length]);
        assert!(bytes_a.starts_with(&prefix));
        assert_eq!(bytes_b.starts_with(&prefix), b[..length] == a[..length]);
        for other in [&bytes_a, &bytes_b, &input.bytes] {
            let is_below = encoding::successor_of_prefix(&prefix).is_none_or(|end| *other < end);
            assert_eq!(other.starts_with(&prefix), *other >= prefix && is_below);
        }
    }
    if let Some(end) = encoding::successor_of_prefix(&input.bytes) {
        assert_eq!(bytes_a.starts_with(&input.bytes), bytes_a >= input.bytes && bytes_a < end);
    }
}

fn scalars(pair: &Pair) -> (Scalar, Scalar) {
    match pair {
        Pair::Booleans(a, b) => ((*a).into(), (*b).into()),
        Pair::Integers(a, b) => ((*a).into(), (*b).into()),
        Pair::Strings(a, b) => (text(a).into(), text(b).into()),
        Pair::Same(text_of_both) => (text(text_of_both).into(), text(text_of_both).into()),
    }
}

/// U+0000 is refused before anything is encoded.
fn text(text: &str) -> String {
    text.replace('\0', "")
}

/// Decodes as many values as `like` has, of the same kinds.
fn decode(like: &[Scalar], mut bytes: &[u8]) -> Vec<Scalar> {
    let mut values = Vec::new();
    for kind in like {
        let length = match kind {
            Scalar::Boolean(_) => 1,
            Scalar::Integer(_) => 8,
            Scalar::String(_) => bytes.iter().position(|&byte| byte == 0).expect("a string ends") + 1,
        };
        let (value, rest) = bytes.split_at(length);
        bytes = rest;
        values.push(match kind {
            Scalar::Boolean(_) => Scalar::Boolean(value == [1]),
            Scalar::Integer(_) => {
                let shifted = u64::from_be_bytes(value.try_into().expect("eight bytes"));
                Scalar::Integer((i128::from(shifted) + i128::from(i64::MIN)) as i64)
            }
            Scalar::String(_) => String::from_utf8(value[..length - 1].to_vec()).expect("UTF-8").into(),
        });
    }
    assert!(bytes.is_empty(), "bytes are left over");
    values
}

fn lengthened(mut place: Place) -> Place {
    if let Some((name, id)) = place.longer {
        let lengthen = |text: &mut String, most: usize, by: i8| {
            let length = most.saturating_add_signed(by.into());
            text.extend(std::iter::repeat_n('x', length.saturating_sub(text.len())));
        };
        lengthen(&mut place.name, MAX_INDEXED_STRING_BYTES, name);
        lengthen(&mut place.id, MAX_ID_BYTES, id);
    }
    place
}

fn documents_and_their_positions_have_the_same_order(places: &[Place; 2]) {
    let [a, b] = places;
    let (Some(of_a), Some(of_b)) = (position(a), position(b)) else { return };
    let by_value = |place: &Place| (place.name.clone(), place.rank, place.open, place.id.clone());
    assert_eq!(of_a.cmp(&of_b), by_value(a).cmp(&by_value(b)));
    if !a.name.contains('\0') && !b.name.contains('\0') {
        let of_terms = term_position(&a.name, &a.id).cmp(&term_position(&b.name, &b.id));
        assert_eq!(of_terms, (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    }
}

/// The position of a place in the index, if it can be stored and indexed.
fn position(place: &Place) -> Option<Vec<u8>> {
    let key = Key::new(PLACES, &*place.id);
    assert_eq!(key.is_ok(), (1..=256).contains(&place.id.len()) && !place.id.contains('\0'));
    let body = json!({"name": place.name, "rank": place.rank, "open": place.open});
    let body = body.as_object().expect("an object").clone();
    let document = Document { key: key.ok()?, version: Version::NONE, body, expires_at: None };
    let entry = Projection::of(&document).entries.remove(0);
    let bytes = place.name.len() + 1 + 8 + 1 + place.id.len() + 1;
    let is_indexed = !place.name.contains('\0') && place.name.len() <= 512 && bytes <= 1024;
    assert_eq!(entry.is_some(), is_indexed);
    entry.map(|entry| entry.position).inspect(|position| assert_eq!(position.len(), bytes))
}

fn versions_round_trip(text: &str) {
    if let Ok(version) = text.parse::<Version>() {
        assert_eq!(version.to_string(), text);
    }
    let mut bytes = [0; 16];
    let length = text.len().min(16);
    bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
    let version = Version::from_bytes(bytes);
    assert_eq!(version.to_string().parse(), Ok(version));
    assert_eq!(version.as_bytes().cmp(&bytes), Ordering::Equal);
}
