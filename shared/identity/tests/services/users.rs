//! Lists, statistics, changes, deletion, profiles.

use crate::world::{World, collection};
use futures::future::join_all;
use switchyard_database::{Consistency, Key};
use switchyard_identity::{
    NewUser, ProfileFields, RoleList, User, UserError, UserFields, UserFilter, UserStatus,
};
use switchyard_kernel::{Context, EntityTag, Faults, PageRequest, Precondition, Refused, UserId};

on_every_backend! {
    the_statistics_follow_every_change,
    lists_are_filtered_sorted_and_paged,
}

fn new_user(email: &str, name: &str, roles: &[&str]) -> NewUser {
    let names: Vec<_> = roles.iter().map(|role| role.parse().unwrap()).collect();
    let roles = (!names.is_empty()).then(|| RoleList::try_from(names).unwrap());
    NewUser { email: email.parse().unwrap(), name: name.parse().unwrap(), roles }
}

async fn create(world: &World, email: &str, name: &str, roles: &[&str]) -> UserId {
    world.identity.users().create(&world.system(), &new_user(email, name, roles)).await.unwrap().value.id
}

/// Lists all users who match, page by page. Returns the local parts of their addresses.
async fn all(world: &World, context: &Context, filter: &UserFilter, limit: u32) -> Vec<String> {
    let mut found = Vec::new();
    let mut page = PageRequest::first(limit);
    world.listings_catch_up().await;
    loop {
        let listed = world.identity.users().list(context, filter, &page).await.unwrap();
        assert!(listed.data.len() <= limit as usize);
        assert!(
            listed.pagination.next_cursor.is_none() || listed.data.len() == limit as usize,
            "only the last page may be short"
        );
        found.extend(listed.data.iter().map(local_part));
        match listed.pagination.next_cursor {
            Some(next) => page = PageRequest::after(limit, next),
            None => return found,
        }
    }
}

fn local_part(user: &User) -> String {
    user.email.as_str().split('@').next().unwrap().to_owned()
}

async fn the_statistics_follow_every_change(world: World) {
    let context = &world.system();
    let users = world.identity.users();
    create(&world, "old@example.com", "Old", &[]).await;
    world.days_pass(25);
    let context = &Context { now: world.now(), ..context.clone() };
    create(&world, "older@example.com", "Older", &[]).await;
    world.days_pass(6);
    let context = &Context { now: world.now(), ..context.clone() };
    let ids = join_all((0..20).map(|n| {
        let world = &world;
        async move { create(world, &format!("u{n}@example.com"), "U", &["doctor", "patient"]).await }
    }))
    .await;
    users.disable(context, ids[0]).await.unwrap();
    users.disable(context, ids[0]).await.unwrap();
    users.delete(context, ids[1], &Precondition::None).await.unwrap();
    users.disable(context, ids[2]).await.unwrap();
    users.delete(context, ids[2], &Precondition::None).await.unwrap();
    users.delete(context, ids[3], &Precondition::None).await.unwrap();
    users.restore(context, ids[3]).await.unwrap();
    let roles = RoleList::try_from(vec!["patient".parse().unwrap()]).unwrap();
    users.set_roles(context, ids[4], &roles, &Precondition::None).await.unwrap();
    let stats = users.stats(context).await.unwrap();
    assert_eq!((stats.total, stats.active, stats.disabled, stats.locked), (20, 19, 1, 0));
    let by_role = [("customer", 2), ("doctor", 17), ("patient", 18)].map(|(role, n)| (role.to_owned(), n));
    assert_eq!(stats.by_role, by_role.into());
    // 31 days have passed since the first registration and 6 since the second: the last 7 days include today.
    assert_eq!((stats.registered_last_7_days, stats.registered_last_30_days), (19, 19));
    assert!(world.audit_is_intact().await);
}

