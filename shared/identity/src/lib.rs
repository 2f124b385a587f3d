//! Accounts, sessions, roles and the audit log, with no HTTP in them.
