//! For each test: a fresh store, a clock that stands still, users, and books on all of them.

use switchyard_ambient::{Ambient, ManualClock, SystemRandomness};
use switchyard_books::{Book, BookError, BookFields, Books};
use switchyard_database::Db;
use switchyard_harness::store::{Backend, Store};
use switchyard_identity::{Identity, Registration, RoleDescription, RoleFields, RoleList, testing};
use switchyard_kernel::{
    Actor, AuditFilter, Authenticator as _, Context, PageRequest, Permission, Precondition, Principal,
    UserId, Versioned,
};
use switchyard_program::assemble;

pub(crate) struct World {
    pub(crate) identity: Identity,
    pub(crate) books: Books,
    pub(crate) clock: ManualClock,
    _store: Store,
}

impl World {
    pub(crate) async fn on(backend: Backend) -> Self {
        // Later than today, so that DynamoDB, which expires documents by the real time, expires nothing.
        let clock = ManualClock::at("2033-03-01T08:30:00Z".parse().unwrap());
        let ambient = Ambient::new(clock.clone(), SystemRandomness);
        let store = Store::migrated(backend).await.unwrap();
        let db = Db::new(store.open(ambient.clone()).await.unwrap(), ambient.clone());
        let identity = assemble(db, testing::kernel_settings(), testing::settings());
        identity.install(ambient.now()).await.unwrap();
        let books = Books::new(identity.kernel().clone());
        Self { identity, books, clock, _store: store }
    }

    pub(crate) fn anyone(&self) -> Context {
        self.identity.context("request-1")
    }

    pub(crate) fn system(&self) -> Context {
        self.anyone().by(Actor::System)
    }

    /// A new user, who is signed in.
    pub(crate) async fn user(&self, name: &str) -> (UserId, Context) {
        let registration = Registration {
            email: format!("{name}@example.com").parse().unwrap(),
            password: "moss lantern crooked tuba".parse().unwrap(),
            name: name.parse().unwrap(),
            device_name: None,
        };
        let signed_in = self.identity.accounts().register(&self.anyone(), &registration).await.unwrap();
        let token = signed_in.tokens.access_token.expose();
        let principal = self.identity.authenticate(token, self.anyone().now).await.unwrap();
        (signed_in.user.id, self.anyone().by(Actor::User(principal)))
    }

    /// A new user, who is signed in and whose only role permits this.
    pub(crate) async fn user_with(&self, permissions: &[Permission], name: &str) -> (UserId, Context) {
        let (id, context) = self.user(name).await;
        let fields = RoleFields {
            description: RoleDescription::default(),
            permissions: permissions.iter().map(|&permission| permission.into()).collect(),
        };
        self.identity.roles().create(&self.system(), &name.parse().unwrap(), &fields).await.unwrap();
        self.give_role(id, name).await;
        let permissions = permissions.iter().copied().collect();
        let principal = Principal {
            roles: vec![name.parse().unwrap()],
            permissions,
            ..context.principal().unwrap().clone()
        };
        (id, context.by(Actor::User(principal)))
    }

    /// Gives a user this role and takes all others away.
    pub(crate) async fn give_role(&self, id: UserId, role: &str) {
        let roles = RoleList::try_from(vec![role.parse().unwrap()]).unwrap();
        self.identity.users().set_roles(&self.system(), id, &roles, &Precondition::None).await.unwrap();
    }

    /// A book of the caller with this title.
    pub(crate) async fn book(&self, context: &Context, title: &str) -> Result<Versioned<Book>, BookError> {
        self.books.create(context, &fields(title)).await
    }

    /// The entries of the audit log about a user's books, the latest first: action and outcome.
    pub(crate) async fn audited(&self, owner_id: UserId) -> Vec<String> {
        let filter = AuditFilter { subject: Some(owner_id.to_string()), ..AuditFilter::default() };
        let entries = self.entries(&filter).await;
        entries.into_iter().filter(|entry| entry.starts_with("book.")).collect()
    }

    /// How many refused attempts of a user the audit log has.
    pub(crate) async fn denials_of(&self, actor: UserId) -> usize {
        let action = Some("access.denied".to_owned());
        let filter = AuditFilter { actor: Some(actor.to_string()), action, ..AuditFilter::default() };
        self.entries(&filter).await.len()
    }

    async fn entries(&self, filter: &AuditFilter) -> Vec<String> {
        let log = self.identity.kernel().audit_log();
        let page = log.list(&self.system(), filter, &PageRequest::first(1000)).await.unwrap();
        page.data.iter().map(|entry| format!("{} {:?}", entry.action, entry.outcome)).collect()
    }
}

pub(crate) fn fields(title: &str) -> BookFields {
    BookFields { title: title.parse().unwrap(), description: None }
}
