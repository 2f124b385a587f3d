//! Device tokens: guesses from known devices are counted apart from those of everyone else, and have their own share of the
//! queue for hashing.

use std::time::Duration;

use futures::future::join_all;
use switchyard_database::retry;
use switchyard_identity::{
    AccountError, Identity, IdentitySettings, LoginOutcome, LoginRequest, Secret, SignIn, UserFields,
    UserStatus, testing,
};
use switchyard_kernel::{CommonError, Precondition};
use tokio::time::Instant;

use crate::world::{PASSWORD, World, login};

on_every_backend! {
    wrong_passwords_from_anywhere_do_not_shut_out_a_known_device,
    guesses_from_a_device_and_from_anywhere_do_not_add_up,
    a_device_that_guesses_wrong_is_unknown_for_a_quarter_of_an_hour,
    of_a_hundred_wrong_passwords_from_a_device_five_are_verified_twice,
    unlocking_a_user_unlocks_their_devices,
    a_token_ends_with_the_other_sessions_and_a_refresh_brings_a_new_one,
    a_full_queue_has_places_for_known_devices,
}

const NEW_PASSWORD: &str = "copper whistle under nine moons";
const ADA: &str = "ada@example.com";

async fn log_in_on(
    identity: &Identity,
    world: &World,
    password: &str,
    token: &Secret,
) -> Result<SignIn, AccountError> {
    let request = LoginRequest { device_token: Some(token.clone()), ..login(ADA, password) };
    let LoginOutcome::SignedIn(sign_in) = identity.accounts().login(&world.anyone(), &request).await?;
    Ok(*sign_in)
}

impl World {
    async fn log_in_from(&self, token: &Secret, password: &str) -> Result<SignIn, AccountError> {
        log_in_on(&self.identity, self, password, token).await
    }

    async fn wrong_guesses(&self, number: usize) {
        for _ in 0..number {
            assert_eq!(self.log_in(ADA, "wrong").await, Err(AccountError::InvalidCredentials));
        }
    }

    async fn wrong_guesses_from(&self, token: &Secret, number: usize) {
        for _ in 0..number {
            assert_eq!(self.log_in_from(token, "wrong").await, Err(AccountError::InvalidCredentials));
        }
    }
}

fn locked_for(minutes: u64) -> AccountError {
    AccountError::AccountLocked { retry_after: Duration::from_secs(60 * minutes) }
}

async fn wrong_passwords_from_anywhere_do_not_shut_out_a_known_device(world: World) {
    let registered = world.register(ADA).await;
    let mut token = registered.tokens.device_token;
    world.wrong_guesses(5).await;
    assert_eq!(world.log_in(ADA, PASSWORD).await, Err(locked_for(15)));
    for _ in 0..6 {
        let signed_in = world.log_in_from(&token, PASSWORD).await.unwrap();
        assert_eq!(
            (signed_in.user.id, signed_in.user.last_login_at),
            (registered.user.id, Some(world.now()))
        );
        // Everyone else stays locked out.
        assert_eq!(signed_in.user.status, UserStatus::Locked);
        assert_eq!(world.log_in(ADA, PASSWORD).await, Err(locked_for(15)));
        assert_ne!(signed_in.tokens.device_token, token);
        token = signed_in.tokens.device_token;
    }
    // A caller who is signed in changes the password meanwhile.
    let context = world.as_user(&world.log_in_from(&token, PASSWORD).await.unwrap()).await;
    let (accounts, new) = (world.identity.accounts(), NEW_PASSWORD.parse().unwrap());
    let current = Secret::new(PASSWORD);
    assert_eq!(accounts.change_password(&context, &current, &new, None).await, Err(locked_for(15)));
    accounts.change_password(&context, &current, &new, Some(&token)).await.unwrap();
    world.minutes_pass(15);
    let signed_in = world.log_in(ADA, NEW_PASSWORD).await.unwrap();
    assert_eq!(signed_in.user.status, UserStatus::Active);
}

async fn guesses_from_a_device_and_from_anywhere_do_not_add_up(world: World) {
    let token = world.register(ADA).await.tokens.device_token;
    world.wrong_guesses(4).await;
    world.wrong_guesses_from(&token, 4).await;
    let signed_in = world.log_in_from(&token, PASSWORD).await.unwrap();
    assert_eq!(signed_in.user.status, UserStatus::Active);
    // The sign-in has reset the count of the device, and not that of the account.
    world.wrong_guesses_from(&token, 4).await;
    assert!(world.log_in_from(&token, PASSWORD).await.is_ok());
    world.wrong_guesses(1).await;
    assert_eq!(world.log_in(ADA, PASSWORD).await, Err(locked_for(15)));
    // Guesses that no longer count are not kept by a sign-in.
    world.minutes_pass(15);
    assert!(world.log_in_from(&token, PASSWORD).await.is_ok());
    world.wrong_guesses(4).await;
    assert!(world.log_in(ADA, PASSWORD).await.is_ok());
}

