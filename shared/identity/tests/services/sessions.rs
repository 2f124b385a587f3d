//! Refresh tokens: rotation, reuse, and every way to end a session.

use std::time::Duration;

use crate::world::{PASSWORD, World, collection};
use futures::future::join_all;
use switchyard_database::{Key, Operation};
use switchyard_identity::{IdentitySettings, RoleList, Secret, SessionError, SignIn, testing};
use switchyard_kernel::{
    AuditFilter, AuthenticationError, Authenticator as _, CommonError, Precondition, Refused,
};

on_every_backend! {
    of_32_clients_with_one_refresh_token_all_get_the_same_successor,
    without_a_grace_exactly_one_of_32_clients_with_one_refresh_token_wins,
    a_refresh_token_used_twice_ends_its_family,
    a_log_out_and_a_refresh_at_once_leave_no_session,
    each_tenth_sign_in_ends_the_oldest_of_more_than_a_hundred_sessions,
}

async fn refresh(world: &World, token: &Secret) -> Result<SignIn, SessionError> {
    world.identity.sessions().refresh(&world.anyone(), token.expose()).await
}

async fn of_32_clients_with_one_refresh_token_all_get_the_same_successor(world: World) {
    let signed_in = world.register("ada@example.com").await;
    let token = &signed_in.tokens.refresh_token;
    let results = join_all((0..32).map(|_| refresh(&world, token))).await;
    let successors: Vec<_> = results.into_iter().map(|result| result.unwrap().tokens.refresh_token).collect();
    assert_ne!(successors[0], *token);
    assert_eq!(successors, vec![successors[0].clone(); 32]);
    // The successor can be used, as any token.
    world.minutes_pass(1);
    assert!(refresh(&world, &successors[0]).await.is_ok());
    assert_eq!(world.audited(signed_in.user.id).await, ["account.registered Success"]);
}

async fn without_a_grace_exactly_one_of_32_clients_with_one_refresh_token_wins(world: World) {
    let strict = &world.again_with(IdentitySettings { refresh_grace: Duration::ZERO, ..testing::settings() });
    let context = &world.anyone();
    let refresh = |_: &World, token: Secret| async move {
        loop {
            match strict.sessions().refresh(context, token.expose()).await {
                // On a busy machine, a client may lose against others until the database gives up.
                Err(SessionError::Common(CommonError::Database(error))) if error.is_retryable() => {}
                outcome => return outcome,
            }
        }
    };
    let signed_in = world.register("ada@example.com").await;
    let token = &signed_in.tokens.refresh_token;
    let results = join_all((0..32).map(|_| refresh(&world, token.clone()))).await;
    let (winners, losers): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
    assert_eq!((winners.len(), losers.len()), (1, 31), "{losers:?}");
    // One that has read the session before the others rotated it, and its user after they ended it, is told that it has ended.
    let is_refused = |loser: &Result<SignIn, SessionError>| {
        matches!(loser, Err(SessionError::RefreshTokenReused | SessionError::RefreshTokenInvalid))
    };
    assert!(losers.iter().all(is_refused), "{losers:?}");
    assert!(losers.contains(&Err(SessionError::RefreshTokenReused)), "{losers:?}");
    let winner = winners[0].as_ref().unwrap();
    // Several clients had the token, so the winner's new token is not valid either.
    let refused = refresh(&world, winner.tokens.refresh_token.clone()).await;
    assert_eq!(refused, Err(SessionError::RefreshTokenInvalid));
    let reuses = world.audited(signed_in.user.id).await;
    assert_eq!(reuses.iter().filter(|entry| *entry == "session.refresh_token_reused Denied").count(), 1);
}

async fn a_refresh_token_used_twice_ends_its_family(world: World) {
    let first = world.register("ada@example.com").await;
    let elsewhere = world.log_in("ada@example.com", PASSWORD).await.unwrap();
    let second = refresh(&world, &first.tokens.refresh_token).await.unwrap();
    assert_eq!(second.tokens.session_id, first.tokens.session_id);
    let third = refresh(&world, &second.tokens.refresh_token).await.unwrap();
    world.clock.advance(Duration::from_secs(10));
    for used in [&first, &second, &first] {
        assert_eq!(refresh(&world, &used.tokens.refresh_token).await, Err(SessionError::RefreshTokenReused));
    }
    assert_eq!(refresh(&world, &third.tokens.refresh_token).await, Err(SessionError::RefreshTokenInvalid));
    assert!(refresh(&world, &elsewhere.tokens.refresh_token).await.is_ok(), "other sessions continue");
    let filter =
        AuditFilter { action: Some("session.refresh_token_reused".to_owned()), ..AuditFilter::default() };
    let entries = world.entries(&filter).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].subject, Some(first.user.id.to_string()));
    assert_eq!(entries[0].resource, Some(format!("sessions/{}", first.tokens.session_id)));
    assert_eq!(entries[0].address.as_deref(), Some("192.0.2.1"));
}

