//! The Database contract on PostgreSQL.