async fn a_device_that_guesses_wrong_is_unknown_for_a_quarter_of_an_hour(world: World) {
    let registered = world.register(ADA).await;
    let (id, token) = (registered.user.id, registered.tokens.device_token);
    let other = world.log_in(ADA, PASSWORD).await.unwrap().tokens.device_token;
    world.wrong_guesses_from(&token, 5).await;
    assert!(world.audited(id).await.contains(&"account.device_locked Success".to_owned()));
    let user = world.identity.users().get(&world.system(), id).await.unwrap();
    assert_eq!(user.value.status, UserStatus::Active);
    // Like anyone, the device may still sign in, and locks the account with wrong passwords.
    assert!(world.log_in_from(&token, PASSWORD).await.is_ok());
    world.wrong_guesses_from(&token, 5).await;
    assert_eq!(world.log_in_from(&token, PASSWORD).await, Err(locked_for(15)));
    assert_eq!(world.log_in(ADA, PASSWORD).await, Err(locked_for(15)));
    assert!(world.log_in_from(&other, PASSWORD).await.is_ok());
    let mut locks = world.audited(id).await;
    locks.retain(|entry| entry.contains("locked"));
    locks.sort();
    assert_eq!(locks, ["account.device_locked Success", "account.locked Success"]);
    world.minutes_pass(15);
    world.wrong_guesses(5).await;
    assert!(world.log_in_from(&token, PASSWORD).await.is_ok());
    assert!(world.audit_is_intact().await);
}

async fn of_a_hundred_wrong_passwords_from_a_device_five_are_verified_twice(world: World) {
    let token = &world.register(ADA).await.tokens.device_token;
    let results = join_all((0..100).map(|_| world.log_in_from(token, "wrong"))).await;
    let wrong = results.iter().filter(|result| **result == Err(AccountError::InvalidCredentials)).count();
    let locked = results.iter().filter(|result| **result == Err(locked_for(15))).count();
    assert_eq!((wrong, locked), (10, 90), "{results:?}");
}

async fn unlocking_a_user_unlocks_their_devices(world: World) {
    let registered = world.register(ADA).await;
    let (id, token) = (registered.user.id, registered.tokens.device_token);
    let users = world.identity.users();
    let before = users.get(&world.system(), id).await.unwrap().tag;
    world.wrong_guesses_from(&token, 5).await;
    world.wrong_guesses(5).await;
    assert_eq!(world.log_in_from(&token, PASSWORD).await, Err(locked_for(15)));
    let unlocked = users.unlock(&world.system(), id).await.unwrap();
    assert_eq!(
        (unlocked.value.status, unlocked.tag),
        (UserStatus::Active, before),
        "an edit is not disturbed"
    );
    world.wrong_guesses(5).await;
    assert!(world.log_in_from(&token, PASSWORD).await.is_ok(), "the device is known again");
    users.unlock(&world.system(), id).await.unwrap();
    assert!(world.log_in(ADA, PASSWORD).await.is_ok());
}