async fn a_log_out_and_a_refresh_at_once_leave_no_session(world: World) {
    for n in 0..8 {
        let signed_in = world.register(&format!("ada{n}@example.com")).await;
        let token = &signed_in.tokens.refresh_token;
        let context = world.anyone();
        let sessions = world.identity.sessions();
        let ended = sessions.log_out(&context, Some(token.expose()));
        let refreshes = join_all((0..4).map(|_| refresh(&world, token)));
        let (ended, refreshed) = futures::future::join(ended, refreshes).await;
        assert_eq!(ended, Ok(()));
        for late in refreshed.into_iter().filter_map(Result::ok) {
            let again = refresh(&world, &late.tokens.refresh_token).await;
            assert_eq!(again, Err(SessionError::RefreshTokenInvalid));
            // An access token that was issued at the last moment does not serve to write.
            let context = world.as_user(&late).await;
            let everywhere = world.identity.sessions().log_out_everywhere(&context).await;
            assert_eq!(everywhere, Err(Refused::Unauthenticated.into()));
        }
    }
}

async fn each_tenth_sign_in_ends_the_oldest_of_more_than_a_hundred_sessions(world: World) {
    let registered = world.register("ada@example.com").await;
    let id = registered.user.id;
    let first = world.document("sessions", registered.tokens.session_id.as_str()).await;
    // More sessions, each a copy of the first that began later.
    for n in 1..100 {
        let (id, mut body) = (format!("00000000-0000-7000-8000-{n:012}"), first.body.clone());
        body.insert("id".to_owned(), id.clone().into());
        body.insert("created_at".to_owned(), (world.now() + Duration::from_secs(n)).as_micros().into());
        let key = Key::new(collection("sessions"), &id).unwrap();
        world.tamper(Operation::Create { key, body, expires_at: first.expires_at }).await;
    }
    world.clock.advance(Duration::from_secs(100));
    let oldest = world.as_user(&registered).await;
    let mut latest = Vec::new();
    for _ in 1..10 {
        latest.push(world.log_in("ada@example.com", PASSWORD).await.unwrap());
    }
    world.listings_catch_up().await;
    assert!(!world.audited(id).await.contains(&"session.ended Success".to_owned()));
    world.log_in("ada@example.com", PASSWORD).await.unwrap(); // finds 109

    let refused = refresh(&world, &registered.tokens.refresh_token).await;
    assert_eq!(refused, Err(SessionError::RefreshTokenInvalid));
    assert!(refresh(&world, &latest[0].tokens.refresh_token).await.is_ok());
    let everywhere = world.identity.sessions().log_out_everywhere(&oldest).await;
    assert_eq!(everywhere, Err(Refused::Unauthenticated.into()));
    let filter = AuditFilter { action: Some("session.ended".to_owned()), ..AuditFilter::default() };
    let entries = world.entries(&filter).await;
    let mut resources: Vec<_> = entries.into_iter().filter_map(|entry| entry.resource).collect();
    resources.sort();
    let mut expected: Vec<_> = (1..9).map(|n| format!("sessions/00000000-0000-7000-8000-{n:012}")).collect();
    expected.push(format!("sessions/{}", registered.tokens.session_id));
    assert_eq!(resources, expected);
}

#[tokio::test]
async fn the_latest_predecessor_yields_the_same_successor_for_ten_seconds() {
    let world = World::new().await;
    let first = world.register("ada@example.com").await;
    let second = refresh(&world, &first.tokens.refresh_token).await.unwrap();
    world.clock.advance(Duration::from_secs(10) - Duration::from_micros(1));
    let again = refresh(&world, &first.tokens.refresh_token).await.unwrap();
    assert_eq!(again.tokens.refresh_token, second.tokens.refresh_token);
    assert_eq!(again.tokens.session_id, second.tokens.session_id);
    assert_ne!(again.tokens.access_token, second.tokens.access_token);
    // A repetition does not prolong the time.
    world.clock.advance(Duration::from_micros(1));
    let late = refresh(&world, &first.tokens.refresh_token).await;
    assert_eq!(late, Err(SessionError::RefreshTokenReused));
    assert_eq!(refresh(&world, &second.tokens.refresh_token).await, Err(SessionError::RefreshTokenInvalid));
}

