use super::civil::CivilTimes;

/// Why an expression or a time zone was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronFault {
    /// The expression does not have five fields.
    #[error(
        "the cron expression `{expression}` has {count} fields; give five: minute, hour, day of the month, month, day of the week"
    )]
    Count {
        /// The expression.
        expression: String,
        /// The number of its fields.
        count: usize,
    },
    /// A field of the expression cannot be read.
    #[error(
        "the {field} of a cron expression cannot be `{text}`; give *, {allowed}, or a range, a step or a list of these"
    )]
    Field {
        /// The name of the field.
        field: &'static str,
        /// The text of the field.
        text: String,
        /// What the field consists of.
        allowed: &'static str,
    },
    /// No date matches the expression.
    #[error(
        "no date matches the cron expression `{expression}`; change its day of the month, month or day of the week"
    )]
    Never {
        /// The expression.
        expression: String,
    },
    /// The time zone is not in the IANA database.
    #[error("`{time_zone}` is not a time zone; give a name of the IANA database, as in Africa/Lagos or UTC")]
    TimeZone {
        /// The name that was given.
        time_zone: String,
    },
}

struct Field {
    name: &'static str,
    allowed: &'static str,
}

/// The fields, in their order.
const FIELDS: [Field; 5] = [
    Field { name: "minute", allowed: "0 to 59" },
    Field { name: "hour", allowed: "0 to 23" },
    Field {
        name: "day of the month",
        allowed: "1 to 31, L (the last), 15W (the weekday nearest to the 15th)",
    },
    Field { name: "month", allowed: "1 to 12, JAN to DEC" },
    Field {
        name: "day of the week",
        allowed: "0 to 7, SUN to SAT, 5L (the last Friday), 5#3 (the third Friday)",
    },
];

impl CronFault {
    /// The fault of an expression that cannot be read: its first field that cannot be read alone.
    pub(super) fn of_field(fields: &[&str; 5]) -> Self {
        let is_read = |position: usize| {
            let mut alone = ["*"; 5];
            alone[position] = fields[position];
            CivilTimes::parse(&alone).is_some()
        };
        let position = (0..fields.len()).find(|&position| !is_read(position)).unwrap_or_default();
        let Field { name, allowed } = FIELDS[position];
        Self::Field { field: name, text: fields[position].to_owned(), allowed }
    }
}
