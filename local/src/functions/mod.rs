//! Writes the functions' part of `template.yaml` from what the functions declare.
//!
//! All functions are in one file, because the SAM CLI ignores the routes of included and nested templates.

mod permissions;
mod settings;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use switchyard_database::Schema;
use switchyard_local::FUNCTIONS;
use switchyard_runtime::Function;

use crate::tables::logical_id;
use permissions::statements;
use settings::FunctionSettings;

/// A part of the template that is written: the lines between which it stands.
struct Part {
    begin: &'static str,
    end: &'static str,
}

const PARAMETERS: Part = Part { begin: "  # settings: begin\n", end: "  # settings: end\n" };
const VARIABLES: Part = Part { begin: "        # settings: begin\n", end: "        # settings: end\n" };
const RESOURCES: Part = Part { begin: "  # functions: begin\n", end: "  # functions: end\n" };
const NOTE: &str = "  # Written by `cargo run -- functions`. A test keeps it up to date.\n\n";

/// How the resources of a policy begin. The names of tables follow.
const TABLE: &str = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${TablePrefix}-";

/// The secret of the functions. Secrets Manager appends a hyphen and six characters to its name.
const SECRET: &str =
    "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${SecretName}-??????";

impl Part {
    /// The template before the part, and behind it.
    fn around<'a>(&self, template: &'a str) -> anyhow::Result<(&'a str, &'a str)> {
        // At the beginning of a line: the lines of another part may be the same but for their indentation.
        let (begin, end) = (format!("\n{}", self.begin), format!("\n{}", self.end));
        let place = template.find(&begin).map(|place| place + 1);
        let behind = template.find(&end).map(|place| place + end.len());
        let place = place.zip(behind).filter(|(place, behind)| place < behind);
        let (place, behind) =
            place.with_context(|| format!("the template lacks the lines\n{}{}", self.begin, self.end))?;
        Ok((&template[..place], &template[behind..]))
    }

    fn write(&self, template: &str, content: &str) -> anyhow::Result<String> {
        let (head, tail) = self.around(template)?;
        Ok(format!("{head}{}{content}{}{tail}", self.begin, self.end))
    }
}

/// Writes the functions and their settings into the template at `path`, and leaves the rest of the file as it is.
pub(crate) fn write(path: &Path, schema: &Schema) -> anyhow::Result<()> {
    let name = path.display();
    let template = fs::read_to_string(path).with_context(|| format!("{name} cannot be read"))?;
    let settings = FunctionSettings::declared();
    let by_hand = VARIABLES.write(&PARAMETERS.write(&template, "")?, "")?;
    let by_hand = by_hand.split_once("\nResources:\n").map(|(before, _)| before);
    let by_hand = by_hand.with_context(|| format!("{name} has no resources"))?;
    let mut functions = NOTE.to_owned();
    for (function, _) in FUNCTIONS {
        write_function(&mut functions, function, &settings, schema)?;
    }
    let written = PARAMETERS.write(&template, &settings.parameters(by_hand))?;
    let written = VARIABLES.write(&written, &settings.variables_of_all(by_hand))?;
    let written = RESOURCES.write(&written, &functions)?;
    fs::write(path, written).with_context(|| format!("{name} cannot be written"))?;
    let names: Vec<_> = FUNCTIONS.iter().map(|(function, _)| function.name).collect();
    println!("Wrote the functions {} to {name}.", names.join(", "));
    Ok(())
}

