//! Roles, who may grant them, and the last admin.

use crate::world::{ADMIN_PASSWORD, World};
use std::sync::Arc;

use futures::future::{join, join_all};
use switchyard_database::Operation;
use switchyard_identity::{
    FirstAdmin, Identity, NewUser, PermissionName, Role, RoleAuthority, RoleError, RoleFields, RoleList,
    UserError, permissions, testing,
};
use switchyard_kernel::{
    AUDIT_READ, Actor, Authenticator as _, BuiltInRole, Context, Kernel, Manifest, Manifests, PageRequest,
    Permission, Permissions, Precondition, Principal, Refused, RoleName, UserId,
};

on_every_backend! {
    of_two_admins_who_demote_each_other_at_once_one_remains,
    a_role_is_not_deleted_while_it_is_granted,
}

fn role(name: &str) -> RoleName {
    name.parse().unwrap()
}

fn roles(names: &[&str]) -> RoleList {
    RoleList::try_from(names.iter().map(|name| role(name)).collect::<Vec<_>>()).unwrap()
}

fn fields(permissions: &[Permission]) -> RoleFields {
    let permissions = permissions.iter().map(|&permission| permission.into()).collect();
    RoleFields { description: "Helps.".parse().unwrap(), permissions }
}

async fn user(world: &World, email: &str, names: &[&str]) -> UserId {
    let new =
        NewUser { email: email.parse().unwrap(), name: "N".parse().unwrap(), roles: Some(roles(names)) };
    world.identity.users().create(&world.system(), &new).await.unwrap().value.id
}

/// A user with these permissions who has just signed in.
fn with(world: &World, id: UserId, permissions: &[Permission]) -> Context {
    world.anyone().by(Actor::User(Principal {
        user_id: id,
        session_id: id.uuid().into(),
        session_epoch: 0,
        roles: vec![],
        permissions: permissions.iter().copied().collect(),
        auth_time: world.now(),
        password_change_required: false,
    }))
}

async fn of_two_admins_who_demote_each_other_at_once_one_remains(world: World) {
    let (one, as_one) = world.admin().await;
    // An invited admin does not count, since they cannot sign in yet.
    user(&world, "invited@example.com", &["admin"]).await;
    let (two, as_two) = world.customer("two@example.com").await;
    let users = world.identity.users();
    users.set_roles(&as_one, two, &roles(&["admin"]), &Precondition::None).await.unwrap();
    let as_two = as_two.clone().by(match as_two.actor {
        Actor::User(principal) => Actor::User(Principal { permissions: Permissions::EVERY, ..principal }),
        other => other,
    });
    let customer = roles(&["customer"]);
    // The admin who is demoted first may no longer demote. The system may, and is refused for the last admin.
    let too_late = [UserError::LastAdmin, Refused::Forbidden.into()];
    let last_admin = [UserError::LastAdmin];
    let system = world.system();
    for (first, second, expected) in
        [(&as_one, &as_two, &too_late[..]), (&system, &system, &last_admin)].repeat(5)
    {
        let (first, second) = join(
            users.set_roles(first, two, &customer, &Precondition::None),
            users.set_roles(second, one, &customer, &Precondition::None),
        )
        .await;
        let refused: Vec<_> = [first.err(), second.err()].into_iter().flatten().collect();
        assert!(matches!(&refused[..], [one] if expected.contains(one)), "{refused:?}");
        for id in [one, two] {
            users.set_roles(&world.system(), id, &roles(&["admin"]), &Precondition::None).await.unwrap();
        }
    }
    let removals = join_all([one, two].map(|id| {
        let (identity, context) = (world.identity.clone(), world.system());
        async move { identity.users().disable(&context, id).await.err() }
    }))
    .await;
    assert_eq!(
        removals.iter().filter(|error| **error == Some(UserError::LastAdmin)).count(),
        1,
        "{removals:?}"
    );
    let left = if removals[0].is_some() { one } else { two };
    let deleted = users.delete(&world.system(), left, &Precondition::None).await;
    assert_eq!(deleted.err(), Some(UserError::LastAdmin));
}

