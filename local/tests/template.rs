//! The deployment template against the code: its tables are those of the declared collections, its functions are those that
//! the functions' crates declare, and these declarations fit the routers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use axum::http::{Method, header};
use switchyard_ambient::Ambient;
use switchyard_api::{Api, ApiSettings, NoObserver, serve_api};
use switchyard_database::Db;
use switchyard_harness::app::Call;
use switchyard_harness::process;
use switchyard_harness::template::{Routes, alarms_of, logical_id};
use switchyard_identity::{LocalSecrets, testing};
use switchyard_kernel::NoAuthenticator;
use switchyard_local::{FUNCTIONS, NOT_ON_LAMBDA, functions};
use switchyard_program::{ALL_SECRETS, assemble};
use switchyard_runtime::{Access, Function, Metrics};
use switchyard_sqlite::Sqlite;
use utoipa::openapi::path::{Operation, PathItem};

fn project_file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// Runs the program with these arguments and returns what it printed.
fn run(arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
    command.args(arguments);
    let (code, output, errors) = process::run(command).unwrap();
    assert_eq!(code, Some(0), "{errors}");
    output
}

/// The files that are generated, as they should be. With `UPDATE_SNAPSHOTS` set they are written, which has to be done before a
/// test reads them.
static GENERATED: LazyLock<[(&str, String); 2]> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join(TEMPLATE);
    fs::copy(project_file(TEMPLATE), &copy).unwrap();
    run(&["functions", copy.to_str().unwrap()]);
    let generated = [(TEMPLATE, fs::read_to_string(copy).unwrap()), (TABLES, run(&["tables"]))];
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        for (file, text) in &generated {
            // Each test may run in its own process, and must not read a file that another one has half written.
            let draft = project_file(&format!("{file}.{}", std::process::id()));
            fs::write(&draft, text).unwrap();
            fs::rename(&draft, project_file(file)).unwrap();
        }
    }
    generated
});

const TEMPLATE: &str = "template.yaml";
const TABLES: &str = "infra/tables.yaml";

/// Reads a generated file.
fn read(file: &str) -> String {
    LazyLock::force(&GENERATED);
    fs::read_to_string(project_file(file)).unwrap()
}

/// Checks that a file is what `command` generates.
#[track_caller]
fn assert_is_up_to_date(file: &str, command: &str) {
    let (_, generated) = GENERATED.iter().find(|(generated, _)| *generated == file).unwrap();
    let written = read(file);
    let difference = written.lines().zip(generated.lines()).find(|(written, generated)| written != generated);
    assert!(
        written == *generated,
        "{file} is out of date: run `{command}`, or the test with UPDATE_SNAPSHOTS=1 (first difference: {difference:?})"
    );
}

/// The variables below the line `heading` of the template: their names and their values.
fn variables_below(template: &str, heading: &str) -> BTreeMap<String, String> {
    let (_, below) = template.split_once(heading).unwrap();
    let (before, below) = below.split_once("Variables:\n").unwrap();
    assert!(!before.contains("CodeUri:"), "{heading} has no variables");
    let indent = below.len() - below.trim_start().len();
    let variables = below.lines().take_while(|line| line.len() - line.trim_start().len() == indent);
    let variables = variables.filter_map(|line| line.trim().split_once(": "));
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// The functions, each with the paths of its own OpenAPI document.
fn documents() -> Vec<(&'static Function, Vec<(String, PathItem)>)> {
    let ambient = Ambient::system();
    let db = Db::new(Arc::new(Sqlite::in_memory(ambient.clone()).unwrap()), ambient);
    let identity = assemble(db.clone(), testing::kernel_settings(), testing::settings());
    let metrics = Metrics::in_process().unwrap();
    let document = |(function, create_router): &'static (Function, switchyard_local::CreateRouter)| {
        let document = create_router(&db, &metrics, &identity).into_openapi();
        (function, document.paths.paths.into_iter().collect())
    };
    FUNCTIONS.iter().map(document).collect()
}

fn operations(item: &PathItem) -> impl Iterator<Item = &Operation> {
    [&item.get, &item.post, &item.put, &item.patch, &item.delete].into_iter().flatten()
}

#[test]
fn the_tables_of_the_template_are_those_of_the_declared_collections() {
    assert_is_up_to_date(TABLES, "cargo run -- tables");
}

