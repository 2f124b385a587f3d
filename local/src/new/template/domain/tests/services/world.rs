//! The environment of a test: users, and books on all of them.

use std::ops::Deref;

use switchyard_books::{Book, BookError, BookFields, Books};
use switchyard_harness::store::Backend;
use switchyard_harness::world;
use switchyard_kernel::{Context, UserId, Versioned};

pub(crate) struct World {
    pub(crate) books: Books,
    world: world::World,
}

impl World {
    pub(crate) async fn on(backend: Backend) -> Self {
        let world = world::World::on(backend).await;
        Self { books: Books::new(world.identity.kernel().clone()), world }
    }

    /// A book of the caller with this title.
    pub(crate) async fn book(&self, context: &Context, title: &str) -> Result<Versioned<Book>, BookError> {
        self.books.create(context, &fields(title)).await
    }

    /// The entries of the audit log about a user's books, the latest first: action and outcome.
    pub(crate) async fn audited(&self, owner_id: UserId) -> Vec<String> {
        self.world.audited(owner_id, "book.").await
    }
}

impl Deref for World {
    type Target = world::World;

    fn deref(&self) -> &world::World {
        &self.world
    }
}

pub(crate) fn fields(title: &str) -> BookFields {
    BookFields { title: title.parse().unwrap(), description: None }
}