async fn a_role_is_not_deleted_while_it_is_granted(world: World) {
    let context = &world.system();
    let ids: Vec<_> = {
        let mut ids = Vec::new();
        for n in 0..4 {
            ids.push(user(&world, &format!("u{n}@example.com"), &["customer"]).await);
        }
        ids
    };
    for round in 0..5 {
        let name = role(&format!("support-{round}"));
        world.identity.roles().create(context, &name, &fields(&[])).await.unwrap();
        let list = RoleList::try_from(vec![name.clone()]).unwrap();
        let given = join_all(ids.iter().map(|id| {
            let (identity, list) = (world.identity.clone(), list.clone());
            async move { identity.users().set_roles(context, *id, &list, &Precondition::None).await.err() }
        }));
        let roles = world.identity.roles();
        let deletion = roles.delete(context, &name, &Precondition::None);
        let (given, deleted) = join(given, deletion).await;
        let granted = given.iter().filter(|error| error.is_none()).count();
        let unknown = Some(UserError::UnknownRoles(vec![name.clone()]));
        match deleted {
            Ok(()) => assert!(given.iter().all(|error| *error == unknown), "{given:?}"),
            Err(error) => assert_eq!((error, granted), (RoleError::RoleInUse, 4), "{given:?}"),
        }
    }
}

#[tokio::test]
async fn the_built_in_roles_exist_and_are_listed_by_name() {
    let world = World::new().await;
    world.identity.install(world.now()).await.unwrap();
    world.listings_catch_up().await;
    let listed = world.identity.roles().list(&world.system(), &PageRequest::first(100)).await.unwrap();
    let names: Vec<_> = listed.data.iter().map(|role| role.name.as_str()).collect();
    assert_eq!(names, ["admin", "customer", "doctor", "finance", "fulfilment", "merchant", "patient"]);
    assert!(listed.data.iter().all(|role| role.built_in));
    let name_of = |permission: Permission| PermissionName::from(permission);
    let all: Vec<_> = world.identity.kernel().permissions().map(name_of).collect();
    // Those of identity come first, and those of other domains follow.
    assert!(all.starts_with(&permissions::ALL.iter().copied().map(name_of).collect::<Vec<_>>()));
    assert_eq!(listed.data[0].permissions, all);
    let permissions =
        world.identity.roles().permissions(&world.system(), &PageRequest::first(100)).await.unwrap();
    assert_eq!(permissions.data.into_iter().map(|info| info.name).collect::<Vec<_>>(), all);
}

#[tokio::test]
async fn admin_is_never_changed_and_built_in_roles_are_never_deleted() {
    let world = World::new().await;
    let service = world.identity.roles();
    let context = &world.system();
    let edit = |_: &RoleFields| Ok(fields(&[permissions::USERS_READ]));
    let refused = service.edit(context, &role("admin"), &Precondition::None, edit).await;
    assert_eq!(refused.err(), Some(RoleError::RoleProtected));
    for name in ["admin", "customer", "doctor"] {
        let refused = service.delete(context, &role(name), &Precondition::None).await;
        assert_eq!(refused, Err(RoleError::RoleProtected));
    }
    let changed = service.edit(context, &role("doctor"), &Precondition::None, edit).await.unwrap();
    assert_eq!(changed.value.permissions, [permissions::USERS_READ.into()]);
    world.identity.install(world.now()).await.unwrap();
    assert_eq!(
        service.get(context, &role("doctor")).await.unwrap(),
        changed,
        "installing again keeps changes"
    );
    let taken = service.create(context, &role("doctor"), &fields(&[])).await;
    assert_eq!(taken, Err(RoleError::RoleTaken));
}