#[tokio::test]
async fn a_token_that_is_older_than_the_latest_predecessor_ends_the_family_at_once() {
    let world = World::new().await;
    let first = world.register("ada@example.com").await;
    let second = refresh(&world, &first.tokens.refresh_token).await.unwrap();
    refresh(&world, &second.tokens.refresh_token).await.unwrap();
    let older = refresh(&world, &first.tokens.refresh_token).await;
    assert_eq!(older, Err(SessionError::RefreshTokenReused));
    // Its family has ended, so that the time to repeat a refresh has as well.
    assert_eq!(refresh(&world, &second.tokens.refresh_token).await, Err(SessionError::RefreshTokenInvalid));
}

#[tokio::test]
async fn a_session_ends_ninety_days_after_its_sign_in_however_often_it_is_refreshed() {
    let world = World::new().await;
    let mut tokens = world.register("ada@example.com").await.tokens;
    for _ in 0..3 {
        world.days_pass(29);
        tokens = refresh(&world, &tokens.refresh_token).await.unwrap().tokens;
    }
    assert_eq!(tokens.refresh_expires_in, Duration::from_secs(3 * 24 * 60 * 60));
    world.clock.advance(tokens.refresh_expires_in - Duration::from_secs(60));
    let last = refresh(&world, &tokens.refresh_token).await.unwrap().tokens;
    assert_eq!(
        (last.expires_in, last.refresh_expires_in),
        (Duration::from_secs(60), Duration::from_secs(60))
    );
    world.minutes_pass(1);
    let token = last.access_token.expose();
    assert_eq!(world.identity.authenticate(token, world.now()).await, Err(AuthenticationError::Expired));
    assert_eq!(refresh(&world, &last.refresh_token).await, Err(SessionError::RefreshTokenInvalid));
}

#[tokio::test]
async fn any_refresh_token_of_a_session_logs_out_and_nothing_else_is_needed() {
    let world = World::new().await;
    let (anyone, sessions) = (world.anyone(), world.identity.sessions());
    let first = world.register("ada@example.com").await;
    let second = refresh(&world, &first.tokens.refresh_token).await.unwrap();
    for nothing in [None, Some(""), Some("x"), Some(&*"A".repeat(86))] {
        assert_eq!(sessions.log_out(&anyone, nothing).await, Ok(()));
    }
    world.days_pass(1);
    let used = Some(first.tokens.refresh_token.expose());
    for _ in 0..2 {
        assert_eq!(sessions.log_out(&world.anyone(), used).await, Ok(()));
    }
    assert_eq!(refresh(&world, &second.tokens.refresh_token).await, Err(SessionError::RefreshTokenInvalid));
    let log = world.audited(first.user.id).await;
    assert_eq!(log, ["account.signed_out Success", "account.registered Success"]);

    // A refresh token of one session and an access token of another end both.
    let [one, two] =
        [world.log_in("ada@example.com", PASSWORD).await, world.log_in("ada@example.com", PASSWORD).await];
    let (one, two) = (one.unwrap(), two.unwrap());
    let as_two = world.as_user(&two).await;
    sessions.log_out(&as_two, Some(one.tokens.refresh_token.expose())).await.unwrap();
    for tokens in [&one.tokens, &two.tokens] {
        assert_eq!(refresh(&world, &tokens.refresh_token).await, Err(SessionError::RefreshTokenInvalid));
    }
}

#[tokio::test]
async fn the_id_of_a_session_alone_does_not_suffice_to_end_it() {
    let world = World::new().await;
    let ada = world.register("ada@example.com").await;
    let eve = world.register("eve@example.com").await;
    // The 16 bytes of the id are 22 characters, the last of which also contains bits of the next part.
    let (adas, eves) = (ada.tokens.refresh_token.expose(), eve.tokens.refresh_token.expose());
    let forged = Secret::new(format!("{}{}", &adas[..21], &eves[21..]));
    assert_eq!(refresh(&world, &forged).await, Err(SessionError::RefreshTokenInvalid));
    for nonsense in ["", "x", &"A".repeat(86), "eyJhbGciOiJub25lIn0.e30."] {
        assert_eq!(refresh(&world, &Secret::new(nonsense)).await, Err(SessionError::RefreshTokenInvalid));
    }
    assert!(refresh(&world, &ada.tokens.refresh_token).await.is_ok());
}

#[tokio::test]
async fn a_session_lasts_thirty_days_from_its_last_refresh() {
    let world = World::new().await;
    let mut tokens = world.register("ada@example.com").await.tokens;
    for _ in 0..3 {
        world.days_pass(29);
        tokens = refresh(&world, &tokens.refresh_token).await.unwrap().tokens;
    }
    world.days_pass(30);
    assert_eq!(refresh(&world, &tokens.refresh_token).await, Err(SessionError::RefreshTokenInvalid));
}

