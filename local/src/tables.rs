//! Writes `infra/tables.yaml`, the CloudFormation template of the DynamoDB tables, from the declared collections.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::alarm::Alarm;
use switchyard_database::Schema;
use switchyard_dynamodb::{AttributeKind, IndexProjection, KeyAttribute, TableDefinition, tables};

const HEAD: &str = "\
# The DynamoDB tables of the declared collections. Written by `cargo run -- tables`; a test checks that it is
# current.
AWSTemplateFormatVersion: \"2010-09-09\"
Description: The tables of Switchyard, and an alarm for each that is being throttled.

Parameters:
  TablePrefix:
    Type: String
    Description: The prefix of the tables' names.
  AlarmTopicArn:
    Type: String
    Description: The SNS topic that the alarms are sent to.
  CreateTables:
    Type: String
    Default: \"true\"
    AllowedValues: [\"true\", \"false\"]
    Description: Whether the tables belong to this stack. Otherwise they exist already.

Conditions:
  WithTables: !Equals [!Ref CreateTables, \"true\"]

Resources:
";

/// The template, as text.
pub(crate) fn template(schema: &Schema) -> String {
    let mut text = HEAD.to_owned();
    for table in tables(schema, "${TablePrefix}") {
        write_table(&mut text, &table);
    }
    text
}

/// Writes a table. Its data is kept when the stack is deleted, and it is protected against deletion by mistake.
fn write_table(text: &mut String, table: &TableDefinition) {
    let logical = logical_id(table.name.trim_start_matches("${TablePrefix}-"));
    let _ = write!(
        text,
        "  {logical}Table:
    Type: AWS::DynamoDB::Table
    Condition: WithTables
    DeletionPolicy: Retain
    UpdateReplacePolicy: Retain
    Properties:
      TableName: !Sub \"{}\"
      BillingMode: PAY_PER_REQUEST
      DeletionProtectionEnabled: true
      PointInTimeRecoverySpecification:
        PointInTimeRecoveryEnabled: true
      SSESpecification:
        SSEEnabled: true
",
        table.name
    );
    if let Some(attribute) = table.time_to_live {
        let _ = write!(
            text,
            "      TimeToLiveSpecification:\n        AttributeName: {attribute}\n        Enabled: true\n"
        );
    }
    write_attributes(text, table);
    write_keys(text, "      ", &table.partition, table.sort.as_ref());
    if !table.indexes.is_empty() {
        text.push_str("      GlobalSecondaryIndexes:\n");
    }
    for index in &table.indexes {
        let (projection, attributes) = match &index.projection {
            IndexProjection::All => ("ALL", &[][..]),
            IndexProjection::Keys => ("KEYS_ONLY", &[][..]),
            IndexProjection::Include(attributes) => ("INCLUDE", &attributes[..]),
        };
        let _ = writeln!(text, "        - IndexName: {}", index.name);
        write_keys(text, "          ", &index.partition, Some(&index.sort));
        let _ = write!(text, "          Projection:\n            ProjectionType: {projection}\n");
        if !attributes.is_empty() {
            text.push_str("            NonKeyAttributes:\n");
        }
        for attribute in attributes {
            let _ = writeln!(text, "              - {attribute}");
        }
    }
    write_alarms(text, table, &logical);
}

/// Writes the alarms of a table and of its indexes, for reads and for writes that are throttled. The metrics of a table do not
/// count what its indexes throttle.
fn write_alarms(text: &mut String, table: &TableDefinition, logical: &str) {
    let of_table = ("TableName", format!("!Sub {:?}", table.name));
    let alarm = |of: &str, name: &str, metric: &'static str, dimensions: Vec<(&'static str, String)>| {
        let kind = if metric == "ReadThrottleEvents" { "Read" } else { "Write" };
        Alarm {
            logical: format!("{logical}{of}{kind}ThrottleAlarm"),
            description: format!("{kind}s of {name} are throttled."),
            namespace: "AWS/DynamoDB",
            metric,
            dimensions,
            statistic: "Sum",
            threshold: "1",
            minutes: 3,
            topic: "!Ref AlarmTopicArn",
            condition: None,
        }
    };
    for metric in ["ReadThrottleEvents", "WriteThrottleEvents"] {
        alarm("", &table.name, metric, vec![of_table.clone()]).write(text);
        for index in &table.indexes {
            let of_index = ("GlobalSecondaryIndexName", index.name.clone());
            let name = format!("the index {} of {}", index.name, table.name);
            alarm(&logical_id(&index.name), &name, metric, vec![of_table.clone(), of_index]).write(text);
        }
    }
}

/// Every attribute that is part of a key, once.
fn write_attributes(text: &mut String, table: &TableDefinition) {
    let of_indexes = table.indexes.iter().flat_map(|index| [&index.partition, &index.sort]);
    let keys = [Some(&table.partition), table.sort.as_ref()].into_iter().flatten().chain(of_indexes);
    let attributes: BTreeMap<_, _> = keys.map(|key| (key.name.as_str(), key.kind)).collect();
    text.push_str("      AttributeDefinitions:\n");
    for (name, kind) in attributes {
        let kind = match kind {
            AttributeKind::Text => "S",
            AttributeKind::Number => "N",
            AttributeKind::Bytes => "B",
        };
        let _ = write!(text, "        - AttributeName: {name}\n          AttributeType: {kind}\n");
    }
}

fn write_keys(text: &mut String, indent: &str, partition: &KeyAttribute, sort: Option<&KeyAttribute>) {
    let _ = writeln!(text, "{indent}KeySchema:");
    for (key, kind) in [(Some(partition), "HASH"), (sort, "RANGE")] {
        if let Some(key) = key {
            let _ = write!(text, "{indent}  - AttributeName: {}\n{indent}    KeyType: {kind}\n", key.name);
        }
    }
}

/// Returns the logical id of what has this name: `AuditEntries` for `audit_entries`.
pub(crate) fn logical_id(name: &str) -> String {
    let words = name.split(['_', '-']).filter(|word| !word.is_empty());
    words.map(|word| word[..1].to_ascii_uppercase() + &word[1..]).collect()
}