#[tokio::test]
async fn a_role_in_use_is_not_deleted_until_its_users_have_lost_it() {
    let world = World::new().await;
    let context = &world.system();
    let (service, users) = (world.identity.roles(), world.identity.users());
    let name = role("support");
    service.create(context, &name, &fields(&[permissions::USERS_READ])).await.unwrap();
    let one = user(&world, "one@example.com", &["support"]).await;
    let two = user(&world, "two@example.com", &["support", "customer"]).await;
    users.set_roles(context, one, &roles(&["customer"]), &Precondition::None).await.unwrap();
    assert_eq!(service.delete(context, &name, &Precondition::None).await, Err(RoleError::RoleInUse));
    // A deleted user does not keep the role in use, and is restored without it.
    users.delete(context, two, &Precondition::None).await.unwrap();
    service.delete(context, &name, &Precondition::None).await.unwrap();
    assert_eq!(service.get(context, &name).await.err(), Some(Refused::NotFound.into()));
    assert_eq!(users.restore(context, two).await.unwrap().value.roles, [role("customer")]);
    let unknown =
        users.set_roles(context, one, &roles(&["support", "nonesuch", "doctor"]), &Precondition::None).await;
    let missing = vec![role("support"), role("nonesuch")];
    assert_eq!(unknown.err(), Some(UserError::UnknownRoles(missing)));
}

#[tokio::test]
async fn a_changed_role_takes_effect_at_once_here_and_within_30_seconds_in_other_processes() {
    let world = World::new().await;
    let (_, admin) = world.admin().await;
    let elsewhere = world.again_with(switchyard_identity::testing::settings());
    let signed_in = world.register("ada@example.com").await;
    let token = signed_in.tokens.access_token.expose();
    let permissions = |identity: switchyard_identity::Identity| {
        let now = world.now();
        async move { identity.authenticate(token, now).await.unwrap().permissions }
    };
    assert_eq!(permissions(elsewhere.clone()).await, Permissions::NONE);
    let edit = |_: &RoleFields| Ok(fields(&[permissions::USERS_READ]));
    world.identity.roles().edit(&admin, &role("customer"), &Precondition::None, edit).await.unwrap();
    let read = Permissions::from_iter([permissions::USERS_READ]);
    assert_eq!(permissions(world.identity.clone()).await, read);
    assert_eq!(permissions(elsewhere.clone()).await, Permissions::NONE);
    world.clock.advance(std::time::Duration::from_secs(30));
    assert_eq!(permissions(elsewhere).await, read);
}

#[tokio::test]
async fn users_cannot_give_themselves_or_others_more_permissions_than_they_have() {
    let world = World::new().await;
    let (admin_id, _) = world.admin().await;
    let (users, service) = (world.identity.users(), world.identity.roles());
    let helping = [permissions::USERS_READ, permissions::USERS_WRITE, permissions::ROLES_WRITE];
    service.create(&world.system(), &role("helper"), &fields(&helping)).await.unwrap();
    let helper_id = user(&world, "helper@example.com", &["helper"]).await;
    let ada = user(&world, "ada@example.com", &["customer"]).await;
    let helper = with(&world, helper_id, &helping);
    let forbidden = || Some(Refused::Forbidden.into());

    let set = |id, names: &'static [&'static str]| {
        users.set_roles(&helper, id, Box::leak(Box::new(roles(names))), &Precondition::None)
    };
    assert_eq!(set(helper_id, &["admin"]).await.err(), forbidden());
    assert_eq!(set(ada, &["merchant"]).await.err(), forbidden(), "the helper lacks products:write");
    assert_eq!(set(ada, &["doctor"]).await.err(), None);
    assert_eq!(set(admin_id, &["customer"]).await.err(), forbidden());
    assert_eq!(users.disable(&helper, admin_id).await.err(), forbidden());
    assert_eq!(users.delete(&helper, admin_id, &Precondition::None).await.err(), forbidden());
    let edited = users.edit(&helper, admin_id, &Precondition::None, |fields| Ok(fields.clone())).await;
    assert_eq!(edited.err(), forbidden());
    let admin = NewUser {
        email: "x@example.com".parse().unwrap(),
        name: "X".parse().unwrap(),
        roles: Some(roles(&["admin"])),
    };
    assert_eq!(users.create(&helper, &admin).await.err(), forbidden());

    let refused = || Some(Refused::Forbidden.into());
    assert_eq!(service.create(&helper, &role("spy"), &fields(&[AUDIT_READ])).await.err(), refused());
    let edit = |_: &RoleFields| Ok(fields(&[AUDIT_READ]));
    let edited = service.edit(&helper, &role("customer"), &Precondition::None, edit).await;
    assert_eq!(edited.err(), refused());
    assert_eq!(world.denials_of(helper_id).await, 9, "every attempt is recorded");
}

