//! For every operation a request that succeeds, and a person who may make it. The sweeps over all operations
//! go through these. They learn paths and bodies from the samples of the functions.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::Value;
use switchyard_api::testing::Sample;
use switchyard_harness::app::{App, Call, Person};
use switchyard_identity::{Identity, RoleDescription, RoleFields, RoleList, RoleName};
use switchyard_kernel::{Actor, Authenticator as _, Context, Precondition};

use crate::operations::{Operation, operations};

/// The samples of the functions, a line for each.
const SAMPLES: &[Samples] = &[
    |identity, owner| switchyard_fn_auth::samples::samples(identity, owner).boxed(),
    |identity, owner| switchyard_fn_accounts::samples::samples(identity, owner).boxed(),
    |identity, owner| switchyard_fn_users::samples::samples(identity, owner).boxed(),
    |identity, owner| samples_of_jobs(identity, owner).boxed(),
];

async fn samples_of_jobs(identity: &Identity, owner: &Context) -> Vec<Sample> {
    switchyard_fn_admin::samples::samples(&switchyard_program::jobs(identity), owner).await
}

/// Creates the objects of `owner`, and returns a sample about them for each operation of a function that
/// needs one.
type Samples = for<'a> fn(&'a Identity, owner: &'a Context) -> BoxFuture<'a, Vec<Sample>>;

/// A request that succeeds, for someone who may make it.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    path: String,
    body: Option<Value>,
    samples: Option<Samples>,
}

/// Returns a request for each operation, about objects that are created for `owner`.
///
/// # Panics
///
/// If an operation with a path parameter or a body has no sample, or a sample has no operation.
pub(crate) async fn requests(app: &App, owner: &Person) -> Vec<Request> {
    let context = &context(app, owner).await;
    let mut samples_by_id = BTreeMap::new();
    for samples in SAMPLES {
        for sample in samples(&app.identity, context).await {
            let id = sample.operation_id;
            let earlier = samples_by_id.insert(id, (sample, *samples));
            assert!(earlier.is_none(), "{id} has two samples");
        }
    }
    let request = |operation: Operation| match samples_by_id.remove(operation.id.as_str()) {
        Some((sample, samples)) => Request::from_sample(operation, sample, samples),
        None => Request::without_sample(operation),
    };
    let requests: Vec<_> = operations().into_iter().map(request).collect();
    assert!(samples_by_id.is_empty(), "samples of no operation: {:?}", samples_by_id.keys());
    requests
}

/// The context of a request by this person.
async fn context(app: &App, person: &Person) -> Context {
    let context = app.identity.context("samples");
    let principal = app.identity.authenticate(&person.access_token, context.now).await.unwrap();
    context.by(Actor::User(principal))
}

impl Request {
    fn from_sample(operation: Operation, sample: Sample, samples: Samples) -> Self {
        let id = &operation.id;
        assert!(
            operation.parameters(&sample.path).is_some(),
            "the sample of {id} has the path {}, and not {}",
            sample.path,
            operation.path
        );
        assert_eq!(sample.body.is_some(), operation.has_body, "{id} and its sample differ: is there a body?");
        Self { operation, path: sample.path, body: sample.body, samples: Some(samples) }
    }

    fn without_sample(operation: Operation) -> Self {
        let needs_one = operation.has_parameters() || operation.has_body;
        assert!(!needs_one, "{} has a path parameter or a body, and no sample", operation.id);
        Self { path: operation.path.clone(), operation, body: None, samples: None }
    }

    /// The same request, about objects that are created for `owner`.
    pub(crate) async fn for_owner(self, app: &App, owner: &Person) -> Self {
        let Some(samples) = self.samples else { return self };
        let mut samples_of_owner = samples(&app.identity, &context(app, owner).await).await.into_iter();
        let sample = samples_of_owner.find(|sample| sample.operation_id == self.operation.id).unwrap();
        Self::from_sample(self.operation, sample, samples)
    }

    /// The request, ready to be sent.
    pub(crate) fn call(&self, app: &App) -> Call {
        let call = app.call(self.operation.method.clone(), &self.path);
        match &self.body {
            Some(body) => call.json(body.clone()),
            None => call,
        }
    }

    /// The objects that the path names.
    pub(crate) fn objects(&self) -> impl Iterator<Item = &str> {
        self.operation.parameters(&self.path).unwrap_or_default().into_iter()
    }
}

/// The people who may make requests: the owner of the objects, or a user who has exactly the permissions that
/// the document names.
#[derive(Debug, Default)]
pub(crate) struct Permitted(BTreeMap<Vec<String>, Person>);

impl Permitted {
    /// Returns someone who may make the request about the objects of `owner`.
    pub(crate) async fn person(&mut self, app: &App, request: &Request, owner: &Person) -> Person {
        let permissions = request.operation.permissions.as_deref().unwrap_or_default();
        if permissions.is_empty() {
            return owner.clone();
        }
        if let Some(person) = self.0.get(permissions) {
            return person.clone();
        }
        let person = with_permissions(app, permissions, self.0.len()).await;
        self.0.insert(permissions.to_vec(), person.clone());
        person
    }
}

/// Registers a user whose only role permits exactly this.
async fn with_permissions(app: &App, permissions: &[String], number: usize) -> Person {
    let role: RoleName = format!("permitted-{number}").parse().unwrap();
    let fields = RoleFields {
        description: RoleDescription::default(),
        permissions: permissions.iter().map(|name| name.parse().unwrap()).collect(),
    };
    let system = app.identity.context("samples").by(Actor::System);
    app.identity.roles().create(&system, &role, &fields).await.unwrap();
    let person = app.register(&format!("permitted-{number}")).await;
    let roles = RoleList::try_from(vec![role]).unwrap();
    app.identity.users().set_roles(&system, person.id, &roles, &Precondition::None).await.unwrap();
    app.sign_in(&person.email).await // so that the access token names the role
}