async fn lists_are_filtered_sorted_and_paged(world: World) {
    let context = &world.system();
    let mut ids = Vec::new();
    for n in 0..12 {
        world.minutes_pass(1);
        let roles: &[&str] = if n % 4 == 0 { &["doctor", "customer"] } else { &["customer"] };
        let name = if n % 3 == 0 { "Zoë Ångström" } else { "Ada Lovelace" };
        ids.push(create(&world, &format!("u{n}@example.com"), name, roles).await);
    }
    let times: Vec<_> = {
        world.listings_catch_up().await;
        let listed =
            world.identity.users().list(context, &UserFilter::default(), &PageRequest::first(100)).await;
        listed.unwrap().data.iter().map(|user| user.created_at).collect()
    };
    world.identity.users().delete(context, ids[2], &Precondition::None).await.unwrap();
    world.identity.users().disable(context, ids[4]).await.unwrap();
    world.identity.users().disable(context, ids[5]).await.unwrap();
    let none = UserFilter::default;
    let cases = [
        (none(), "u0 u1 u3 u4 u5 u6 u7 u8 u9 u10 u11"),
        (UserFilter { descending: true, ..none() }, "u11 u10 u9 u8 u7 u6 u5 u4 u3 u1 u0"),
        (UserFilter { include_deleted: true, ..none() }, "u0 u1 u2 u3 u4 u5 u6 u7 u8 u9 u10 u11"),
        (UserFilter { role: Some("doctor".parse().unwrap()), ..none() }, "u0 u4 u8"),
        (UserFilter { role: Some("doctor".parse().unwrap()), descending: true, ..none() }, "u8 u4 u0"),
        (UserFilter { role: Some("merchant".parse().unwrap()), ..none() }, ""),
        (UserFilter { status: Some(UserStatus::Disabled), ..none() }, "u4 u5"),
        (UserFilter { status: Some(UserStatus::Active), ..none() }, "u0 u1 u3 u6 u7 u8 u9 u10 u11"),
        (UserFilter { created_from: Some(times[3]), created_to: Some(times[6]), ..none() }, "u3 u4 u5 u6"),
        (
            UserFilter {
                role: Some("doctor".parse().unwrap()),
                status: Some(UserStatus::Disabled),
                ..none()
            },
            "u4",
        ),
        (UserFilter { created_from: Some(times[9]), include_deleted: true, ..none() }, "u9 u10 u11"),
    ];
    for (filter, expected) in cases {
        let expected: Vec<_> = expected.split_whitespace().collect();
        for limit in [1, 3, 100] {
            // A filter by role and state is read by role and then filtered by state, so pages can be short.
            if filter.role.is_some() && filter.status.is_some() && limit < 100 {
                continue;
            }
            assert_eq!(all(&world, context, &filter, limit).await, expected, "{filter:?} by {limit}");
        }
    }
    let mut found = all(&world, context, &UserFilter { q: Some("zoe ang".to_owned()), ..none() }, 100).await;
    found.sort();
    assert_eq!(found, ["u0", "u3", "u6", "u9"]);
    let q = Some("u1".to_owned()); // a beginning of u1, u10 and u11
    let from = Some(times[10]);
    let mut found = all(&world, context, &UserFilter { q, created_from: from, ..none() }, 100).await;
    found.sort();
    assert_eq!(found, ["u10", "u11"]);
    let both = UserFilter { q: Some("u".to_owned()), role: Some("doctor".parse().unwrap()), ..none() };
    let mut found = all(&world, context, &both, 100).await;
    found.sort();
    assert_eq!(found, ["u0", "u4", "u8"]);
}

#[tokio::test]
async fn a_list_marks_deleted_users_and_refuses_a_foreign_cursor() {
    let world = World::new().await;
    let id = create(&world, "ada@example.com", "Ada", &[]).await;
    world.identity.users().delete(&world.system(), id, &Precondition::None).await.unwrap();
    let filter = UserFilter { include_deleted: true, ..UserFilter::default() };
    world.listings_catch_up().await;
    let listed = world.identity.users().list(&world.system(), &filter, &PageRequest::first(5)).await.unwrap();
    assert_eq!(listed.data[0].deleted_at, Some(world.now()));
    let page = PageRequest::after(5, "nonsense");
    let refused = world.identity.users().list(&world.system(), &filter, &page).await;
    assert_eq!(refused, Err(switchyard_database::Error::BadCursor.into()));
}

