//! Health checks, metrics, the OpenAPI document and its page.
