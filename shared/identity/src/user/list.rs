use crate::permissions;
use std::ops::Bound;
use switchyard_kernel::{Context, Page, PageRequest, RoleName};

use switchyard_ambient::Timestamp;
use switchyard_database::{Consistency, Entity as _, Error, Filter, Query, Scalar, Search, Stored};

use super::{User, UserRecord, UserStatus, Users};
use crate::UserError;
use crate::password::Attempts;
use crate::role::Membership;

/// Which users to list. A user must match all fields that are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Words, or beginnings of words, of the name or the address. The order is then that of the words found,
    /// and `descending` is ignored.
    pub q: Option<String>,
    /// Users with this role.
    pub role: Option<RoleName>,
    /// Users in this state.
    pub status: Option<UserStatus>,
    /// Users created at this time or later.
    pub created_from: Option<Timestamp>,
    /// Users created at this time or earlier.
    pub created_to: Option<Timestamp>,
    /// Whether the latest users come first instead of the earliest.
    pub descending: bool,
    /// Whether deleted users are included.
    pub include_deleted: bool,
}

/// The maximum number of pages that are read to fill one page. After that, the page is shorter than requested
/// and has a `next`.
const READS: usize = 10;

impl Users<'_> {
    /// Lists the users who match a filter. Requires `users:read`.
    pub async fn list(
        &self,
        context: &Context,
        filter: &UserFilter,
        page: &PageRequest,
    ) -> Result<Page<User>, UserError> {
        self.identity.kernel.require(context, permissions::USERS_READ, "users").await?;
        let mut users = Vec::new();
        let mut cursor = page.cursor.clone();
        let wanted = page.limit as usize;
        for _ in 0..READS {
            // Reading only what is still missing keeps the cursor exact.
            let missing = u32::try_from(wanted - users.len()).unwrap_or(page.limit);
            let (found, next) = self.candidates(filter, missing, cursor).await?;
            users.extend(self.matching(filter, &found, context).await?);
            cursor = next;
            if cursor.is_none() || users.len() >= wanted {
                break;
            }
        }
        Ok(Page::new(users, page, cursor))
    }

    /// Those of the users who match the filter, as they are shown.
    async fn matching(
        &self,
        filter: &UserFilter,
        found: &[Stored<UserRecord>],
        context: &Context,
    ) -> Result<Vec<User>, Error> {
        let found: Vec<_> = found.iter().filter(|user| fits(filter, user)).collect();
        let ids = found.iter().map(|user| user.id.to_string());
        let attempts =
            self.identity.db().collection::<Attempts>().get_many(ids, Consistency::Eventual).await?;
        let shown = found.into_iter().zip(attempts);
        let shown = shown.map(|(user, attempts)| User::of(user, attempts.as_deref(), context.now));
        Ok(shown.filter(|user| filter.status.is_none_or(|status| user.status == status)).collect())
    }

    /// Reads the next users from the index with the fewest users who do not match.
    async fn candidates(
        &self,
        filter: &UserFilter,
        limit: u32,
        cursor: Option<String>,
    ) -> Result<(Vec<Stored<UserRecord>>, Option<String>), Error> {
        let users = self.identity.db().collection::<UserRecord>();
        if let Some(words) = &filter.q {
            let page = users.search(&search(filter, words, limit).after(cursor)).await?;
            return Ok((page.items, page.next));
        }
        if let Some(role) = filter.role.as_ref().filter(|role| Membership::is_kept(role)) {
            let query = Query::new(Membership::COLLECTION, "by_role").partition([role.as_str()]);
            let page = self
                .identity
                .db()
                .collection::<Membership>()
                .query(&range(query, filter, limit).after(cursor))
                .await?;
            let ids = page.items.iter().map(|membership| membership.user_id.to_string());
            let found = users.get_many(ids, Consistency::Eventual).await?;
            return Ok((found.into_iter().flatten().collect(), page.next));
        }
        if filter.status == Some(UserStatus::Locked) && !filter.include_deleted {
            let query = Query::new(Attempts::COLLECTION, "by_mark").partition([Attempts::LOCKED]);
            let page = self
                .identity
                .db()
                .collection::<Attempts>()
                .query(&range(query, filter, limit).after(cursor))
                .await?;
            let ids = page.items.iter().map(|attempts| attempts.id().to_owned());
            let found = users.get_many(ids, Consistency::Eventual).await?;
            return Ok((found.into_iter().flatten().collect(), page.next));
        }
        let page = users.query(&range(query(filter), filter, limit).after(cursor)).await?;
        Ok((page.items, page.next))
    }
}

/// Whether a user matches the filter, except for the status. This is checked on the document, since an index may lag behind.
fn fits(filter: &UserFilter, user: &UserRecord) -> bool {
    (filter.include_deleted || !user.deleted)
        && filter.role.as_ref().is_none_or(|role| user.roles.contains(role))
        && filter.created_from.is_none_or(|from| user.created_at >= from)
        && filter.created_to.is_none_or(|to| user.created_at <= to)
}

fn query(filter: &UserFilter) -> Query {
    match filter.status {
        // A deleted user is marked as that and as nothing else.
        Some(UserStatus::Disabled) if !filter.include_deleted => {
            Query::new(UserRecord::COLLECTION, "by_mark").partition(["disabled"])
        }
        _ => conditions(filter)
            .into_iter()
            .fold(Query::new(UserRecord::COLLECTION, "by_creation"), Query::filter),
    }
}

fn search(filter: &UserFilter, words: &str, limit: u32) -> Search {
    let bound =
        |time: Option<Timestamp>| time.map_or(Bound::Unbounded, |time| Bound::Included(Scalar::from(time)));
    let mut search =
        conditions(filter).into_iter().fold(Search::new(UserRecord::COLLECTION, words), Search::filter);
    if filter.created_from.is_some() || filter.created_to.is_some() {
        search = search.filter(Filter::between(
            "created_at",
            bound(filter.created_from),
            bound(filter.created_to),
        ));
    }
    search.limit(limit)
}

/// The conditions that the database can check.
fn conditions(filter: &UserFilter) -> Vec<Filter> {
    let deleted = (!filter.include_deleted).then(|| Filter::equals("deleted", false));
    let disabled = filter.status.map(|status| Filter::equals("disabled", status == UserStatus::Disabled));
    deleted.into_iter().chain(disabled).collect()
}

fn range(mut query: Query, filter: &UserFilter, limit: u32) -> Query {
    if let Some(from) = filter.created_from {
        query = query.at_least([from]);
    }
    if let Some(to) = filter.created_to {
        query = query.at_most([to]);
    }
    if filter.descending {
        query = query.descending();
    }
    query.limit(limit)
}
