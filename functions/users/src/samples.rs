//! A sample of each operation that has a path parameter or a body.

use switchyard_api::testing::{Sample, json};
use switchyard_identity::{Identity, NewUser, RoleDescription, RoleFields, RoleName, UserId};
use switchyard_kernel::{Actor, Context, Precondition};

/// Returns samples about the user `owner`, and about a role and two users that are created for it.
///
/// # Panics
///
/// If one of them cannot be created.
pub async fn samples(identity: &Identity, owner: &Context) -> Vec<Sample> {
    let owner_id = owner.principal().expect("the owner is signed in").user_id;
    let system = owner.clone().by(Actor::System);
    let role = create_role(identity, &system, owner_id).await;
    let users = identity.users();
    let disabled = create_user(identity, &system, &format!("disabled.{owner_id}")).await;
    users.disable(&system, disabled).await.expect("the user can be disabled");
    let deleted = create_user(identity, &system, &format!("deleted.{owner_id}")).await;
    users.delete(&system, deleted, &Precondition::None).await.expect("the user can be deleted");

    let user = |path: &str| format!("/api/v1/users/{owner_id}{path}");
    let role = format!("/api/v1/roles/{role}");
    let email = |part: &str| format!("{part}.{owner_id}@example.com");
    vec![
        Sample::new("create_user", "/api/v1/users")
            .body(json!({"email": email("created"), "name": "Created"})),
        Sample::new("get_user", user("")),
        Sample::new("replace_user", user("")).body(json!({"email": email("replaced"), "name": "Replaced"})),
        Sample::new("update_user", user("")).body(json!({"name": "Updated"})),
        Sample::new("delete_user", user("")),
        Sample::new("restore_user", format!("/api/v1/users/{deleted}/restore")),
        Sample::new("disable_user", user("/disable")),
        Sample::new("enable_user", format!("/api/v1/users/{disabled}/enable")),
        Sample::new("unlock_user", user("/unlock")),
        Sample::new("get_profile", user("/profile")),
        Sample::new("replace_profile", user("/profile")).body(json!({"bio": "Replaced."})),
        Sample::new("update_profile", user("/profile")).body(json!({"bio": "Updated."})),
        Sample::new("get_user_roles", user("/roles")),
        Sample::new("replace_user_roles", user("/roles")).body(json!({"roles": ["patient"]})),
        Sample::new("list_audit_log_of_user", user("/audit-log")),
        Sample::new("create_role", "/api/v1/roles")
            .body(json!({"name": format!("c-{owner_id}"), "permissions": []})),
        Sample::new("get_role", &role),
        Sample::new("update_role", &role).body(json!({"description": "Updated."})),
        Sample::new("delete_role", &role),
    ]
}

/// Creates a role. It permits nothing, because the caller of a sample has only the permissions that the
/// document names.
async fn create_role(identity: &Identity, system: &Context, owner: UserId) -> RoleName {
    let name: RoleName = format!("r-{owner}").parse().expect("the name is valid");
    let fields = RoleFields { description: RoleDescription::default(), permissions: Vec::new() };
    identity.roles().create(system, &name, &fields).await.expect("the role can be created");
    name
}

async fn create_user(identity: &Identity, system: &Context, name: &str) -> UserId {
    let email = format!("{name}@example.com").parse().expect("the address is valid");
    let user = NewUser { email, name: "Sample".parse().expect("the name is valid"), roles: None };
    identity.users().create(system, &user).await.expect("the user can be created").value.id
}
