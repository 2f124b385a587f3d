//! A sample of each operation that has a body.

use switchyard_api::testing::{Sample, json};
use switchyard_identity::Identity;
use switchyard_identity::testing::PASSWORD;
use switchyard_kernel::Context;

/// Returns samples about the account of the user `owner`, whose password is [`PASSWORD`].
///
/// # Panics
///
/// If the owner is not signed in.
pub async fn samples(identity: &Identity, owner: &Context) -> Vec<Sample> {
    let me = identity.accounts().me(owner).await.expect("the owner is signed in").value;
    let new = format!("registered.{}@example.com", me.id);
    vec![
        Sample::new("register", "/api/v1/auth/register")
            .body(json!({"email": new, "password": PASSWORD, "name": "Registered"})),
        Sample::new("update_me", "/api/v1/auth/me").body(json!({"name": "Updated"})),
        Sample::new("change_password", "/api/v1/auth/password-change")
            .body(json!({"current_password": PASSWORD, "new_password": "another-passphrase-77"})),
    ]
}
