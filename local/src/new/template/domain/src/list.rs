use switchyard_database::{Entity as _, Filter, Query, Search};
use switchyard_kernel::{Context, Page, PageRequest, UserId};

use crate::permissions::BOOKS_READ;
use crate::record::BookRecord;
use crate::{Book, BookError, Books};

/// Which books to list: those that match every given condition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BookFilter {
    /// Words of the title, or beginnings of words. With them, the order is that of the words that are found;
    /// without them, the latest come first.
    pub q: Option<String>,
    /// Books of this user.
    pub owner_id: Option<UserId>,
}

impl Books {
    /// Books that match a filter: those of all users with `books:read`, otherwise the caller's own.
    pub async fn list(
        &self,
        context: &Context,
        filter: &BookFilter,
        request: &PageRequest,
    ) -> Result<Page<Book>, BookError> {
        let owner_id = self.visible_owner(context, filter).await?;
        let books = self.kernel.db().collection::<BookRecord>();
        let page = match &filter.q {
            Some(words) => books.search(&search(words, owner_id, request)).await?,
            None => books.query(&query(owner_id, request)).await?,
        };
        Ok(Page::of(page, request, Book::of))
    }

    /// The user whose books the caller may list; `None` for all users. Requires `books:read` to list those of
    /// another user.
    async fn visible_owner(
        &self,
        context: &Context,
        filter: &BookFilter,
    ) -> Result<Option<UserId>, BookError> {
        match filter.owner_id {
            Some(owner_id) if context.is_user(owner_id) => Ok(Some(owner_id)),
            None if !context.may(BOOKS_READ) => Ok(Some(context.principal()?.user_id)),
            owner_id => {
                self.kernel.require(context, BOOKS_READ, "books").await?;
                Ok(owner_id)
            }
        }
    }
}

fn query(owner_id: Option<UserId>, request: &PageRequest) -> Query {
    let query = match owner_id {
        Some(owner_id) => Query::new(BookRecord::COLLECTION, "by_owner").partition([owner_id.as_str()]),
        None => Query::new(BookRecord::COLLECTION, "by_creation"),
    };
    query.descending().limit(request.limit).after(request.cursor.clone())
}

fn search(words: &str, owner_id: Option<UserId>, request: &PageRequest) -> Search {
    let search = Search::new(BookRecord::COLLECTION, words);
    let search = match owner_id {
        Some(owner_id) => search.filter(Filter::equals("owner_id", owner_id.as_str())),
        None => search,
    };
    search.limit(request.limit).after(request.cursor.clone())
}
