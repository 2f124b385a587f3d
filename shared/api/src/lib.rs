//! The conventions of the HTTP API: errors, extractors, paging, idempotency, rate limits.
