//! A sample of each operation that has a body.

use switchyard_api::testing::{Sample, json};
use switchyard_identity::testing::PASSWORD;
use switchyard_identity::{Identity, LoginOutcome, LoginRequest, Secret};
use switchyard_kernel::Context;

/// Returns samples about the account of the user `owner`, whose password is [`PASSWORD`].
///
/// # Panics
///
/// If the owner cannot sign in.
pub async fn samples(identity: &Identity, owner: &Context) -> Vec<Sample> {
    let accounts = identity.accounts();
    let me = accounts.me(owner).await.expect("the owner is signed in").value;
    let request = LoginRequest {
        email: me.email.clone(),
        password: Secret::new(PASSWORD),
        device_name: None,
        device_token: None,
    };
    let sign_in = async || {
        let outcome = accounts.login(owner, &request).await;
        let LoginOutcome::SignedIn(signed_in) = outcome.expect("the owner can sign in");
        signed_in.tokens.refresh_token.expose().to_owned()
    };
    vec![
        Sample::new("login", "/api/v1/auth/login").body(json!({"email": me.email, "password": PASSWORD})),
        Sample::new("refresh", "/api/v1/auth/refresh").body(json!({"refresh_token": sign_in().await})),
        Sample::new("logout", "/api/v1/auth/logout").body(json!({"refresh_token": sign_in().await})),
    ]
}