#[test]
fn the_functions_of_the_template_are_those_that_are_declared() {
    assert_is_up_to_date(TEMPLATE, "cargo run -- functions");
}

#[test]
fn every_operation_is_routed_to_the_function_that_has_it() {
    LazyLock::force(&GENERATED);
    let routes = Routes::read().unwrap();
    let mut used = BTreeSet::new();
    for (function, paths) in documents() {
        assert!(!paths.is_empty(), "`{}` has no operations", function.name);
        for (path, _) in paths {
            // A method that a path does not have is answered by the function that has the path, too.
            let leads_to = routes.function_of(&Method::TRACE, &path);
            assert_eq!(leads_to, function.name, "{path} leads to the wrong function");
            used.extend(routes.pattern_of(&path).map(|(pattern, _)| pattern));
        }
    }
    let unused: Vec<_> = routes.iter().filter(|(pattern, _)| !used.contains(pattern)).collect();
    assert!(unused.is_empty(), "functions declare routes that their routers do not have: {unused:?}");
}

#[test]
fn only_functions_with_operations_for_users_get_secrets_and_only_one_that_signs_tokens_their_key() {
    for (function, paths) in documents() {
        let mut operations = paths.iter().flat_map(|(_, item)| operations(item));
        let is_for_users = operations.any(|operation| operation.security.is_some());
        assert_eq!(function.secrets.contains(&"AUDIT_KEY"), is_for_users, "`{}`", function.name);
        assert_eq!(function.allows(Access::Read, "token_keys"), is_for_users, "`{}`", function.name);
        let signs = function.secrets.contains(&"JWT_PRIVATE_KEY");
        assert_eq!(function.allows(Access::Insert, "token_keys"), signs, "`{}`", function.name);
        for secret in function.secrets {
            assert!(ALL_SECRETS.contains(secret), "`{}` declares an unknown secret {secret}", function.name);
        }
    }
    assert_eq!(BTreeSet::from(ALL_SECRETS), BTreeSet::from(LocalSecrets::SETTINGS));
}

/// CloudFormation would resolve a secret once, at a deployment, and show it to everybody who may look at the function.
#[test]
fn no_secret_is_in_the_environment_of_a_function() {
    let template = read(TEMPLATE);
    assert!(!template.contains("{{resolve:"));
    for function in functions() {
        let heading = format!("      CodeUri: functions/{}\n", function.name);
        let (_, text) = template.split_once(&heading).unwrap();
        let text = text.split_once("\n      Events:\n").unwrap().0;
        let has_secrets = !function.secrets.is_empty();
        let action = "                - secretsmanager:GetSecretValue\n              Resource:\n                - !Sub \"arn:\
                      ${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${SecretName}-??????\"";
        assert_eq!(text.contains(action), has_secrets, "`{}`", function.name);
        assert_eq!(
            text.matches("secretsmanager:").count(),
            if has_secrets { 3 } else { 0 },
            "`{}`",
            function.name
        );
        if !has_secrets {
            continue;
        }
        let variables = variables_below(&template, &heading);
        let source = variables.get("SECRETS").map(String::as_str);
        assert_eq!(source, Some("!Sub \"secretsmanager:${SecretName}\""), "`{}`", function.name);
        for secret in ALL_SECRETS {
            let expected = function.secrets.contains(&secret).then_some("\"\"");
            assert_eq!(
                variables.get(secret).map(String::as_str),
                expected,
                "{secret} of `{}`",
                function.name
            );
        }
    }
}