#[tokio::test]
async fn users_can_read_only_themselves() {
    let world = World::new().await;
    let (admin_id, admin) = world.admin().await;
    let (ada, adas) = world.customer("ada@example.com").await;
    let (eve, _) = world.customer("eve@example.com").await;
    let users = world.identity.users();
    assert_eq!(users.get(&adas, ada).await.unwrap().value.id, ada);
    assert_eq!(users.get(&admin, ada).await.unwrap().value.id, ada);
    let not_found = || Some(Refused::NotFound.into());
    assert_eq!(users.get(&adas, eve).await.err(), not_found());
    assert_eq!(users.roles(&adas, admin_id).await.err(), not_found());
    assert_eq!(users.profile(&adas, eve).await.err(), not_found());
    assert_eq!(users.delete(&adas, eve, &Precondition::None).await.err(), not_found());
    let forbidden = || Some(Refused::Forbidden.into());
    let page = PageRequest::first(5);
    assert_eq!(users.list(&adas, &UserFilter::default(), &page).await.err(), forbidden());
    assert_eq!(users.stats(&adas).await.err(), forbidden());
    assert_eq!(users.create(&adas, &new_user("x@example.com", "X", &[])).await.err(), forbidden());
    assert_eq!(users.disable(&adas, ada).await.err(), forbidden());
    let nobody = users.get(&world.anyone(), ada).await.err();
    assert_eq!(nobody, Some(Refused::Unauthenticated.into()));
    assert_eq!(world.denials_of(ada).await, 8);
}

#[tokio::test]
async fn a_deleted_user_is_gone_until_restored() {
    let world = World::new().await;
    let (_, admin) = world.admin().await;
    let (id, _) = world.customer("ada@example.com").await;
    let users = world.identity.users();
    users.disable(&admin, id).await.unwrap();
    users.delete(&admin, id, &Precondition::None).await.unwrap();
    assert_eq!(users.get(&admin, id).await.err(), Some(Refused::NotFound.into()));
    let again = users.delete(&admin, id, &Precondition::None).await;
    assert_eq!(again, Err(Refused::NotFound.into()));
    let restored = users.restore(&admin, id).await.unwrap();
    assert_eq!(restored.value.status, UserStatus::Disabled);
    assert_eq!(restored.value.deleted_at, None);
    assert_eq!(users.restore(&admin, id).await.unwrap(), restored);
    let log = world.audited(id).await;
    for action in ["disabled", "deleted", "restored"] {
        assert_eq!(
            log.iter().filter(|entry| **entry == format!("user.{action} Success")).count(),
            1,
            "{log:?}"
        );
    }
}

#[tokio::test]
async fn customers_are_listed_without_a_document_for_each() {
    let world = World::new().await;
    let (root, _) = world.admin().await;
    world.minutes_pass(1);
    let (id, _) = world.customer("ada@example.com").await;
    let keys = [format!("{id}/customer"), format!("{root}/customer"), format!("{root}/admin")];
    let memberships = collection("role_memberships");
    let stored = world
        .db
        .backend()
        .get_many(&keys.map(|key| Key::new(memberships, &key).unwrap()), Consistency::Linearizable)
        .await
        .unwrap();
    assert_eq!(stored.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true]);
    world.listings_catch_up().await;
    let list = async |role: &str| {
        let filter = UserFilter { role: Some(role.parse().unwrap()), ..UserFilter::default() };
        let page =
            world.identity.users().list(&world.system(), &filter, &PageRequest::first(10)).await.unwrap();
        page.data.iter().map(|user| user.id).collect::<Vec<_>>()
    };
    assert_eq!((list("customer").await, list("admin").await), (vec![root, id], vec![root]));
    let roles = RoleList::try_from(vec!["doctor".parse().unwrap()]).unwrap();
    world.identity.users().set_roles(&world.system(), id, &roles, &Precondition::None).await.unwrap();
    world.listings_catch_up().await;
    assert_eq!((list("customer").await, list("doctor").await), (vec![root], vec![id]));
}

