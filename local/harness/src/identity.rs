//! Secrets and an admin for tests that run the project's binaries.

use std::sync::OnceLock;

use switchyard_ambient::Ambient;
use switchyard_database::Db;
use switchyard_identity::{FirstAdmin, IdentitySettings, LocalSecrets, LoginOutcome, LoginRequest, Secret};
use switchyard_kernel::{Actor, KernelSettings};
use switchyard_program::assemble;
use switchyard_settings::Environment;

use crate::app::PASSWORD;
use crate::store::Store;

/// The address of the admin; the password is [`PASSWORD`].
pub const EMAIL: &str = "admin@example.org";

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
        let secrets = LocalSecrets::load_or_create(folder.path(), &Ambient::system())
            .expect("secrets can be generated");
        let variables = secrets.iter().chain([("BCRYPT_COST", "4")]);
        variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    VARIABLES.get_or_init(make).clone()
}

/// Creates an admin in a migrated store and signs them in.
pub async fn access_token_of_admin(store: &Store) -> anyhow::Result<String> {
    let (kernel, settings) = Environment::of(identity_environment()).read(|environment| {
        let (kernel, identity) = (KernelSettings::read(environment), IdentitySettings::read(environment));
        Some((kernel?, identity?))
    })?;
    let ambient = Ambient::system();
    let db = Db::new(store.open(ambient.clone()).await?, ambient.clone());
    let identity = assemble(db, kernel, settings);
    identity.install(ambient.now()).await?;
    let context = identity.context("harness").by(Actor::System);
    let admin = FirstAdmin { email: EMAIL.parse()?, password: PASSWORD.parse()? };
    identity.accounts().ensure_first_admin(&context, &admin).await?;
    let request = LoginRequest { email: EMAIL.parse()?, password: Secret::new(PASSWORD), device_name: None };
    let outcome = identity.accounts().login(&identity.context("harness"), &request).await?;
    let LoginOutcome::SignedIn(signed_in) = outcome;
    Ok(signed_in.tokens.access_token.expose().to_owned())
}
