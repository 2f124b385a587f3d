use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{has_controls, text_value};

/// What a client calls the device that signs in: 1 to 100 characters, no control characters.
///
/// The name `web` tells that the client is a browser, which keeps the refresh token in a cookie.
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

/// What is kept of a `User-Agent`: its first 256 characters, control characters left out. A client may send anything
/// there, and a request is not refused for it.
pub(crate) fn user_agent_text(header: &str) -> String {
    header.chars().filter(|c| !c.is_control()).take(256).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_agent_is_cut_not_refused() {
        assert_eq!(user_agent_text("curl/8\u{0}.1\n"), "curl/8.1");
        assert_eq!(user_agent_text(&"ü".repeat(300)).chars().count(), 256);
    }
}
