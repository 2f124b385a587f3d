use serde::Serialize;
use switchyard_identity::{Secret, SignIn, User};
use utoipa::ToSchema;

use crate::Cookies;

/// A user who has signed in, and their tokens.
#[derive(Serialize, ToSchema)]
pub struct SignInAnswer {
    /// The user.
    user: User,
    /// The token to send with every request, as `Authorization: Bearer …`. It is a JWT.
    #[schema(
        example = "eyJhbGciOiJSUzI1NiIsInR5cCI6ImF0K2p3dCIsImtpZCI6Ii4uLiJ9.eyJzdWIiOiIuLi4ifQ.c2lnbmF0dXJl"
    )]
    access_token: String,
    /// Always `Bearer`.
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// How long the access token is valid, in seconds.
    #[schema(example = 900)]
    expires_in: u64,
    /// The token to get new tokens with at `/auth/refresh`. It can be used once. A browser has it in a cookie alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false,
        example = "AZCl9G8OfMSKXl2cCx8_VTK2kR0m1xqkq3T8vS2oYb1hYk9wZ2lXo0d4Q3JmN1p6c0hVd2VRZ0tqTnB0Zw")]
    refresh_token: Option<String>,
    /// The token to send with the next log-in on this device. With it, wrong passwords that others have tried do not keep the
    /// owner out. It is good for nothing else. A browser has it in a cookie alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "AZCl9G8OfMSKXl2cCx8_VTK2kR0m1xqkq3T8vS2oYb1hYk9wZ2lXo0d4Q3JmN1p6")]
    device_token: Option<String>,
}

impl From<SignIn> for SignInAnswer {
    fn from(SignIn { user, tokens }: SignIn) -> Self {
        let in_answer = |token: &Secret| (!Cookies::are_for(&tokens)).then(|| token.expose().to_owned());
        Self {
            refresh_token: in_answer(&tokens.refresh_token),
            device_token: in_answer(&tokens.device_token),
            user,
            access_token: tokens.access_token.expose().to_owned(),
            token_type: "Bearer",
            expires_in: tokens.expires_in.as_secs(),
        }
    }
}