/// Their access tokens stay valid for some minutes.
#[tokio::test]
async fn a_disabled_deleted_or_demoted_admin_can_neither_undo_that_nor_promote_another_user() {
    let world = World::new().await;
    let (_, root) = world.admin().await;
    let (users, service) = (world.identity.users(), world.identity.roles());
    let support = role("support");
    service.create(&root, &support, &fields(&[])).await.unwrap();
    let ada = user(&world, "ada@example.com", &["customer"]).await;
    for (n, way) in ["disabled", "deleted", "demoted"].into_iter().enumerate() {
        let (id, _) = world.customer(&format!("former{n}@example.com")).await;
        users.set_roles(&root, id, &roles(&["admin"]), &Precondition::None).await.unwrap();
        let former = with(&world, id, permissions::ALL);
        users.disable(&former, ada).await.unwrap();
        users.enable(&former, ada).await.unwrap();
        match way {
            "disabled" => drop(users.disable(&root, id).await.unwrap()),
            "deleted" => users.delete(&root, id, &Precondition::None).await.unwrap(),
            _ => drop(users.set_roles(&root, id, &roles(&["customer"]), &Precondition::None).await.unwrap()),
        }
        // The session of a disabled or deleted user has ended.
        let (refusal, hidden, denials) = match way {
            "demoted" => (Refused::Forbidden, Refused::NotFound, 15),
            _ => (Refused::Unauthenticated, Refused::Unauthenticated, 0),
        };
        let refused = Some(UserError::from(refusal));
        for id in [id, ada] {
            assert_eq!(users.enable(&former, id).await.err(), refused, "{way}");
            assert_eq!(users.restore(&former, id).await.err(), refused, "{way}");
            assert_eq!(users.unlock(&former, id).await.err(), refused, "{way}");
            let raised = users.set_roles(&former, id, &roles(&["admin"]), &Precondition::None).await;
            assert_eq!(raised.err(), refused, "{way}");
        }
        assert_eq!(users.disable(&former, ada).await.err(), refused, "{way}");
        // The same answer as for anyone who may not see users.
        let hidden = UserError::from(hidden);
        assert_eq!(
            users.delete(&former, ada, &Precondition::None).await.err(),
            Some(hidden.clone()),
            "{way}"
        );
        let edited = users.edit(&former, ada, &Precondition::None, |it| Ok(it.clone())).await;
        assert_eq!(edited.err(), Some(hidden), "{way}");
        let confederate = NewUser {
            email: "x@example.com".parse().unwrap(),
            name: "X".parse().unwrap(),
            roles: Some(roles(&["admin"])),
        };
        assert_eq!(users.create(&former, &confederate).await.err(), refused, "{way}");
        let refused = Some(RoleError::from(refusal));
        assert_eq!(service.create(&former, &role("spy"), &fields(&[])).await.err(), refused, "{way}");
        let edit = |_: &RoleFields| Ok(fields(&[AUDIT_READ]));
        let edited = service.edit(&former, &support, &Precondition::None, edit).await;
        assert_eq!(edited.err(), refused, "{way}");
        assert_eq!(service.delete(&former, &support, &Precondition::None).await.err(), refused, "{way}");
        assert_eq!(world.denials_of(id).await, denials, "{way}: every attempt is recorded");
    }
}

#[tokio::test]
async fn granting_roles_requires_a_step_up() {
    let world = World::new().await;
    let (id, admin) = world.admin().await;
    world.minutes_pass(6);
    let later = Context { now: world.now(), ..admin };
    let refused = world.identity.users().set_roles(&later, id, &roles(&["admin"]), &Precondition::None).await;
    assert_eq!(refused.err(), Some(Refused::StepUpRequired.into()));
}

