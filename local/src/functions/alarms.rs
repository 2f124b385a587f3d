//! The alarms of each function.

use switchyard_runtime::Function;

use crate::alarm::Alarm;

/// The topic that alarms are sent to.
const TOPIC: &str = "!If [WithAlarmTopic, !Ref AlarmTopic, !Ref AlarmTopicArn]";

/// Writes the alarms of a function: for those of its answers that are 5xx and slow, for invocations that fail as a whole (a
/// crash, a time-out), and for those that Lambda refuses because too many run.
pub(super) fn write(text: &mut String, function: &Function, logical: &str) {
    let of_runtime = [("Function", format!("!Ref {logical}Function"))];
    let of_lambda = [("FunctionName", format!("!Ref {logical}Function"))];
    let name = function.name;
    let alarm = |what: &'static str, description: &str| Alarm {
        logical: format!("{logical}{what}Alarm"),
        description: format!("{description} (${{AWS::StackName}}, function {name})"),
        namespace: "AWS/Lambda",
        metric: what,
        dimensions: of_lambda.to_vec(),
        statistic: "Sum",
        threshold: "1",
        minutes: 1,
        topic: TOPIC,
        condition: None,
    };
    let mut alarms = vec![
        alarm("Errors", "Invocations fail as a whole: the function crashes or takes too long."),
        alarm("Throttles", "Invocations are refused because too many run at once."),
    ];
    if function.is_served() {
        alarms.push(Alarm {
            namespace: "Switchyard",
            metric: "ServerErrors",
            dimensions: of_runtime.to_vec(),
            threshold: "!Ref AlarmServerErrors",
            minutes: 3,
            ..alarm("ServerErrors", "Requests are answered with 5xx.")
        });
        alarms.push(Alarm {
            namespace: "Switchyard",
            metric: "Latency",
            dimensions: of_runtime.to_vec(),
            statistic: "p99",
            threshold: "!Ref AlarmLatencyMs",
            minutes: 3,
            ..alarm("Latency", "One request in a hundred is slow.")
        });
    }
    for alarm in alarms {
        alarm.write(text);
        text.push('\n');
    }
}
