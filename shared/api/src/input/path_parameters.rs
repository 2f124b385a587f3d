use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use deserr::Deserr;
use serde_json::Value;

use super::text;
use crate::{ApiError, ApiResult};
use switchyard_kernel::{Faults, FieldPath, Step};

/// The parameters of a path: a `T` if there is one, or a tuple in the order of the path if there are several.
///
/// `T` derives `Deserr`, as the fields of a body do. A malformed parameter is refused with 400, with the fault
/// under the parameter's name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Path<T>(
    /// The parameters.
    pub T,
);

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: Deserr<Faults>,
    S: Send + Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let parameters = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::invalid("path", "must be UTF-8"))?;
        let parameters: Vec<_> = parameters.iter().collect();
        Ok(Self(decode(&parameters)?))
    }
}

fn decode<T: Deserr<Faults>>(parameters: &[(&str, &str)]) -> Result<T, Faults> {
    for (name, text) in parameters {
        if text.contains('\0') {
            return Err(Faults::at(FieldPath::key(name), "must not contain the character U+0000"));
        }
    }
    let texts = parameters.iter().map(|(_, text)| Value::String((*text).to_owned()));
    if let [(name, text)] = parameters {
        return text::decode(Value::String((*text).to_owned())).map_err(|mut faults| {
            faults.map_paths(|path| *path = FieldPath::key(name));
            faults
        });
    }
    text::decode(Value::Array(texts.collect())).map_err(|mut faults| {
        faults.map_paths(|path| {
            if let Some(first) = path.first_mut()
                && let Step::Index(index) = first
                && let Some((name, _)) = parameters.get(*index)
            {
                *first = Step::Key((*name).to_owned());
            }
        });
        faults
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults<T: Deserr<Faults>>(parameters: &[(&str, &str)]) -> Vec<(String, String)> {
        decode::<T>(parameters).err().unwrap_or_default().into_details().into_iter().collect()
    }

    #[test]
    fn one_parameter_is_read_as_itself_and_several_as_a_tuple() {
        assert_eq!(decode::<String>(&[("id", "a")]), Ok("a".to_owned()));
        assert_eq!(decode::<u32>(&[("id", "7")]), Ok(7));
        assert_eq!(decode::<(String, u32)>(&[("id", "7"), ("line", "7")]), Ok(("7".to_owned(), 7)));
    }

    #[test]
    fn a_fault_is_reported_under_the_parameters_name() {
        let fault = "must be a whole number, 0 or more".to_owned();
        assert_eq!(faults::<u32>(&[("id", "x")]), [("id".to_owned(), fault.clone())]);
        assert_eq!(faults::<(u32, u32)>(&[("id", "1"), ("line", "x")]), [("line".to_owned(), fault)]);
    }
}
