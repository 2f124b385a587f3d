use axum::extract::State;
use axum::response::IntoResponse;
use deserr::Deserr;
use switchyard_api::{Anyone, ApiResult, Created, Faults, Json, operation_errors};
use switchyard_identity::{
    DeviceName, EmailAddress, Identity, Password, PersonName, Registration, codes as identity_codes,
};
use switchyard_sign_in::{Cookies, RefreshCookie, SignInAnswer};
use utoipa::ToSchema;

/// A new account.
#[derive(Debug, Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
pub(crate) struct RegisterInput {
    /// The e-mail address. No other account may have it, in any spelling.
    email: EmailAddress,
    /// The password. It must be hard to guess, also for someone who knows the name and the address.
    password: Password,
    /// Your name.
    name: PersonName,
    /// A name for this device. With `web`, for browsers, the refresh token and the device token are in cookies and not in the
    /// answer.
    #[deserr(default)]
    device_name: Option<DeviceName>,
}

operation_errors!(RegisterErrors: identity_codes::EMAIL_TAKEN, identity_codes::WEAK_PASSWORD);

/// Registers an account and signs its owner in. The session that a browser had before ends.
///
/// The address must not be taken by another account, not even by a deleted one. The password may contain any
/// characters and must be hard to guess. If it is not, `details.password` says why.
#[utoipa::path(post, path = "/register", tag = "auth",
    params(RefreshCookie),
    responses(
        (status = 201, description = "The account, signed in. `Set-Cookie` for browsers.", body = SignInAnswer),
        RegisterErrors,
    ))]
pub(crate) async fn register(
    Anyone(context): Anyone,
    State(identity): State<Identity>,
    cookies: Cookies,
    Json(RegisterInput { email, password, name, device_name }): Json<RegisterInput>,
) -> ApiResult<impl IntoResponse> {
    let registration = Registration { email, password, name, device_name };
    let sign_in = identity.accounts().register(&context, &registration).await?;
    cookies.end_replaced_session(&context, &identity, &sign_in.tokens).await?;
    let location = format!("/api/v1/users/{}", sign_in.user.id);
    Ok((cookies.set(&sign_in.tokens), Created::at(location, SignInAnswer::from(sign_in))))
}
