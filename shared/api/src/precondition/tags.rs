use axum::http::{HeaderMap, HeaderName, HeaderValue};
use switchyard_kernel::EntityTag;

/// The value of an `If-Match` or `If-None-Match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tags {
    /// `*`: the tag of any state.
    Any,
    /// These tags.
    Listed(Vec<EntityTag>),
}

/// A header is neither `*` nor a list of entity tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Tags {
    /// The tags of a header, from all its lines; `None` if there is no such header.
    ///
    /// What a tag is compared by is the text between its quotes. The `W/` of a weak tag says that a proxy has changed the
    /// bytes of the answer, as nginx does when it compresses one. This service creates no weak tags, so such a tag still
    /// names one state. RFC 9110 §13.1.1 asks for the strong comparison, by which no conditional change would ever succeed
    /// behind such a proxy.
    pub(super) fn of(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Malformed> {
        let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        match &lines[..] {
            [] => Ok(None),
            [line] if line.trim_ascii() == b"*" => Ok(Some(Self::Any)),
            lines => {
                // RFC 9110 §5.3: several lines are one list.
                let list = lines.join(&b',');
                let tags = read_list(&String::from_utf8_lossy(&list)).filter(|tags| !tags.is_empty());
                tags.map(|tags| Some(Self::Listed(tags))).ok_or(Malformed)
            }
        }
    }

    /// Whether one of the tags is `tag`.
    pub(super) fn include(&self, tag: &EntityTag) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.contains(tag),
        }
    }
}

/// Reads the tags of a list (RFC 9110 §5.6.1); `None` if something in it is not a tag. A tag may contain a comma, so the
/// list is read tag by tag instead of split. The types of the crate `headers` only answer whether one tag is listed, by the
/// strong comparison, and do not give the tags to a domain.
fn read_list(list: &str) -> Option<Vec<EntityTag>> {
    let mut tags = Vec::new();
    let mut rest = list;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        if rest.is_empty() {
            return Some(tags);
        }
        let (tag, after) = read_tag(rest)?;
        tags.push(tag);
        rest = after.trim_start_matches([' ', '\t']);
        if !(rest.is_empty() || rest.starts_with(',')) {
            return None;
        }
    }
}

/// Reads the tag at the start of `text`, as in `"abc"` or `W/"abc"`. Returns it with what follows.
pub(super) fn read_tag(text: &str) -> Option<(EntityTag, &str)> {
    let (opaque, rest) = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?.split_once('"')?;
    let is_opaque = opaque.chars().all(|c| !c.is_control() && c != ' ');
    is_opaque.then(|| (EntityTag::new(opaque), rest))
}

#[cfg(test)]
mod tests {
    use axum::http::header::IF_MATCH;

    use super::*;

    fn tags(lines: &[&'static str]) -> Result<Option<Tags>, Malformed> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(IF_MATCH, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        Tags::of(&headers, &IF_MATCH)
    }

    #[test]
    fn tags_are_read_from_all_lines() {
        let listed = |tags: &[&str]| Ok(Some(Tags::Listed(tags.iter().map(EntityTag::new).collect())));
        assert_eq!(tags(&[]), Ok(None));
        assert_eq!(tags(&[" * "]), Ok(Some(Tags::Any)));
        assert_eq!(tags(&["\"v1\""]), listed(&["v1"]));
        assert_eq!(tags(&["\"v0\" ,\t\"v1\""]), listed(&["v0", "v1"]));
        assert_eq!(tags(&["\"v0\",,", "\"v1\""]), listed(&["v0", "v1"]));
        assert_eq!(tags(&["\"a,b\""]), listed(&["a,b"]));
        assert_eq!(tags(&["\"\""]), listed(&[""]));
        assert_eq!(tags(&["\"ä\""]), listed(&["ä"]));
    }

    #[test]
    fn a_weak_tag_is_the_tag() {
        assert_eq!(tags(&["W/\"v1\""]), tags(&["\"v1\""]));
    }

    #[test]
    fn text_that_is_not_a_list_of_tags_is_malformed() {
        for line in [
            "",
            " ",
            ",",
            "v1",
            "\"v1",
            "v1\"",
            "w/\"v1\"",
            "W/v1",
            "\"a\" \"b\"",
            "\"a\"b",
            "\"a b\"",
            "v1, \"v1\"",
            "*, \"v1\"",
        ] {
            assert_eq!(tags(&[line]), Err(Malformed), "{line}");
        }
        assert_eq!(tags(&["*", "*"]), Err(Malformed));
    }
}
