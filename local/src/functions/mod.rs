//! Writes the functions' part of `template.yaml` from what the functions declare.
//!
//! All functions are in one file, because the SAM CLI ignores the routes of included and nested templates.

mod alarms;
mod concurrency;
mod events;
mod permissions;
mod settings;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use switchyard_database::Schema;
use switchyard_local::functions;
use switchyard_runtime::Function;

use crate::tables::logical_id;
use permissions::{Statement, statements};
use settings::FunctionSettings;

/// A part of the template that is written: the lines between which it stands.
struct Part {
    begin: &'static str,
    end: &'static str,
}

const PARAMETERS: Part = Part { begin: "  # settings: begin\n", end: "  # settings: end\n" };
const FUNCTION_PARAMETERS: Part =
    Part { begin: "  # parameters of functions: begin\n", end: "  # parameters of functions: end\n" };
const CONDITIONS: Part =
    Part { begin: "  # conditions of functions: begin\n", end: "  # conditions of functions: end\n" };
const VARIABLES: Part = Part { begin: "        # settings: begin\n", end: "        # settings: end\n" };
const RESOURCES: Part = Part { begin: "  # functions: begin\n", end: "  # functions: end\n" };
const NOTE: &str = "  # Written by `cargo run -- functions`. A test keeps it up to date.\n\n";

/// How the resources of a policy begin. The names of tables follow.
const TABLE: &str = "arn:${AWS::Partition}:dynamodb:${AWS::Region}:${AWS::AccountId}:table/${TablePrefix}-";

/// How the resource of a function's log begins. The name of the function follows.
const LOG: &str =
    "arn:${AWS::Partition}:logs:${AWS::Region}:${AWS::AccountId}:log-group:/aws/lambda/${AWS::StackName}-";

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
    let mut resources = NOTE.to_owned();
    for function in functions() {
        write_function(&mut resources, function, &settings, schema)?;
    }
    let of_functions =
        functions().map(|function| concurrency::parameter(function) + &events::parameters(function));
    let written = PARAMETERS.write(&template, &settings.parameters(by_hand))?;
    let written = VARIABLES.write(&written, &settings.variables_of_all(by_hand))?;
    let written = FUNCTION_PARAMETERS.write(&written, &of_functions.collect::<String>())?;
    let conditions: String = functions().map(concurrency::condition).collect();
    let written = CONDITIONS.write(&written, &conditions)?;
    let written = RESOURCES.write(&written, &resources)?;
    fs::write(path, written).with_context(|| format!("{name} cannot be written"))?;
    let names: Vec<_> = functions().map(|function| function.name).collect();
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
    if let Some(memory) = function.memory {
        let _ = writeln!(text, "      MemorySize: {memory}");
    }
    if let Some(timeout) = function.timeout {
        let _ = writeln!(text, "      Timeout: {}", timeout.as_secs());
    }
    text.push_str(&concurrency::property(function));
    write_environment(text, function, settings);
    let _ = write!(
        text,
        "      LoggingConfig:
        LogFormat: JSON
        LogGroup: !Ref {logical}Logs
"
    );
    write_policy(text, function, schema)?;
    let (on_deletion, on_replacement, days) = if function.keeps_log {
        // What a first deployment leaves behind that is rolled back would be in the way of the next one.
        ("RetainExceptOnCreate", "Retain", "AnchorRetentionDays")
    } else {
        ("Delete", "Delete", "LogRetentionDays")
    };
    events::write(text, function);
    let _ = write!(
        text,
        "
  {logical}Logs:
    Type: AWS::Logs::LogGroup
    DeletionPolicy: {on_deletion}
    UpdateReplacePolicy: {on_replacement}
    Properties:
      LogGroupName: !Sub \"/aws/lambda/${{AWS::StackName}}-{name}\"
      RetentionInDays: !Ref {days}

"
    );
    alarms::write(text, function, &logical);
    Ok(())
}

/// Writes what only functions with secrets get. What all functions get is under `Globals`.
fn write_environment(text: &mut String, function: &Function, settings: &FunctionSettings) {
    if function.secrets.is_empty() {
        return;
    }
    text.push_str("      Environment:\n        Variables:\n");
    if function.knows_users() {
        text.push_str(&settings.variables_of_users());
    } else {
        text.push_str("          SECRETS_TTL: !Ref SecretsTtl\n");
    }
    text.push_str("          SECRETS: !Sub \"secretsmanager:${SecretName}\"\n");
    text.push_str("          # Empty is unset. They are here for `sam local`, which sets no variable that the template does not name.\n");
    for secret in function.secrets {
        let _ = writeln!(text, "          {secret}: \"\"");
    }
}

fn write_policy(text: &mut String, function: &Function, schema: &Schema) -> anyhow::Result<()> {
    text.push_str("      Policies:\n        - Version: \"2012-10-17\"\n          Statement:\n");
    for statement in statements(function, schema)? {
        let (effect, of_actions, on) = match statement {
            Statement::Allow(on) => ("Allow", "Action", on),
            Statement::DenyOther(on) => ("Deny", "NotAction", on),
        };
        let _ = write!(text, "            - Effect: {effect}\n              {of_actions}:\n");
        for action in on.actions {
            let _ = writeln!(text, "                - dynamodb:{action}");
        }
        text.push_str("              Resource:\n");
        for resource in on.resources {
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
    for kept in functions().filter(|kept| kept.keeps_log) {
        // The policy that SAM attaches to every function permits it to write to every log.
        let rule = if kept.name == function.name {
            "              NotAction: [logs:CreateLogStream, logs:PutLogEvents]"
        } else {
            "              Action: logs:*"
        };
        let _ = write!(
            text,
            "            - Effect: Deny
{rule}
              Resource:
                - !Sub \"{LOG}{}\"
                - !Sub \"{LOG}{}:*\"
",
            kept.name, kept.name
        );
    }
    Ok(())
}
