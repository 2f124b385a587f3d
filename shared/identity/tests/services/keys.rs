//! The keys of tokens and the other secrets, where they change while programs run.

use std::sync::Arc;
use std::time::Duration;

use switchyard_ambient::{Ambient, ManualClock, SystemRandomness};
use switchyard_database::{Db, Schema};
use switchyard_harness::watched::Watched;
use switchyard_identity::{
    Identity, IdentitySettings, LoginOutcome, LoginRequest, Secret, SigningKeys, testing,
};
use switchyard_kernel::{AuthenticationError, Authenticator as _, Context, Rotating, replace_secrets};
use switchyard_settings::Environment;

use crate::world::{PASSWORD, World};

fn pem() -> String {
    SigningKeys::generate_p256_pem().unwrap()
}

fn signing(pem: &str) -> IdentitySettings {
    let keys = Rotating::new("JWT_PRIVATE_KEY", SigningKeys::from_pem(pem).unwrap());
    IdentitySettings { signing_keys: keys, ..testing::settings() }
}

/// The settings of a program that only verifies tokens.
fn verifying() -> IdentitySettings {
    let read =
        Environment::of([("", ""); 0]).read(|environment| IdentitySettings::read(environment, &[], None));
    IdentitySettings { signing_keys: read.unwrap().signing_keys, ..testing::settings() }
}

/// Reads of the published keys need a clock that moves.
async fn is_valid(world: &World, identity: &Identity, token: &str) -> bool {
    world.clock.advance(Duration::from_secs(1));
    match identity.authenticate(token, world.now()).await {
        Ok(_) => true,
        Err(AuthenticationError::Invalid) => false,
        Err(other) => panic!("{other}"),
    }
}

async fn a_token_of_a_new_key_is_valid_where_the_key_is_not_known_yet(world: World) {
    let (old, new) = (pem(), pem());
    let before = world.again_with(signing(&old));
    let verifier = world.again_with(verifying());
    let token = |identity: &Identity| {
        let (identity, context) = (identity.clone(), identity.context("request"));
        async move { access_token(&identity, &context).await }
    };
    world.register("ada@example.com").await;

    let first = token(&before).await;
    assert!(is_valid(&world, &verifier, &first).await);
    // One program has the new key before the others. They read it when they see its first token.
    let after = world.again_with(signing(&format!("{new}{old}")));
    let second = token(&after).await;
    for identity in [&before, &verifier, &after] {
        assert!(is_valid(&world, identity, &second).await);
        assert!(is_valid(&world, identity, &first).await);
    }
    assert_eq!(verifier.latest_jwks(world.now()).await.keys.len(), 3); // with the one of the world
    // A program that starts with the old secret does not remove the new key.
    let behind = world.again_with(signing(&old));
    assert!(is_valid(&world, &behind, &token(&behind).await).await);
    assert!(is_valid(&world, &world.again_with(verifying()), &second).await);

    // Once the old key has left the secret, its tokens are valid nowhere.
    world.minutes_pass(11);
    let last = world.again_with(signing(&new));
    let third = token(&last).await;
    last.latest_jwks(world.now()).await; // publishes
    world.minutes_pass(5);
    assert!(is_valid(&world, &verifier, &third).await);
    assert!(!is_valid(&world, &verifier, &first).await);
}

async fn access_token(identity: &Identity, context: &Context) -> String {
    let request = LoginRequest {
        email: "ada@example.com".parse().unwrap(),
        password: Secret::new(PASSWORD),
        device_name: None,
        device_token: None,
    };
    let outcome = identity.accounts().login(context, &request).await.unwrap();
    let LoginOutcome::SignedIn(signed_in) = outcome;
    signed_in.tokens.access_token.expose().to_owned()
}

on_every_backend!(a_token_of_a_new_key_is_valid_where_the_key_is_not_known_yet);

