//! The Database contract on embedded SQLite.
