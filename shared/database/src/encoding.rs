//! The order-preserving encoding of the keys in which every backend stores its index entries.
//!
//! `encode(a).cmp(encode(b))` equals `a.cmp(b)` for tuples of the same kinds, and an encoded tuple is a prefix of
//! another one only if the tuple is:
//!
//! | value | bytes |
//! |---|---|
//! | boolean | `00` or `01` |
//! | integer | eight bytes, big-endian, the sign bit flipped |
//! | string | its UTF-8 bytes, then `00` (U+0000 is refused in documents, so nothing needs escaping) |
//!
//! The schema fixes the kinds, so the encoding needs no tags.

use crate::Scalar;

/// Appends the encoding of `value`.
pub fn encode_into(value: &Scalar, out: &mut Vec<u8>) {
    match value {
        Scalar::Boolean(value) => out.push(u8::from(*value)),
        Scalar::Integer(value) => out.extend_from_slice(&(value.cast_unsigned() ^ (1 << 63)).to_be_bytes()),
        Scalar::String(text) => encode_string_into(text, out),
    }
}

/// Appends the encoding of a string.
pub fn encode_string_into(text: &str, out: &mut Vec<u8>) {
    debug_assert!(!text.contains('\0'), "strings with U+0000 must be refused before they are encoded");
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

/// The encoding of a tuple.
pub fn encode<'a>(values: impl IntoIterator<Item = &'a Scalar>) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        encode_into(value, &mut out);
    }
    out
}

/// The lowest byte string above all byte strings that begin with `prefix`; `None` if there is none, because
/// `prefix` is empty or all `FF`.
pub fn successor_of_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let keep = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut next = prefix[..=keep].to_vec();
    next[keep] += 1;
    Some(next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strings() -> impl Strategy<Value = String> {
        proptest::collection::vec(
            prop_oneof![Just('a'), Just('b'), Just('\u{1}'), Just('\u{ffff}'), Just('😀'), any::<char>()],
            0..6,
        )
        .prop_map(|chars| chars.into_iter().filter(|&c| c != '\0').collect())
    }

    fn tuples() -> impl Strategy<Value = Vec<Scalar>> {
        (strings(), any::<i64>(), any::<bool>(), strings())
            .prop_map(|(a, b, c, d)| vec![a.into(), b.into(), c.into(), d.into()])
    }

    proptest! {
        #[test]
        fn encoded_tuples_are_ordered_like_the_tuples(a in tuples(), b in tuples()) {
            prop_assert_eq!(encode(&a).cmp(&encode(&b)), a.cmp(&b));
        }

        #[test]
        fn integers_are_ordered_by_value(a in any::<i64>(), b in any::<i64>()) {
            prop_assert_eq!(encode(&[a.into()]).cmp(&encode(&[b.into()])), a.cmp(&b));
        }

        #[test]
        fn the_successor_of_a_prefix_bounds_exactly_the_strings_that_begin_with_it(
            prefix in proptest::collection::vec(prop_oneof![Just(0xff_u8), any::<u8>()], 0..4),
            other in proptest::collection::vec(prop_oneof![Just(0xff_u8), any::<u8>()], 0..6),
        ) {
            let below = successor_of_prefix(&prefix).is_none_or(|next| other < next);
            prop_assert_eq!(other.starts_with(&prefix), other >= prefix && below);
        }
    }

    #[test]
    fn strings_are_ordered_by_their_utf8_bytes_and_not_by_utf16() {
        assert!(encode(&["\u{ffff}".into()]) < encode(&["😀".into()]));
        assert!(encode(&["a".into()]) < encode(&["a\u{1}".into()]));
        assert!(encode(&["Z".into()]) < encode(&["a".into()]));
    }
}