#[tokio::test]
async fn an_invited_admin_is_not_the_last_one() {
    let world = World::new().await;
    user(&world, "invited@example.com", &["admin"]).await;
    let admin = FirstAdmin {
        email: "root@example.com".parse().unwrap(),
        password: ADMIN_PASSWORD.parse().unwrap(),
        password_change_required: false,
    };
    let made = world.identity.accounts().ensure_first_admin(&world.system(), &admin).await.unwrap();
    assert!(matches!(made, switchyard_identity::FirstAdminOutcome::Created(_)));
}

/// Identity on the same store, for a program made of `manifests`.
fn program_of(world: &World, manifests: Manifests) -> Identity {
    let authority = RoleAuthority::new(world.db.clone(), manifests);
    let settings = testing::kernel_settings();
    let kernel = Kernel::new(world.db.clone(), settings, manifests, Arc::new(authority.clone()));
    Identity::new(kernel, authority, testing::settings(), testing::outbox(world.db.ambient()))
}

#[tokio::test]
async fn a_built_in_role_is_given_a_new_permission_once() {
    const ORDERS_READ: Permission = Permission::new("orders:read", "Read orders.");
    const UPGRADED: Manifest = Manifest::new("commerce").permissions(&[ORDERS_READ]).roles(&[
        BuiltInRole {
            name: "merchant",
            description: "Looks after the catalogue.",
            permissions: &[permissions::PRODUCTS_WRITE, ORDERS_READ],
        },
        BuiltInRole { name: "librarian", description: "Lends books.", permissions: &[ORDERS_READ] },
    ]);
    const MANIFESTS: Manifests = &[&UPGRADED, &switchyard_identity::MANIFEST, &switchyard_kernel::MANIFEST];
    let world = World::new().await;
    let (system, merchant) = (&world.system(), &role("merchant"));
    let names = |of: Role| of.permissions.iter().map(ToString::to_string).collect::<Vec<_>>();
    let none = |_: &RoleFields| Ok(fields(&[]));
    // Before the upgrade an admin takes away what the role had.
    world.identity.roles().edit(system, merchant, &Precondition::None, none).await.unwrap();

    let upgraded = program_of(&world, MANIFESTS);
    let permissions_of =
        async |name: &RoleName| names(upgraded.roles().get(system, name).await.unwrap().value);
    upgraded.install(world.now()).await.unwrap();
    assert_eq!(permissions_of(merchant).await, ["orders:read"], "what was taken away stays away");
    assert_eq!(permissions_of(&role("librarian")).await, ["orders:read"]);

    upgraded.roles().edit(system, merchant, &Precondition::None, none).await.unwrap();
    let before = upgraded.roles().get(system, merchant).await.unwrap();
    for _ in 0..2 {
        upgraded.install(world.now()).await.unwrap();
    }
    assert_eq!(upgraded.roles().get(system, merchant).await.unwrap(), before, "and is not given again");
    let recorded = world.audited("role:merchant").await;
    assert_eq!(recorded, ["role.changed Success"; 3], "two edits and one upgrade");
}

#[tokio::test]
async fn a_role_stored_before_offers_were_recorded_keeps_what_an_admin_left_it() {
    let world = World::new().await;
    let (system, merchant) = (&world.system(), &role("merchant"));
    let none = |_: &RoleFields| Ok(fields(&[]));
    world.identity.roles().edit(system, merchant, &Precondition::None, none).await.unwrap();
    let stored = world.document("roles", "merchant").await;
    let mut body = stored.body.clone();
    body.remove("offered");
    world.tamper(Operation::Replace { previous: stored, body, expires_at: None }).await;

    let before = world.identity.roles().get(system, merchant).await.unwrap();
    for _ in 0..2 {
        world.identity.install(world.now()).await.unwrap();
        assert_eq!(world.identity.roles().get(system, merchant).await.unwrap(), before);
    }
    let stored = world.document("roles", "merchant").await;
    assert_eq!(stored.body["offered"], serde_json::json!(["products:write"]));
}
