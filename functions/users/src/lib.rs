//! Routes under /users, /roles and /audit-logs.
