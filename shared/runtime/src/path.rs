//! The normal form of paths, for servers and for functions.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};

/// The characters that must be encoded in a query (RFC 3986 §3.4).
pub(crate) const IN_QUERY: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'|')
    .add(b'\\')
    .add(b'^')
    .add(b'[')
    .add(b']');

/// The characters that must be encoded in a path (§3.3).
const IN_PATH: &AsciiSet = &IN_QUERY.add(b'?').add(b'%');

/// The normal form of a path: what need not be encoded is not (RFC 3986 §6.2.2.2), and what must be is, in uppercase
/// (§6.2.2.1). Equivalent paths become equal, so the router compares bytes.
///
/// API Gateway decodes paths before a function sees them. So an encoded slash separates segments here too: a function could
/// not tell it from a slash. Segments `.` and `..` have no meaning (§6.2.2.3 would remove them): a path that climbs over a
/// prefix could otherwise pass a proxy that admits paths by their prefix.
pub(crate) fn normalize(path: &str) -> String {
    let decoded: Vec<u8> = percent_decode_str(path).collect();
    encode(&decoded)
}

/// The normal form of a path that was decoded.
pub(crate) fn encode(decoded: &[u8]) -> String {
    let slash = if decoded.starts_with(b"/") { "" } else { "/" };
    format!("{slash}{}", percent_encode(decoded, IN_PATH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equivalent_paths_have_one_normal_form() {
        let cases = [
            ("/api/v1/auth/me", "/api/v1/auth/me"),
            ("/auth/m%65", "/auth/me"),
            ("/%7Eada", "/~ada"),
            ("/a%3ab", "/a:b"),
            ("/a%c3%a4", "/a%C3%A4"),
            ("/aä", "/a%C3%A4"),
            ("/a%2Fb", "/a/b"),
            ("/a%3Fb%23", "/a%3Fb%23"),
            ("/a%00", "/a%00"),
            ("/%ff", "/%FF"),
            ("/a%2565", "/a%2565"),
            ("/a%", "/a%25"),
            ("/a%zz", "/a%25zz"),
            ("/a|b\"", "/a%7Cb%22"),
            ("/a/./b/../c/%2e%2E", "/a/./b/../c/.."),
            ("//a//", "//a//"),
            ("", "/"),
        ];
        for (path, normal) in cases {
            assert_eq!(normalize(path), normal, "{path}");
            assert_eq!(normalize(normal), normal);
        }
    }
}
