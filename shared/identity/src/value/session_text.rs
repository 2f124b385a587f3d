use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use switchyard_kernel::text_value;
use switchyard_kernel::value::has_controls;

/// The name that a client gives the device: 1 to 100 characters, no control characters.
///
/// The name `web` means that the client is a browser, which keeps the refresh token in a cookie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(
    value_type = String,
    min_length = 1,
    max_length = 100,
    pattern = r"^[^\u0000-\u001F\u007F-\u009F]+$",
    example = "Ada's phone"
)]
pub struct DeviceName(String);

/// The text is not a device's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 100 characters, none of them a control character")]
pub struct InvalidDeviceName;

impl TryFrom<String> for DeviceName {
    type Error = InvalidDeviceName;

    fn try_from(text: String) -> Result<Self, InvalidDeviceName> {
        let fits = (1..=100).contains(&text.chars().count()) && !has_controls(&text);
        if fits { Ok(Self(text)) } else { Err(InvalidDeviceName) }
    }
}

text_value!(DeviceName, InvalidDeviceName);
