//! One conditional write of one item, sent alone or as part of a transaction.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, Put, ReturnValue, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem, Update,
};
use switchyard_database::Error;

use crate::failure::{Failure, incomplete};
use crate::value::Item;

/// A write and the condition that must hold for it.
///
/// In the expressions, `#name` stands for the attribute `name`, unless [`Write::alias`] names a different
/// attribute. Expressions therefore need not avoid the words that DynamoDB reserves.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    table: String,
    action: Action,
    condition: Option<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

#[derive(Clone, Debug)]
enum Action {
    Put(Item),
    Update { key: Item, expression: String },
    Delete(Item),
    Check(Item),
}

impl Write {
    /// Stores `item`.
    pub(crate) fn put(table: String, item: Item) -> Self {
        Self::new(table, Action::Put(item))
    }

    /// Changes the item at `key` with an update expression.
    pub(crate) fn update(table: String, key: Item, expression: impl Into<String>) -> Self {
        let expression = expression.into();
        let names = names_in(&expression);
        Self { names, ..Self::new(table, Action::Update { key, expression }) }
    }

    /// Removes the item at `key`.
    pub(crate) fn delete(table: String, key: Item) -> Self {
        Self::new(table, Action::Delete(key))
    }

    /// Changes nothing and only checks the condition. Allowed only in transactions.
    pub(crate) fn check(table: String, key: Item) -> Self {
        Self::new(table, Action::Check(key))
    }

    fn new(table: String, action: Action) -> Self {
        Self { table, action, condition: None, names: HashMap::new(), values: HashMap::new() }
    }

    /// Sets the condition.
    pub(crate) fn only_if(mut self, condition: impl Into<String>) -> Self {
        let condition = condition.into();
        self.names.extend(names_in(&condition));
        self.condition = Some(condition);
        self
    }

    /// Sets which attribute a `#name` in the expressions stands for.
    pub(crate) fn alias(mut self, placeholder: &str, attribute: &str) -> Self {
        self.names.insert(placeholder.to_owned(), attribute.to_owned());
        self
    }

    /// Sets the value of a `:name` in the expressions.
    pub(crate) fn value(mut self, placeholder: impl Into<String>, value: AttributeValue) -> Self {
        self.values.insert(placeholder.into(), value);
        self
    }

    /// Sends the write alone. Fails with [`Failure::Condition`], which contains the stored item, if the condition
    /// does not hold.
    pub(crate) async fn send(self, client: &Client) -> Result<(), Failure> {
        let Self { table, action, condition, names, values } = self;
        let names = Some(names).filter(|names| !names.is_empty());
        let values = Some(values).filter(|values| !values.is_empty());
        // A failed condition returns the stored item, so that finding the cause needs no second request.
        let stored = ReturnValuesOnConditionCheckFailure::AllOld;
        match action {
            Action::Put(item) => {
                let request = client.put_item().table_name(table).set_item(Some(item));
                let request = request.set_condition_expression(condition);
                let request = request.set_expression_attribute_names(names);
                let request = request.set_expression_attribute_values(values);
                request.return_values_on_condition_check_failure(stored).send().await?;
            }
            Action::Update { key, expression } => {
                let request = client.update_item().table_name(table).set_key(Some(key));
                let request = request.update_expression(expression).set_condition_expression(condition);
                let request = request.set_expression_attribute_names(names);
                let request = request.set_expression_attribute_values(values);
                request.return_values_on_condition_check_failure(stored).send().await?;
            }
            Action::Delete(key) => {
                let request = client.delete_item().table_name(table).set_key(Some(key));
                let request = request.set_condition_expression(condition);
                let request = request.set_expression_attribute_names(names);
                let request = request.set_expression_attribute_values(values);
                request.return_values_on_condition_check_failure(stored).send().await?;
            }
            Action::Check(_) => {
                let fault = "a condition without a write was sent outside a transaction";
                return Err(Failure::Final(Error::Internal(fault.to_owned())));
            }
        }
        Ok(())
    }

    /// Sends an update alone. Returns the attributes that it has written, with their new values. Fails like
    /// [`send`](Self::send).
    pub(crate) async fn send_update(self, client: &Client) -> Result<Item, Failure> {
        let Self { table, action: Action::Update { key, expression }, condition, names, values } = self
        else {
            let fault = "a write that is no update was sent as one";
            return Err(Failure::Final(Error::Internal(fault.to_owned())));
        };
        let request = client.update_item().table_name(table).set_key(Some(key));
        let request = request.update_expression(expression).set_condition_expression(condition);
        let request = request.set_expression_attribute_names(Some(names));
        let request = request.set_expression_attribute_values(Some(values));
        let request = request.return_values(ReturnValue::UpdatedNew);
        let stored = ReturnValuesOnConditionCheckFailure::AllOld;
        let answer = request.return_values_on_condition_check_failure(stored).send().await?;
        Ok(answer.attributes.unwrap_or_default())
    }

    /// Returns the write as an item of a transaction.
    pub(crate) fn into_transaction_item(self) -> Result<TransactWriteItem, Error> {
        let Self { table, action, condition, names, values } = self;
        let names = Some(names).filter(|names| !names.is_empty());
        let values = Some(values).filter(|values| !values.is_empty());
        let stored = ReturnValuesOnConditionCheckFailure::AllOld;
        let item = TransactWriteItem::builder();
        Ok(match action {
            Action::Put(put) => {
                let put = Put::builder().table_name(table).set_item(Some(put));
                let put = put.set_condition_expression(condition).set_expression_attribute_names(names);
                let put = put.set_expression_attribute_values(values);
                item.put(put.return_values_on_condition_check_failure(stored).build().map_err(incomplete)?)
            }
            Action::Update { key, expression } => {
                let update = Update::builder().table_name(table).set_key(Some(key));
                let update = update.update_expression(expression).set_condition_expression(condition);
                let update = update.set_expression_attribute_names(names);
                let update = update.set_expression_attribute_values(values);
                item.update(
                    update.return_values_on_condition_check_failure(stored).build().map_err(incomplete)?,
                )
            }
            Action::Delete(key) => {
                let delete = Delete::builder().table_name(table).set_key(Some(key));
                let delete = delete.set_condition_expression(condition).set_expression_attribute_names(names);
                let delete = delete.set_expression_attribute_values(values);
                item.delete(
                    delete.return_values_on_condition_check_failure(stored).build().map_err(incomplete)?,
                )
            }
            Action::Check(key) => {
                let check = ConditionCheck::builder().table_name(table).set_key(Some(key));
                let check = check.set_condition_expression(condition).set_expression_attribute_names(names);
                let check = check.set_expression_attribute_values(values);
                item.condition_check(
                    check.return_values_on_condition_check_failure(stored).build().map_err(incomplete)?,
                )
            }
        }
        .build())
    }
}

/// Returns every `#name` in an expression, mapped to the attribute `name`.
pub(crate) fn names_in(expression: &str) -> HashMap<String, String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    expression
        .split('#')
        .skip(1)
        .map(|rest| {
            let name = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
            (format!("#{name}"), name.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_an_expression_is_found() {
        let names = names_in("attribute_not_exists(#id) OR #expires_at <= :now AND #id<>:x");
        let expected =
            HashMap::from([("#id".into(), "id".into()), ("#expires_at".into(), "expires_at".into())]);
        assert_eq!(names, expected);
        assert_eq!(names_in("a = :b"), HashMap::new());
    }
}