#[tokio::test]
async fn an_access_token_is_valid_for_15_minutes_and_a_refresh_does_not_count_as_a_sign_in() {
    let world = World::new().await;
    let signed_in = world.register("ada@example.com").await;
    let signed_in_at = world.now();
    world.minutes_pass(15);
    let token = signed_in.tokens.access_token.expose();
    assert_eq!(world.identity.authenticate(token, world.now()).await, Err(AuthenticationError::Expired));
    let refreshed = refresh(&world, &signed_in.tokens.refresh_token).await.unwrap();
    let principal =
        world.identity.authenticate(refreshed.tokens.access_token.expose(), world.now()).await.unwrap();
    assert_eq!(principal.auth_time, signed_in_at);
    assert_eq!(principal.session_id, signed_in.tokens.session_id);
    let context = world.as_user(&refreshed).await;
    assert_eq!(context.require_step_up(), Err(Refused::StepUpRequired));
}

#[tokio::test]
async fn a_refresh_returns_the_current_roles() {
    let world = World::new().await;
    let (_, admin) = world.admin().await;
    let signed_in = world.register("ada@example.com").await;
    let roles = RoleList::try_from(vec!["doctor".parse().unwrap(), "customer".parse().unwrap()]).unwrap();
    let users = world.identity.users();
    users.set_roles(&admin, signed_in.user.id, &roles, &Precondition::None).await.unwrap();
    let refreshed = refresh(&world, &signed_in.tokens.refresh_token).await.unwrap();
    assert_eq!(refreshed.user.roles, roles.names());
    let token = refreshed.tokens.access_token.expose();
    assert_eq!(world.identity.authenticate(token, world.now()).await.unwrap().roles, roles.names());
}

#[tokio::test]
async fn disabled_and_deleted_users_cannot_refresh() {
    let world = World::new().await;
    let users = world.identity.users();
    let ada = world.register("ada@example.com").await;
    let eve = world.register("eve@example.com").await;
    users.disable(&world.system(), ada.user.id).await.unwrap();
    users.delete(&world.system(), eve.user.id, &Precondition::None).await.unwrap();
    for tokens in [&ada.tokens, &eve.tokens] {
        assert_eq!(refresh(&world, &tokens.refresh_token).await, Err(SessionError::RefreshTokenInvalid));
    }
    users.enable(&world.system(), ada.user.id).await.unwrap();
    users.restore(&world.system(), eve.user.id).await.unwrap();
    for tokens in [&ada.tokens, &eve.tokens] {
        let old = refresh(&world, &tokens.refresh_token).await;
        assert_eq!(old, Err(SessionError::RefreshTokenInvalid), "old sessions stay ended");
    }
}

#[tokio::test]
async fn logging_out_ends_only_this_session() {
    let world = World::new().await;
    let one = world.register("ada@example.com").await;
    let two = world.log_in("ada@example.com", PASSWORD).await.unwrap();
    let context = world.as_user(&one).await;
    world.identity.sessions().log_out(&context, None).await.unwrap();
    world.identity.sessions().log_out(&context, None).await.unwrap();
    assert_eq!(refresh(&world, &one.tokens.refresh_token).await, Err(SessionError::RefreshTokenInvalid));
    assert!(refresh(&world, &two.tokens.refresh_token).await.is_ok());
    let log = world.audited(one.user.id).await;
    assert_eq!(log.iter().filter(|entry| *entry == "account.signed_out Success").count(), 1);
}

#[tokio::test]
async fn logging_out_everywhere_ends_all_sessions_of_this_user_only() {
    let world = World::new().await;
    let one = world.register("ada@example.com").await;
    let two = world.log_in("ada@example.com", PASSWORD).await.unwrap();
    let eve = world.register("eve@example.com").await;
    let context = world.as_user(&one).await;
    world.identity.sessions().log_out_everywhere(&context).await.unwrap();
    for tokens in [&one.tokens, &two.tokens] {
        assert_eq!(refresh(&world, &tokens.refresh_token).await, Err(SessionError::RefreshTokenInvalid));
    }
    assert!(refresh(&world, &eve.tokens.refresh_token).await.is_ok());
    assert!(world.log_in("ada@example.com", PASSWORD).await.is_ok());
}

#[tokio::test]
async fn refresh_tokens_are_stored_as_hashes_and_shown_nowhere() {
    let world = World::new().await;
    let signed_in = world.register("ada@example.com").await;
    let stored = world.document("sessions", signed_in.tokens.session_id.as_str()).await;
    let stored = serde_json::to_string(&stored.body).unwrap();
    assert!(!stored.contains(&signed_in.tokens.refresh_token.expose()[22..]));
    let shown = format!("{signed_in:?}");
    assert!(!shown.contains(signed_in.tokens.refresh_token.expose()));
    assert!(!shown.contains(signed_in.tokens.access_token.expose()));
    assert_eq!(signed_in.tokens.refresh_expires_in, Duration::from_secs(30 * 24 * 60 * 60));
}
