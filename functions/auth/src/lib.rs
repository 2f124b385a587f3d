//! Routes under /auth: register, login, refresh, logout.
