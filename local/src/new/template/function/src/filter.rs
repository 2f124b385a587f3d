//! The query string of the list.

use deserr::Deserr;
use switchyard_api::{Faults, search_words};
use switchyard_books::BookFilter;
use switchyard_kernel::UserId;
use utoipa::IntoParams;

/// Which books to list.
#[derive(Debug, Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BookQuery {
    /// Words, or beginnings of words, that the title must have: all of them, up to 16. The order is then that of
    /// the words that are found.
    #[deserr(default, try_from(Option<String>) = search_words -> &'static str)]
    #[param(nullable = false, max_length = 100, example = "short")]
    q: Option<String>,
    /// Only books of this user. Requires `books:read`, unless it is the caller.
    #[deserr(default)]
    #[param(nullable = false)]
    owner_id: Option<UserId>,
}

impl From<BookQuery> for BookFilter {
    fn from(BookQuery { q, owner_id }: BookQuery) -> Self {
        Self { q, owner_id }
    }
}