/// With a setting that is neither here nor in [`NOT_ON_LAMBDA`], an operator on AWS would have to live with its default.
#[test]
fn every_setting_can_be_set_in_the_template_or_has_no_effect_on_lambda() {
    let template = read(TEMPLATE);
    let table = run(&["settings", "--markdown"]);
    let settings: BTreeSet<&str> =
        table.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0)).collect();
    assert!(settings.len() > 30, "{settings:?}");
    let of_all = variables_below(&template, "\nGlobals:\n");
    let (parameters, _) = template.split_once("\nGlobals:\n").unwrap();
    for (function, _) in FUNCTIONS.iter().filter(|(function, _)| function.knows_users()) {
        let heading = format!("      CodeUri: functions/{}\n", function.name);
        let mut variables = variables_below(&template, &heading);
        variables.extend(of_all.clone());
        for setting in settings.iter().filter(|setting| !ALL_SECRETS.contains(setting)) {
            let on_lambda = NOT_ON_LAMBDA.iter().all(|(name, _)| name != setting);
            assert_eq!(variables.contains_key(*setting), on_lambda, "{setting} of `{}`", function.name);
        }
        for (name, value) in variables {
            if let Some(parameter) = value.strip_prefix("!Ref ") {
                assert!(parameters.contains(&format!("\n  {parameter}:\n")), "{name}: {value}");
            }
        }
    }
    let unknown: Vec<_> = NOT_ON_LAMBDA.iter().filter(|(name, _)| !settings.contains(name)).collect();
    assert!(unknown.is_empty(), "these are no settings: {unknown:?}");
}

/// API Gateway answers preflights itself: a header that it does not list never reaches a function.
#[tokio::test]
async fn the_gateway_accepts_the_headers_that_the_functions_accept() {
    let template = read(TEMPLATE);
    let (_, listed) = template.split_once("            - - authorization,").unwrap();
    let (listed, rest) = listed.split_once('\n').unwrap();
    assert!(
        rest.trim_start().starts_with("- !If [WithCorsHeaders, !Join [\",\", !Ref CorsHeaders]"),
        "{rest}"
    );
    let listed: BTreeSet<&str> = listed.split(',').chain(["authorization"]).collect();
    let ambient = Ambient::system();
    let db = Db::new(Arc::new(Sqlite::in_memory(ambient.clone()).unwrap()), ambient);
    let identity = assemble(db.clone(), testing::kernel_settings(), testing::settings());
    let metrics = Metrics::in_process().unwrap();
    let settings =
        ApiSettings { cors_origins: "https://app.example.com".parse().unwrap(), ..ApiSettings::default() };
    let api = Api::new(db.clone(), Arc::new(NoAuthenticator), settings, Arc::new(NoObserver));
    let router = serve_api(switchyard_local::router(&db, &metrics, &identity), Arc::new(api));
    let preflight = Call::new(router, Method::OPTIONS, "/api/v1/users")
        .header(header::ORIGIN, "https://app.example.com")
        .header(header::ACCESS_CONTROL_REQUEST_METHOD, "GET");
    let answer = preflight.await;
    let accepted = answer.header("access-control-allow-headers").unwrap();
    assert_eq!(accepted.split(',').collect::<BTreeSet<_>>(), listed);
}

#[test]
fn every_table_is_open_to_some_function_and_no_function_names_another() {
    let tables: BTreeSet<String> = read(TABLES)
        .lines()
        .filter_map(|line| {
            Some(
                line.trim()
                    .strip_prefix("TableName: !Sub \"${TablePrefix}-")?
                    .trim_end_matches('"')
                    .to_owned(),
            )
        })
        .collect();
    let named: BTreeSet<String> = read(TEMPLATE)
        .lines()
        .filter_map(|line| Some(line.split_once("table/${TablePrefix}-")?.1.trim_end_matches('"').to_owned()))
        .filter_map(|name| Some(name.split('/').next()?.to_owned()))
        .collect();
    assert!(tables.len() > 10, "{tables:?}");
    assert_eq!(named, tables);
}

/// The metrics of AWS that there are alarms on, each with the dimensions that it has. An alarm with others never goes off.
///
/// - <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html>; those of the account have no dimension
/// - <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html>
/// - <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html>: the events of a table are not
///   those of its indexes, and `ThrottledRequests` has no values without an `Operation`
const METRICS_OF_AWS: &[(&str, &str, &[&str])] = &[
    ("AWS/Lambda", "Errors", &["FunctionName"]),
    ("AWS/Lambda", "Throttles", &["FunctionName"]),
    ("AWS/Lambda", "ClaimedAccountConcurrency", &[]),
    ("AWS/ApiGateway", "5xx", &["ApiId"]),
    ("AWS/DynamoDB", "ReadThrottleEvents", &["TableName"]),
    ("AWS/DynamoDB", "ReadThrottleEvents", &["GlobalSecondaryIndexName", "TableName"]),
    ("AWS/DynamoDB", "WriteThrottleEvents", &["TableName"]),
    ("AWS/DynamoDB", "WriteThrottleEvents", &["GlobalSecondaryIndexName", "TableName"]),
];

