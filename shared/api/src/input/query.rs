use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use deserr::Deserr;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::text;
use crate::{ApiError, ApiResult};
use switchyard_kernel::{FaultKind, Faults, FieldPath};

/// The parameters of a query string, as a `T` that derives `Deserr`.
///
/// Unknown parameters are refused, and all faults are reported at once, as for a body. Numbers and booleans are
/// read from their text. A field that is a list collects a parameter that is given several times. A field that
/// may be left out has `#[deserr(default)]` and, unless it is an `Option`, also `#[param(required = false)]`
/// for the OpenAPI document.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<T>(
    /// The parameters.
    pub T,
);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: Deserr<Faults>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> ApiResult<Self> {
        let parameters = read(parts.uri.query().unwrap_or_default())?;
        Ok(Self(text::decode(Value::Object(parameters))?))
    }
}

/// Requires that a query string has no parameters.
pub(crate) fn require_no_parameters(query: &str) -> Result<(), Faults> {
    /// The parameters of an operation that has none.
    #[derive(Deserr)]
    #[deserr(error = Faults, deny_unknown_fields)]
    struct NoParameters {}

    let NoParameters {} = text::decode(Value::Object(read(query)?))?;
    Ok(())
}

/// Reads query parameters by name: each as a text, or as a list of texts if it is given several times.
pub(crate) fn read(query: &str) -> Result<Map<String, Value>, Faults> {
    let mut parameters = Map::new();
    let mut faults = Faults::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let Ok(name) = decode(name) else {
            faults.push(FieldPath::literal("query"), FaultKind::Rule("must be UTF-8".to_owned()));
            continue;
        };
        match decode(value) {
            Ok(value) => add(&mut parameters, name, Value::String(value)),
            Err(fault) => faults.push(FieldPath::key(&name), FaultKind::Rule(fault.to_owned())),
        }
    }
    faults.or(parameters)
}

fn add(parameters: &mut Map<String, Value>, name: String, value: Value) {
    match parameters.get_mut(&name) {
        None => {
            parameters.insert(name, value);
        }
        Some(Value::Array(values)) => values.push(value),
        Some(first) => *first = Value::Array(vec![first.take(), value]),
    }
}

/// Decodes text in form encoding: `+` is a space, and other bytes are percent-encoded.
fn decode(text: &str) -> Result<String, &'static str> {
    let text = text.replace('+', " ");
    let text = percent_decode_str(&text).decode_utf8().map_err(|_| "must be UTF-8")?;
    if text.contains('\0') { Err("must not contain the character U+0000") } else { Ok(text.into_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Deserr)]
    #[deserr(error = Faults, deny_unknown_fields)]
    struct Filter {
        #[deserr(default)]
        q: Option<String>,
        #[deserr(default)]
        limit: Option<u8>,
        #[deserr(default)]
        offset: Option<i64>,
        #[deserr(default)]
        ratio: Option<f64>,
        #[deserr(default)]
        deleted: bool,
        #[deserr(default)]
        ids: Vec<u32>,
    }

    fn filter(query: &str) -> Result<Filter, Vec<(String, String)>> {
        read(query)
            .and_then(|parameters| text::decode(Value::Object(parameters)))
            .map_err(|faults| faults.into_details().into_iter().collect())
    }

    #[test]
    fn a_parameter_is_read_as_the_type_of_its_field() {
        assert_eq!(
            filter("q=20&limit=20&offset=-3&ratio=0.5&deleted=true&ids=1&ids=2"),
            Ok(Filter {
                q: Some("20".to_owned()),
                limit: Some(20),
                offset: Some(-3),
                ratio: Some(0.5),
                deleted: true,
                ids: vec![1, 2],
            })
        );
    }

    #[test]
    fn a_list_may_have_one_element() {
        assert_eq!(filter("ids=7").map(|filter| filter.ids), Ok(vec![7]));
    }

    #[test]
    fn all_faults_are_reported_at_once() {
        assert_eq!(
            filter("limit=many&offset=1&offset=2&deleted=yes&ids=1&ids=x&sort=up"),
            Err(vec![
                ("deleted".to_owned(), "must be true or false".to_owned()),
                ("ids[1]".to_owned(), "must be a whole number, 0 or more".to_owned()),
                ("limit".to_owned(), "must be a whole number, 0 or more".to_owned()),
                ("offset".to_owned(), "must be given once".to_owned()),
                ("sort".to_owned(), "is not a known parameter".to_owned()),
            ])
        );
    }

    #[test]
    fn a_number_out_of_range_is_reported_with_its_bound() {
        assert_eq!(filter("limit=300"), Err(vec![("limit".to_owned(), "must be at most 255".to_owned())]));
    }

    #[test]
    fn text_is_decoded_from_form_encoding() {
        assert_eq!(filter("q=a+b%2Bc%C3%A4&&").map(|filter| filter.q), Ok(Some("a b+cä".to_owned())));
    }

    #[test]
    fn bytes_that_are_not_utf_8_and_null_characters_are_refused() {
        assert_eq!(filter("q=%FF"), Err(vec![("q".to_owned(), "must be UTF-8".to_owned())]));
        assert_eq!(
            filter("q=a%00"),
            Err(vec![("q".to_owned(), "must not contain the character U+0000".to_owned())])
        );
    }
}
