//! Alarms of CloudWatch, as text of a template.

use std::fmt::Write as _;

/// An alarm. A missing value is none that alarms.
pub(crate) struct Alarm<'a> {
    /// The name of the resource.
    pub(crate) logical: String,
    /// What has happened when it goes off, for people.
    pub(crate) description: String,
    /// The namespace of the metric.
    pub(crate) namespace: &'a str,
    /// The name of the metric.
    pub(crate) metric: &'a str,
    /// The dimensions, each with its value as the template writes it. A metric without one of its dimensions has no values.
    pub(crate) dimensions: Vec<(&'a str, String)>,
    /// `Sum`, or a percentile such as `p99`.
    pub(crate) statistic: &'a str,
    /// The smallest value that counts as too much.
    pub(crate) threshold: &'a str,
    /// How many of five minutes have to be over it.
    pub(crate) minutes: u8,
    /// The topic that the alarm is sent to, as the template writes it.
    pub(crate) topic: &'a str,
    /// The condition under which there is an alarm.
    pub(crate) condition: Option<&'a str>,
}

impl Alarm<'_> {
    pub(crate) fn write(&self, text: &mut String) {
        let Self { logical, description, namespace, metric, statistic, threshold, minutes, topic, .. } = self;
        let _ = write!(text, "  {logical}:\n    Type: AWS::CloudWatch::Alarm\n");
        if let Some(condition) = self.condition {
            let _ = writeln!(text, "    Condition: {condition}");
        }
        let _ = write!(
            text,
            "    Properties:
      AlarmDescription: !Sub {description:?}
      Namespace: {namespace}
      MetricName: {metric}
      Dimensions:
"
        );
        for (name, value) in &self.dimensions {
            let _ = write!(text, "        - Name: {name}\n          Value: {value}\n");
        }
        let kind = if statistic.starts_with('p') { "ExtendedStatistic" } else { "Statistic" };
        let _ = write!(
            text,
            "      {kind}: {statistic}
      Period: 60
      EvaluationPeriods: 5
      DatapointsToAlarm: {minutes}
      Threshold: {threshold}
      ComparisonOperator: GreaterThanOrEqualToThreshold
      TreatMissingData: notBreaching
      AlarmActions: [{topic}]
      OKActions: [{topic}]
"
        );
    }
}