async fn a_token_ends_with_the_other_sessions_and_a_refresh_brings_a_new_one(world: World) {
    let (users, accounts, sessions) =
        (world.identity.users(), world.identity.accounts(), world.identity.sessions());
    let (system, mut password) = (&world.system(), PASSWORD.to_owned());
    let id = world.register(ADA).await.user.id;
    // The account stays locked for everyone whose device is not known.
    let is_known = async |token: &Secret, password: &str| {
        world.wrong_guesses(5).await;
        let outcome = world.log_in_from(token, password).await;
        users.unlock(system, id).await.unwrap();
        match outcome {
            Ok(_) => true,
            Err(AccountError::AccountLocked { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    };
    for way in ["log-out", "log-out-all", "password change", "reset", "disabling", "deletion", "address"] {
        let this = world.log_in(ADA, &password).await.unwrap();
        let other = world.log_in(ADA, &password).await.unwrap();
        let context = world.as_user(&this).await;
        for token in [&this.tokens.device_token, &other.tokens.device_token] {
            assert!(is_known(token, &password).await, "before {way}");
        }
        let move_to = async |address: &str| {
            let edit =
                |fields: &UserFields| Ok(UserFields { email: address.parse().unwrap(), ..fields.clone() });
            users.edit(&context, id, &Precondition::None, edit).await.unwrap();
        };
        let (mut ends, mut continues) = (true, false);
        match way {
            "log-out" => {
                sessions.log_out(&context, None).await.unwrap();
                ends = false;
            }
            "log-out-all" => sessions.log_out_everywhere(&context).await.unwrap(),
            "password change" => {
                let current = Secret::new(password);
                accounts
                    .change_password(&context, &current, &NEW_PASSWORD.parse().unwrap(), None)
                    .await
                    .unwrap();
                password = NEW_PASSWORD.to_owned();
                continues = true;
            }
            "reset" => password = accounts.reset_password(system, id).await.unwrap().expose().to_owned(),
            "disabling" => {
                users.disable(system, id).await.unwrap();
                users.enable(system, id).await.unwrap();
            }
            "deletion" => {
                users.delete(system, id, &Precondition::None).await.unwrap();
                users.restore(system, id).await.unwrap();
            }
            _ => {
                move_to("other@example.com").await;
                move_to(ADA).await;
                continues = true;
            }
        }
        for token in [&this.tokens.device_token, &other.tokens.device_token] {
            assert_eq!(is_known(token, &password).await, !ends, "after {way}");
        }
        let refreshed = sessions.refresh(&world.anyone(), this.tokens.refresh_token.expose()).await;
        assert_eq!(refreshed.is_ok(), continues, "after {way}");
        if let Ok(refreshed) = refreshed {
            assert!(is_known(&refreshed.tokens.device_token, &password).await, "refreshed after {way}");
        }
    }
}

async fn a_full_queue_has_places_for_known_devices(world: World) {
    let token = world.register(ADA).await.tokens.device_token;
    // One password at a time, and each takes about a quarter of a second. So about twenty wait for five seconds.
    let slow = IdentitySettings { bcrypt_cost: 12, password_hash_threads: 1, ..testing::settings() };
    let slow = world.again_with(slow);
    let strangers: Vec<_> = (0..60)
        .map(|n| {
            let (identity, context) = (slow.clone(), world.anyone());
            let request = login(&format!("stranger{n}@example.com"), "wrong");
            tokio::spawn(async move { identity.accounts().login(&context, &request).await })
        })
        .collect();
    let is_busy = |error: &AccountError| {
        let AccountError::Common(CommonError::Busy { retry_after }) = error else { return false };
        (Duration::from_secs(1)..=Duration::from_secs(10)).contains(retry_after)
    };
    let log_in = async || slow.accounts().login(&world.anyone(), &login(ADA, PASSWORD)).await;
    // Once the queue is full.
    while !strangers.iter().any(tokio::task::JoinHandle::is_finished) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut refused = None;
    for _ in 0..3 {
        // A place may have become free.
        let begun = Instant::now();
        let outcome = tokio::time::timeout(Duration::from_millis(500), log_in()).await;
        if let Ok(Err(error)) = outcome {
            refused = Some((error, begun.elapsed()));
            break;
        }
    }
    let (error, waited) = refused.expect("the queue is full");
    assert!(is_busy(&error), "{error:?}");
    assert!(waited < Duration::from_millis(500), "{waited:?}");

    let begun = Instant::now();
    let deadline = begun + Duration::from_secs(20);
    Box::pin(retry::within(deadline, log_in_on(&slow, &world, PASSWORD, &token))).await.unwrap();
    // It waited for the turn that was running, perhaps for one more, and for its own.
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());

    // Those who leave make room.
    strangers.iter().for_each(tokio::task::JoinHandle::abort);
    let mut served = 0;
    for stranger in strangers {
        match stranger.await {
            Ok(Err(AccountError::InvalidCredentials)) => served += 1,
            Ok(Err(error)) => assert!(is_busy(&error), "{error:?}"),
            Ok(Ok(outcome)) => panic!("{outcome:?}"),
            Err(_cancelled) => {}
        }
    }
    assert!(served < 20, "{served} strangers were served before the known device");
    let begun = Instant::now();
    log_in().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_deadline_that_cannot_be_met_costs_no_guess() {
    let world = World::new().await;
    world.register(ADA).await;
    for _ in 0..6 {
        let late = Box::pin(retry::within(Instant::now(), world.log_in(ADA, "wrong"))).await;
        assert!(matches!(late, Err(AccountError::Common(CommonError::Busy { .. }))), "{late:?}");
    }
    assert!(world.log_in(ADA, PASSWORD).await.is_ok());
}

#[tokio::test]
async fn a_token_that_is_not_valid_is_ignored() {
    let world = World::new().await;
    let token = world.register(ADA).await.tokens.device_token;
    let others = world.register("eve@example.com").await.tokens.device_token;
    let forged = format!("{}A", &token.expose()[..63]);
    let tokens = [others.expose(), "", "x", &forged, &"A".repeat(64), "é"].map(Secret::new);
    for token in &tokens[..5] {
        world.wrong_guesses_from(token, 1).await;
    }
    for token in &tokens {
        assert_eq!(world.log_in_from(token, PASSWORD).await, Err(locked_for(15)), "{}", token.expose());
    }
    assert!(world.log_in_from(&token, PASSWORD).await.is_ok());
    // Nor is a token of anyone valid for an address without an account.
    for (n, token) in tokens.iter().enumerate() {
        let request =
            LoginRequest { device_token: Some(token.clone()), ..login("nobody@example.com", PASSWORD) };
        let refused = world.identity.accounts().login(&world.anyone(), &request).await.unwrap_err();
        assert_eq!(refused, if n < 5 { AccountError::InvalidCredentials } else { locked_for(15) });
    }
}
