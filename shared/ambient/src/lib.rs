//! Time, identifiers and randomness: the one place that asks the machine for them.
