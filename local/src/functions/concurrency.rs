//! How many instances of each function may run: a parameter of the template for each, which is empty for as many as the
//! account permits.

use switchyard_runtime::Function;

use crate::tables::logical_id;

pub(super) fn parameter(function: &Function) -> String {
    format!(
        "  {}Concurrency:
    Type: String
    Default: \"\"
    AllowedPattern: \"[0-9]*\"
    Description: >-
      How many requests the function `{}` may answer at once. They are reserved for it, and no others run. If it is empty,
      it shares those of the account.
",
        logical_id(function.name),
        function.name
    )
}

pub(super) fn condition(function: &Function) -> String {
    let logical = logical_id(function.name);
    format!("  {logical}HasConcurrency: !Not [!Equals [!Ref {logical}Concurrency, \"\"]]\n")
}

pub(super) fn property(function: &Function) -> String {
    let logical = logical_id(function.name);
    format!(
        "      ReservedConcurrentExecutions: !If [{logical}HasConcurrency, !Ref {logical}Concurrency, !Ref AWS::NoValue]\n"
    )
}
