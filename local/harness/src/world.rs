//! Tests of a domain's services: identity and users on every backend, without HTTP.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use switchyard_ambient::{Ambient, ManualClock, SystemRandomness};
use switchyard_database::{Db, Scan};
use switchyard_identity::{Identity, Registration, RoleDescription, RoleFields, RoleList, testing};
use switchyard_kernel::{
    Actor, AuditFilter, Authenticator as _, Context, PageRequest, Permission, Precondition, Principal, UserId,
};
use switchyard_program::assemble;

use crate::app::PASSWORD;
use crate::store::{Backend, Store};

/// A new store, a clock that stands still, and identity on both.
#[derive(Debug)]
pub struct World {
    /// The identity domain. Its kernel is the one for other domains.
    pub identity: Identity,
    /// The clock of the program and of the store.
    pub clock: ManualClock,
    _store: Store,
}

impl World {
    /// Creates the store on this backend.
    pub async fn on(backend: Backend) -> Self {
        // Far in the future, so that DynamoDB's own expiry, which uses the real time, removes nothing.
        let clock = ManualClock::at("2033-03-01T08:30:00Z".parse().unwrap());
        let ambient = Ambient::new(clock.clone(), SystemRandomness);
        let store = Store::migrated(backend).await.unwrap();
        let db = Db::new(store.open(ambient.clone()).await.unwrap(), ambient.clone());
        let identity = assemble(db, testing::kernel_settings(), testing::settings());
        identity.install(ambient.now()).await.unwrap();
        Self { identity, clock, _store: store }
    }

    /// The context of an anonymous request.
    pub fn anyone(&self) -> Context {
        self.identity.context("request-1")
    }

    /// The context of the system itself.
    pub fn system(&self) -> Context {
        self.anyone().by(Actor::System)
    }

    /// Registers a user, and returns the context of their requests.
    pub async fn user(&self, name: &str) -> (UserId, Context) {
        let registration = Registration {
            email: format!("{name}@example.com").parse().unwrap(),
            password: PASSWORD.parse().unwrap(),
            name: name.parse().unwrap(),
            device_name: None,
        };
        let signed_in = self.identity.accounts().register(&self.anyone(), &registration).await.unwrap();
        let token = signed_in.tokens.access_token.expose();
        let principal = self.identity.authenticate(token, self.anyone().now).await.unwrap();
        (signed_in.user.id, self.anyone().by(Actor::User(principal)))
    }

    /// Registers a user whose only role has the user's name and these permissions.
    pub async fn user_with(&self, permissions: &[Permission], name: &str) -> (UserId, Context) {
        let (id, context) = self.user(name).await;
        let fields = RoleFields {
            description: RoleDescription::default(),
            permissions: permissions.iter().map(|&permission| permission.into()).collect(),
        };
        self.identity.roles().create(&self.system(), &name.parse().unwrap(), &fields).await.unwrap();
        self.give_role(id, name).await;
        let principal = Principal {
            roles: vec![name.parse().unwrap()],
            permissions: permissions.iter().copied().collect(),
            ..context.principal().unwrap().clone()
        };
        (id, context.by(Actor::User(principal)))
    }

    /// Gives a user this role and takes all others away. Earlier contexts keep their permissions, as tokens do.
    pub async fn give_role(&self, id: UserId, role: &str) {
        let roles = RoleList::try_from(vec![role.parse().unwrap()]).unwrap();
        self.identity.users().set_roles(&self.system(), id, &roles, &Precondition::None).await.unwrap();
    }

    /// The entries of the audit log about a user, of actions that begin with `prefix`: action and outcome, the latest first.
    pub async fn audited(&self, subject: UserId, prefix: &str) -> Vec<String> {
        let filter = AuditFilter { subject: Some(subject.to_string()), ..AuditFilter::default() };
        let entries = self.audit_entries(&filter).await;
        entries.into_iter().filter(|entry| entry.starts_with(prefix)).collect()
    }

    /// The number of refused attempts of a user: of the first one of a kind in the audit log, and of those counted after it.
    pub async fn denials_of(&self, actor: UserId) -> usize {
        let action = Some("access.denied".to_owned());
        let filter = AuditFilter { actor: Some(actor.to_string()), action, ..AuditFilter::default() };
        let log = self.identity.kernel().audit_log();
        let entries = log.list(&self.system(), &filter, &PageRequest::first(1000)).await.unwrap().data;
        let suppressed = entries.iter().filter_map(|entry| entry.details.get("suppressed"));
        let suppressed: usize = suppressed.map(|count| count.parse::<usize>().unwrap()).sum();
        let mut collections = self.identity.kernel().collections();
        let windows = collections.find(|collection| collection.name == "audit_refusals").unwrap();
        let windows =
            self.identity.kernel().db().backend().scan(&Scan::new(windows)).await.unwrap().documents;
        let of_actor = windows.iter().filter(|window| window.key.id().ends_with(&format!(":{actor}")));
        let counted: u64 = of_actor.map(|window| window.body["count"].as_u64().unwrap()).sum();
        entries.len() + suppressed + usize::try_from(counted).unwrap()
    }

    async fn audit_entries(&self, filter: &AuditFilter) -> Vec<String> {
        let log = self.identity.kernel().audit_log();
        let page = log.list(&self.system(), filter, &PageRequest::first(1000)).await.unwrap();
        page.data.iter().map(|entry| format!("{} {:?}", entry.action, entry.outcome)).collect()
    }
}

/// Turns each `async fn name(world: World)` of a module into a test on each backend. The crate of the tests has a
/// `world::World` with a function `on(Backend)`.
#[macro_export]
#[expect(clippy::crate_in_macro_def, reason = "the world is that of the crate with the tests")]
macro_rules! on_every_backend {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite { $crate::on_every_backend!(@ Sqlite $($name),+); }
        mod on_postgres { $crate::on_every_backend!(@ Postgres $($name),+); }
        mod on_dynamodb { $crate::on_every_backend!(@ DynamoDb $($name),+); }
    };
    (@ $backend:ident $($name:ident),+) => {
        $(
            #[$crate::tokio::test(crate = "switchyard_harness::tokio", flavor = "multi_thread", worker_threads = 4)]
            async fn $name() {
                super::$name(crate::world::World::on($crate::store::Backend::$backend).await).await;
            }
        )+
    };
}