#[tokio::test]
async fn made_up_ids_of_keys_cause_one_read_a_second() {
    let clock = ManualClock::at("2033-03-01T08:30:00Z".parse().unwrap());
    let ambient = Ambient::new(clock.clone(), SystemRandomness);
    let watched = Arc::new(Watched::new(crate::database(ambient.clone())));
    let db = Db::new(watched.clone(), ambient.clone());
    db.backend().migrate(&Schema::new(switchyard_program::collections()).unwrap()).await.unwrap();
    let verifier = switchyard_program::assemble(db, testing::kernel_settings(), verifying());
    verifier.begin(ambient.now()).await.unwrap();
    watched.take_calls("token_keys");
    let now = ambient.now().as_seconds();
    let claims = serde_json::json!({
        "iss": "switchyard", "aud": "switchyard", "sub": "00000000-0000-0000-0000-000000000001",
        "sid": "00000000-0000-0000-0000-000000000002", "session_epoch": 4, "roles": [], "auth_time": now, "iat": now,
        "exp": now + 900, "jti": "x",
    });
    let mut reads = Vec::new();
    for second in 0..3 {
        clock.advance(Duration::from_secs(1));
        for number in 0..20 {
            let kid = format!("made-up-{second}-{number}");
            let token = testing::signed_token(
                &serde_json::json!({"alg": "RS256", "typ": "at+jwt", "kid": kid}),
                &claims,
            );
            let refused = verifier.authenticate(&token, ambient.now()).await;
            assert_eq!(refused.unwrap_err(), AuthenticationError::Invalid);
        }
        reads.push(watched.take_calls("token_keys").len());
    }
    assert_eq!(reads, [1, 1, 1]);
    // What is not one of our tokens causes none.
    clock.advance(Duration::from_secs(1));
    let other = serde_json::json!({"iss": "another"});
    let token =
        testing::signed_token(&serde_json::json!({"alg": "RS256", "typ": "at+jwt", "kid": "x"}), &other);
    for token in [token.as_str(), "a.b.c", ""] {
        assert!(verifier.authenticate(token, ambient.now()).await.is_err());
    }
    assert_eq!(watched.take_calls("token_keys"), Vec::<&str>::new());
}

/// A client that gets 401 throws its token away.
#[tokio::test]
async fn a_token_is_not_refused_because_the_keys_cannot_be_read() {
    let world = World::new().await;
    let token = world.register("ada@example.com").await.tokens.access_token;
    let db = Db::new(crate::database(world.db.ambient().clone()), world.db.ambient().clone()); // without tables
    let verifier = switchyard_program::assemble(db, testing::kernel_settings(), verifying());
    for _ in 0..3 {
        let fault = verifier.authenticate(token.expose(), world.now()).await.unwrap_err();
        assert!(matches!(fault, AuthenticationError::Database(_)), "{fault}");
    }
}

#[tokio::test]
async fn a_program_without_a_secret_cannot_do_what_needs_it() {
    let world = World::new().await;
    world.register("ada@example.com").await;
    let verifier = world.again_with(verifying());
    let request = LoginRequest {
        email: "ada@example.com".parse().unwrap(),
        password: Secret::new(PASSWORD),
        device_name: None,
        device_token: None,
    };
    let refused = verifier.accounts().login(&verifier.context("request"), &request).await;
    let fault = refused.unwrap_err().to_string();
    assert!(fault.contains("JWT_PRIVATE_KEY is not among the program's secrets"), "{fault}");
}

#[tokio::test]
async fn only_a_secret_with_the_keys_that_the_database_knows_replaces_another() {
    let world = World::new().await;
    let (old, new) = ("pepper for tests and in no way secret", "another pepper and in no way secret");
    let identity = &world.identity;
    let held = || identity.settings().password_pepper.current().unwrap().ids();
    let replace = async |pepper: &str, record: bool| {
        let new = |name: &str| (name == "PASSWORD_PEPPER").then(|| Secret::new(pepper));
        let db = identity.kernel().db();
        replace_secrets(db, identity.secrets(), new, record, world.now()).await.unwrap()
    };
    let first = held();
    assert_eq!(replace("short", false).await.len(), 1);
    let faults = replace(new, true).await;
    let expected = format!(
        "the new PASSWORD_PEPPER lacks the key with the id {}, which the database was used with",
        first[0]
    );
    assert_eq!(faults, [expected]);
    assert_eq!(held(), first);
    // Function: what the database knows stays as it is.
    assert_eq!(replace(&format!("{new},{old}"), false).await, Vec::<String>::new());
    assert_eq!(held().len(), 2);
    assert_eq!(replace(new, false).await.len(), 1);
    assert_eq!(held().len(), 2);
    // Server: it learns the new key, so that the old one can go.
    assert_eq!(replace(old, true).await, Vec::<String>::new());
    assert_eq!(replace(&format!("{new},{old}"), true).await, Vec::<String>::new());
    assert_eq!(replace(new, true).await, Vec::<String>::new());
    assert_eq!(held().len(), 1);
    assert_ne!(held(), first);
}
