use switchyard_api::{Page, Paged};
use switchyard_identity::{Listed, PageRequest};

/// The page that a request asks for, as identity takes it, and the request's own filters.
pub(crate) fn page_and_filter<F>(paged: Paged<F>) -> (PageRequest, F) {
    (PageRequest { limit: paged.limit, cursor: paged.cursor }, paged.filter)
}

/// A page as identity gives it, as it is answered.
pub(crate) fn answer_page<T>(listed: Listed<T>, request: &PageRequest) -> Page<T> {
    Page::new(listed.items, request.limit, listed.next)
}
