//! Secrets and an admin for tests that run the project's binaries.

use std::sync::OnceLock;

use anyhow::Context as _;
use switchyard_ambient::Ambient;
use switchyard_database::Db;
use switchyard_identity::{FirstAdmin, IdentitySettings, LocalSecrets, LoginOutcome, LoginRequest, Secret};
use switchyard_kernel::{Actor, KernelSettings};
use switchyard_program::{ALL_SECRETS, assemble};
use switchyard_settings::Environment;

use crate::app::PASSWORD;
use crate::store::Store;

/// The address of the admin; the password is [`PASSWORD`].
pub const EMAIL: &str = "admin@example.org";

/// The password of the admin in the settings of a server. It must be changed before it is good for anything else.
const GIVEN_PASSWORD: &str = "the first of two passphrases 86";

/// The settings with which a server creates the admin.
pub const ADMIN_ENVIRONMENT: [(&str, &str); 2] = [("ADMIN_EMAIL", EMAIL), ("ADMIN_PASSWORD", GIVEN_PASSWORD)];

/// Signs in the admin of [`ADMIN_ENVIRONMENT`] to a server, and changes the password to [`PASSWORD`] the first time. Returns
/// an access token.
pub async fn sign_in_admin(base_url: &str) -> anyhow::Result<String> {
    let client = reqwest::Client::new();
    let login = async |password: &str| -> anyhow::Result<Option<String>> {
        let credentials = serde_json::json!({"email": EMAIL, "password": password});
        let request = client.post(format!("{base_url}/api/v1/auth/login")).json(&credentials);
        let answer = request.send().await?;
        if answer.status() == reqwest::StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        let answer: serde_json::Value = answer.error_for_status()?.json().await?;
        Ok(answer["access_token"].as_str().map(ToOwned::to_owned))
    };
    if let Some(token) = login(PASSWORD).await? {
        return Ok(token);
    }
    let token = login(GIVEN_PASSWORD).await?.context("the admin has one of the two passwords")?;
    let change = serde_json::json!({"current_password": GIVEN_PASSWORD, "new_password": PASSWORD});
    let request = client.post(format!("{base_url}/api/v1/auth/password-change")).bearer_auth(token);
    request.json(&change).send().await?.error_for_status()?;
    login(PASSWORD).await?.context("the admin has the new password")
}

/// The settings that identity needs: secrets that are generated once per test process, and cheap password
/// hashes.
///
/// # Panics
///
/// If the secrets cannot be generated.
pub fn identity_environment() -> Vec<(String, String)> {
    static VARIABLES: OnceLock<Vec<(String, String)>> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().expect("a temporary folder can be created");
        let secrets = LocalSecrets::load_or_make(folder.path(), &Ambient::system(), |_| true)
            .expect("secrets can be generated");
        let variables = secrets.iter().chain([("BCRYPT_COST", "4")]);
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    VARIABLES.get_or_init(make).clone()
}

/// Creates an admin in a migrated store and signs them in.
pub async fn access_token_of_admin(store: &Store) -> anyhow::Result<String> {
    let (kernel, settings) = Environment::of(identity_environment()).read(|environment| {
        let kernel = KernelSettings::read(environment, &ALL_SECRETS);
        let identity = IdentitySettings::read(environment, &ALL_SECRETS, None);
        Some((kernel?, identity?))
    })?;
    let ambient = Ambient::system();
    let db = Db::new(store.open(ambient.clone()).await?, ambient.clone());
    let identity = assemble(db, kernel, settings);
    identity.install(ambient.now()).await?;
    let context = identity.context("harness").by(Actor::System);
    let admin =
        FirstAdmin { email: EMAIL.parse()?, password: PASSWORD.parse()?, password_change_required: false };
    identity.accounts().ensure_first_admin(&context, &admin).await?;
    let request = LoginRequest {
        email: EMAIL.parse()?,
        password: Secret::new(PASSWORD),
        device_name: None,
        device_token: None,
    };
    let outcome = identity.accounts().login(&identity.context("harness"), &request).await?;
    let LoginOutcome::SignedIn(signed_in) = outcome;
    Ok(signed_in.tokens.access_token.expose().to_owned())
}