#[tokio::test]
async fn a_new_address_counts_as_not_verified() {
    let world = World::new().await;
    let imported = switchyard_identity::NewImportedUser {
        email: "ada@example.com".parse().unwrap(),
        name: "Ada".parse().unwrap(),
        roles: None,
        password_hash: None,
        email_verified: true,
        created_at: None,
    };
    let results = world.identity.users().import(&world.system(), &[imported]).await.unwrap();
    let Ok(switchyard_identity::Imported::Created(id)) = results[0] else { panic!("{results:?}") };
    let users = world.identity.users();
    assert!(users.get(&world.system(), id).await.unwrap().value.email_verified);
    let put = |email: &str| UserFields { email: email.parse().unwrap(), name: "Ada King".parse().unwrap() };
    let put = |email: &'static str| move |_: &UserFields| Ok(put(email));
    let same = users.edit(&world.system(), id, &Precondition::None, put("ada@example.com")).await.unwrap();
    assert!(same.value.email_verified);
    let other = users.edit(&world.system(), id, &Precondition::None, put("ada@example.org")).await.unwrap();
    assert!(!other.value.email_verified);
    assert!(users.create(&world.system(), &new_user("ADA@example.com", "New", &[])).await.is_ok());
}

#[tokio::test]
async fn a_change_for_another_state_is_refused() {
    let world = World::new().await;
    let id = create(&world, "ada@example.com", "Ada", &[]).await;
    let users = world.identity.users();
    let stale = &Precondition::Matches(vec![EntityTag::new("stale")]);
    let failed = Some(UserError::from(Refused::PreconditionFailed));
    assert_eq!(users.delete(&world.system(), id, stale).await.err(), failed);
    let roles = RoleList::try_from(vec!["doctor".parse().unwrap()]).unwrap();
    assert_eq!(users.set_roles(&world.system(), id, &roles, stale).await.err(), failed);
    let edit = |fields: &ProfileFields| Ok(fields.clone());
    let edited = users.edit_profile(&world.system(), id, stale, edit).await;
    assert_eq!(edited.err(), failed);
}

#[tokio::test]
async fn a_profile_is_empty_at_first_and_then_what_was_set() {
    let world = World::new().await;
    let (id, context) = world.customer("ada@example.com").await;
    let users = world.identity.users();
    let empty = users.profile(&context, id).await.unwrap();
    assert_eq!((empty.value.phone.clone(), empty.value.updated_at), (None, world.now()));
    world.minutes_pass(1);
    let context = Context { now: world.now(), ..context };
    let is_empty = &Precondition::Matches(vec![empty.tag.clone()]);
    let set = |date: &'static str| {
        move |fields: &ProfileFields| {
            Ok(ProfileFields {
                phone: Some("+4915112345678".parse().unwrap()),
                date_of_birth: Some(date.parse().unwrap()),
                ..fields.clone()
            })
        }
    };
    let profile = users.edit_profile(&context, id, is_empty, set("1990-12-31")).await.unwrap();
    assert_eq!(profile.value.phone.as_ref().map(|phone| phone.as_str()), Some("+4915112345678"));
    assert_eq!(profile.value.updated_at, world.now());
    assert_eq!(users.profile(&context, id).await.unwrap(), profile);
    let late = users.edit_profile(&context, id, is_empty, set("1990-12-31")).await;
    assert_eq!(late.err(), Some(Refused::PreconditionFailed.into()));
    let unborn = users.edit_profile(&context, id, &Precondition::None, set("2033-03-02")).await;
    assert_eq!(unborn.err(), Some(UserError::BornInFuture));
    let context = Context { now: "2033-03-01T10:00:00Z".parse().unwrap(), ..context };
    let born = users.edit_profile(&context, id, &Precondition::None, set("2033-03-02")).await;
    assert_eq!(born.err(), None, "this day has begun in the easternmost time zone");
}

#[tokio::test]
async fn an_edit_whose_function_fails_changes_nothing() {
    let world = World::new().await;
    let id = create(&world, "ada@example.com", "Ada", &[]).await;
    let mut faults = Faults::new();
    faults.add("name", "is not acceptable");
    let refused =
        world.identity.users().edit(&world.system(), id, &Precondition::None, |_| Err(faults.clone())).await;
    assert_eq!(refused.err(), Some(faults.into()));
}