fn write_function(
    text: &mut String,
    function: &Function,
    settings: &FunctionSettings,
    schema: &Schema,
) -> anyhow::Result<()> {
    let Function { name, description, .. } = function;
    let logical = logical_id(name);
    let _ = write!(
        text,
        "  {logical}Function:
    Type: AWS::Serverless::Function
    Metadata:
      BuildMethod: rust-cargolambda
      BuildProperties:
        Binary: switchyard-fn-{name}
    Properties:
      Description: {description:?}
      CodeUri: functions/{name}
"
    );
    write_environment(text, function, settings);
    let _ = write!(
        text,
        "      LoggingConfig:
        LogFormat: JSON
        LogGroup: !Ref {logical}Logs
"
    );
    write_policy(text, function, schema)?;
    write_events(text, function);
    let _ = write!(
        text,
        "
  {logical}Logs:
    Type: AWS::Logs::LogGroup
    DeletionPolicy: Delete
    UpdateReplacePolicy: Delete
    Properties:
      LogGroupName: !Sub \"/aws/lambda/${{AWS::StackName}}-{name}\"
      RetentionInDays: !Ref LogRetentionDays

"
    );
    Ok(())
}

/// Writes what only functions that know users get. What all functions get is under `Globals`.
fn write_environment(text: &mut String, function: &Function, settings: &FunctionSettings) {
    if !function.knows_users() {
        return;
    }
    text.push_str("      Environment:\n        Variables:\n");
    text.push_str(&settings.variables_of_users());
    text.push_str("          SECRETS: !Sub \"secretsmanager:${SecretName}\"\n");
    text.push_str("          # Empty is unset. They are here for `sam local`, which sets no variable that the template does not name.\n");
    for secret in function.secrets {
        let _ = writeln!(text, "          {secret}: \"\"");
    }
}

fn write_policy(text: &mut String, function: &Function, schema: &Schema) -> anyhow::Result<()> {
    text.push_str("      Policies:\n        - Version: \"2012-10-17\"\n          Statement:\n");
    for statement in statements(function, schema)? {
        text.push_str("            - Effect: Allow\n              Action:\n");
        for action in statement.actions {
            let _ = writeln!(text, "                - dynamodb:{action}");
        }
        text.push_str("              Resource:\n");
        for resource in statement.resources {
            let _ = writeln!(text, "                - !Sub \"{TABLE}{resource}\"");
        }
    }
    if !function.secrets.is_empty() {
        let _ = write!(
            text,
            "            - Effect: Allow
              Action:
                - secretsmanager:GetSecretValue
              Resource:
                - !Sub \"{SECRET}\"
"
        );
    }
    Ok(())
}

fn write_events(text: &mut String, function: &Function) {
    text.push_str("      Events:\n");
    let names = event_names(function.routes);
    let routes = names.iter().zip(function.routes).map(|(name, path)| (name.as_str(), Some(path)));
    let everything_else = function.routes.is_empty().then_some(("EverythingElse", None));
    for (name, path) in routes.chain(everything_else) {
        let _ = write!(
            text,
            "        {name}:
          Type: HttpApi
          Properties:
            ApiId: !Ref Api
"
        );
        if let Some(path) = path {
            let _ = write!(text, "            Method: ANY\n            Path: {path}\n");
        }
    }
}

/// Returns a name for the event of each path. The names are parts of logical ids: one that changes replaces a resource of
/// each deployed stack.
///
/// `/api/v1/audit-logs` is `AuditLogs`, and `/api/v1/audit-logs/{proxy+}` is `AuditLog`.
fn event_names(paths: &[&str]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for path in paths {
        let (above, is_proxy) = path.strip_suffix("/{proxy+}").map_or((*path, false), |above| (above, true));
        let last = above.rsplit('/').next().unwrap_or_default();
        let stem = last.split('.').next().unwrap_or_default();
        let stem = if is_proxy { stem.strip_suffix('s').unwrap_or(stem) } else { stem };
        let mut name = logical_id(stem);
        while names.contains(&name) {
            name.push_str("Proxy");
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_of_a_function_have_distinct_names() {
        let paths = [
            "/api/v1/cart",
            "/api/v1/cart/{proxy+}",
            "/.well-known/jwks.json",
            "/api/v1/audit-logs/{proxy+}",
        ];
        assert_eq!(event_names(&paths), ["Cart", "CartProxy", "Jwks", "AuditLog"]);
    }
}
