//! Accounts, between which cases move money.

use serde::{Deserialize, Serialize};

use crate::{Collection, Entity, Field};

pub(super) const ACCOUNTS: &Collection = &Collection::new("accounts").fields(&[Field::integer("balance")]);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Account {
    pub(super) id: String,
    pub(super) balance: i64,
}

impl Account {
    pub(super) fn new(id: impl Into<String>, balance: i64) -> Self {
        Self { id: id.into(), balance }
    }
}

impl Entity for Account {
    const COLLECTION: &'static Collection = ACCOUNTS;

    fn id(&self) -> &str {
        &self.id
    }
}
