//! A portable document store: one contract, its typed layer, and the suite that holds a backend to it.