/// The metrics of the program are compared with what it prints, in the tests of the functions under the emulator.
#[test]
fn every_alarm_watches_a_metric_with_the_dimensions_that_it_has_and_is_sent_to_a_topic() {
    let alarms: Vec<_> = [TEMPLATE, TABLES].into_iter().flat_map(|file| alarms_of(&read(file))).collect();
    let functions: BTreeSet<_> =
        functions().map(|function| format!("!Ref {}Function", logical_id(function.name))).collect();
    for alarm in &alarms {
        let dimensions: Vec<_> = alarm.dimensions.keys().map(String::as_str).collect();
        match alarm.namespace.as_str() {
            "Switchyard" => assert!(
                alarm.dimensions.get("Function").is_some_and(|function| functions.contains(function))
                    && dimensions.len() == 1,
                "{alarm:?}"
            ),
            namespace => assert!(
                METRICS_OF_AWS.contains(&(namespace, alarm.metric.as_str(), &dimensions)),
                "{alarm:?}"
            ),
        }
        assert!(alarm.actions.contains("!Ref AlarmTopicArn"), "{alarm:?}");
    }
    for (namespace, metric, dimensions) in METRICS_OF_AWS {
        let is_watched = alarms.iter().any(|alarm| {
            (alarm.namespace.as_str(), alarm.metric.as_str()) == (*namespace, *metric)
                && alarm.dimensions.keys().map(String::as_str).eq(dimensions.iter().copied())
        });
        assert!(is_watched, "nothing watches {metric} of {namespace}");
    }
}

/// A throttle for a route that does not exist makes the deployment fail. One for `{proxy+}` leaves out the more specific routes.
#[test]
fn every_throttle_is_that_of_a_route_and_all_of_auth_have_one() {
    let template = read(TEMPLATE);
    let (_, settings) = template.split_once("      RouteSettings:\n").unwrap();
    let settings = settings.lines().take_while(|line| line.starts_with("        "));
    let throttled: Vec<_> = settings
        .filter_map(|line| line.strip_prefix("        \"")?.strip_suffix("\":"))
        .map(|key| key.split_once(' ').unwrap())
        .collect();
    let routes = Routes::read().unwrap();
    for (path, route) in routes.iter().filter(|(path, _)| path.starts_with("/api/v1/auth/")) {
        assert!(throttled.contains(&(&*route.method, path)), "{path} is not in {throttled:?}");
    }
    for (method, path) in throttled {
        let route = routes.iter().find(|(pattern, _)| *pattern == path);
        assert_eq!(route.map(|(_, route)| route.method.as_str()), Some(method), "{path}");
    }
}

/// IAM limits the inline policies of a role to 10,240 characters together, without white space, and SAM writes one.
#[test]
fn the_policy_of_each_function_fits_in_its_role() {
    let template = read(TEMPLATE);
    for function in functions() {
        let (_, policy) = template.split_once(&format!("CodeUri: functions/{}\n", function.name)).unwrap();
        let (_, policy) = policy.split_once("      Policies:\n").unwrap();
        let (policy, _) = policy.split_once("      Events:\n").unwrap();
        // In JSON an element of a list has two quotes and a comma for the hyphen and the tag.
        let policy = policy
            .replace("${AWS::Partition}", "aws-us-gov")
            .replace("${AWS::Region}", "ap-southeast-99")
            .replace("${AWS::AccountId}", "123456789012")
            .replace("${TablePrefix}", &"p".repeat(41))
            .replace("${AWS::StackName}", &"s".repeat(128))
            .replace("- !Sub ", "");
        let size = policy.chars().filter(|c| !c.is_whitespace()).count();
        assert!(size < 9_000, "the policy of `{}` has {size} characters", function.name);
    }
}

/// Tables are created by the deployment and by `switchyard migrate`, with the rights of the person or the job that runs them.
#[test]
fn no_function_may_create_or_change_tables() {
    for line in read(TEMPLATE).lines().filter_map(|line| line.trim().strip_prefix("- dynamodb:")) {
        let is_of_items = ["Item", "Query", "Scan"].iter().any(|kind| line.ends_with(kind));
        assert!(is_of_items, "{line}");
    }
}
