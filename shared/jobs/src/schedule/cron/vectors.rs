use std::iter::successors;

use switchyard_ambient::Timestamp;

use super::{CronExpression, CronFault};

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Checks that `ticks` are all the ticks from `after` on, up to the last of them.
#[track_caller]
fn check(expression: &str, zone: &str, after: &str, ticks: &[&str]) {
    let expression = CronExpression::parse(expression, zone).unwrap();
    let found = successors(expression.next_after(time(after)), |&tick| expression.next_after(tick));
    let found: Vec<String> =
        found.take(ticks.len()).map(|tick| tick.to_string().replace(":00.000", "")).collect();
    assert_eq!(found, ticks, "{expression}");
}

/// Clocks are set forward from 02:00 to 03:00 in New York on 2026-03-08, from 00:00 to 01:00 in Santiago on 2026-09-06,
/// and from 02:00 to 02:30 on Lord Howe on 2026-10-04.
#[test]
fn a_time_that_is_skipped_is_moved_forward_by_as_much_as_the_clock() {
    check(
        "30 2 * * *",
        "America/New_York",
        "2026-03-07T00:00:00Z",
        &["2026-03-07T07:30Z", "2026-03-08T07:30Z", "2026-03-09T06:30Z"],
    );
    check(
        "0 0 * * *",
        "America/Santiago",
        "2026-09-05T00:00:00Z",
        &["2026-09-05T04:00Z", "2026-09-06T04:00Z", "2026-09-07T03:00Z"],
    );
    check(
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-02T00:00:00Z",
        &["2026-10-02T15:45Z", "2026-10-03T15:45Z", "2026-10-04T15:15Z"],
    );
}

/// Clocks are set back from 02:00 to 01:00 in New York on 2026-11-01, from 00:00 to 23:00 in Santiago on 2026-04-05,
/// and from 02:00 to 01:30 on Lord Howe on 2026-04-05.
#[test]
fn a_time_that_is_repeated_is_taken_when_it_comes_first() {
    check(
        "30 1 * * *",
        "America/New_York",
        "2026-10-31T00:00:00Z",
        &["2026-10-31T05:30Z", "2026-11-01T05:30Z", "2026-11-02T06:30Z"],
    );
    check(
        "15 23 * * *",
        "America/Santiago",
        "2026-04-04T00:00:00Z",
        &["2026-04-04T02:15Z", "2026-04-05T02:15Z", "2026-04-06T03:15Z"],
    );
    check(
        "45 1 * * *",
        "Australia/Lord_Howe",
        "2026-04-03T00:00:00Z",
        &["2026-04-03T14:45Z", "2026-04-04T14:45Z", "2026-04-05T15:15Z"],
    );
}

#[test]
fn a_repeated_hour_has_no_ticks_the_second_time() {
    check(
        "*/30 1,2 * * *",
        "America/New_York",
        "2026-11-01T00:00:00Z",
        &[
            "2026-11-01T05:00Z",
            "2026-11-01T05:30Z",
            "2026-11-01T07:00Z",
            "2026-11-01T07:30Z",
            "2026-11-02T06:00Z",
        ],
    );
    // From the second 01:10 on.
    check("0,30 1 * * *", "America/New_York", "2026-11-01T06:10:00Z", &["2026-11-02T06:00Z"]);
}

#[test]
fn times_that_fall_on_the_same_instant_are_one_tick() {
    check(
        "0,30 2,3 * * *",
        "America/New_York",
        "2026-03-08T00:00:00Z",
        &[
            "2026-03-08T07:00Z",
            "2026-03-08T07:30Z",
            "2026-03-09T06:00Z",
            "2026-03-09T06:30Z",
            "2026-03-09T07:00Z",
        ],
    );
}

/// 02:10 does not exist and becomes 02:40, which is after 02:35.
#[test]
fn ticks_are_ordered_by_their_instants_and_not_by_the_times_of_the_expression() {
    let ticks = ["2026-10-03T15:35Z", "2026-10-03T15:40Z", "2026-10-04T15:10Z", "2026-10-04T15:35Z"];
    check("10,35 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", &ticks);
    check("10,35 2 * * *", "Australia/Lord_Howe", "2026-10-03T15:34:59Z", &ticks);
    check("10,35 2 * * *", "Australia/Lord_Howe", "2026-10-03T15:35:00Z", &ticks[1..]);
    check("10,35 2 * * *", "Australia/Lord_Howe", "2026-10-03T15:39:59Z", &ticks[1..]);
    check("10,35 2 * * *", "Australia/Lord_Howe", "2026-10-03T15:40:00Z", &ticks[2..]);
}

/// Samoa went from 2011-12-29 to 2011-12-31, when it moved to the other side of the date line.
#[test]
fn a_day_that_does_not_exist_has_no_tick_of_its_own() {
    check(
        "0 12 * * *",
        "Pacific/Apia",
        "2011-12-29T00:00:00Z",
        &["2011-12-29T22:00Z", "2011-12-30T22:00Z", "2011-12-31T22:00Z"],
    );
    check(
        "0 12 30 12 *",
        "Pacific/Apia",
        "2011-12-01T00:00:00Z",
        &["2011-12-30T22:00Z", "2012-12-29T22:00Z"],
    );
}

#[test]
fn a_zone_that_never_changes_its_clocks_has_its_ticks_at_the_same_time_all_year() {
    check("0 7 * * *", "Africa/Lagos", "2026-03-28T06:00:00Z", &["2026-03-29T06:00Z", "2026-03-30T06:00Z"]);
    check(
        "45 7 1 */6 *",
        "Asia/Kathmandu",
        "2026-01-01T03:00:00Z",
        &["2026-07-01T02:00Z", "2027-01-01T02:00Z"],
    );
}

#[test]
fn with_a_wildcard_among_the_hours_each_hour_that_passes_has_a_tick() {
    check(
        "30 * * * *",
        "America/New_York",
        "2026-11-01T04:00:00Z",
        &["2026-11-01T04:30Z", "2026-11-01T05:30Z", "2026-11-01T06:30Z", "2026-11-01T07:30Z"],
    );
    check(
        "30 * * * *",
        "America/New_York",
        "2026-03-08T06:00:00Z",
        &["2026-03-08T06:30Z", "2026-03-08T07:30Z", "2026-03-08T08:30Z"],
    );
    check(
        "0 */1 * * *",
        "America/New_York",
        "2026-11-01T04:30:00Z",
        &["2026-11-01T05:00Z", "2026-11-01T06:00Z", "2026-11-01T07:00Z"],
    );
    check(
        "0 5,* * * *",
        "America/New_York",
        "2026-11-01T05:00:00Z",
        &["2026-11-01T06:00Z", "2026-11-01T07:00Z"],
    );
}

/// On Lord Howe, where clocks are set by half an hour.
#[test]
fn with_a_wildcard_among_the_hours_there_is_a_tick_whenever_the_clock_shows_a_time_that_matches() {
    let zone = "Australia/Lord_Howe";
    let back = "2026-04-04T14:00:00Z";
    check("45 * * * *", zone, back, &["2026-04-04T14:45Z", "2026-04-04T15:15Z", "2026-04-04T16:15Z"]);
    check("15 * * * *", zone, back, &["2026-04-04T14:15Z", "2026-04-04T15:45Z", "2026-04-04T16:45Z"]);
    // 02:30 is shown at once after 01:59:59, and 02:15 never.
    let forward = "2026-10-03T14:30:00Z";
    check("30 * * * *", zone, forward, &["2026-10-03T15:00Z", "2026-10-03T15:30Z", "2026-10-03T16:30Z"]);
    check("15 * * * *", zone, forward, &["2026-10-03T14:45Z", "2026-10-03T16:15Z"]);
    check(
        "0 */2 * * *",
        "America/New_York",
        "2026-03-08T05:00:00Z",
        &["2026-03-08T08:00Z", "2026-03-08T10:00Z"],
    );
}

#[test]
fn a_tick_is_later_than_the_time_from_which_it_is_sought() {
    let daily = CronExpression::parse("0 7 * * *", "Africa/Lagos").unwrap();
    let tick = time("2026-03-01T06:00:00Z");
    let micro = std::time::Duration::from_micros(1);
    assert_eq!(daily.next_after(tick - micro), Some(tick));
    assert_eq!(daily.next_after(tick), Some(time("2026-03-02T06:00:00Z")));
    assert_eq!(daily.next_after(tick + micro), Some(time("2026-03-02T06:00:00Z")));
}

#[test]
fn days_are_counted_from_the_end_of_a_month_by_week_and_to_the_nearest_weekday() {
    let days = |expression: &str, ticks: &[&str]| {
        let ticks: Vec<String> = ticks.iter().map(|day| format!("{day}T00:00Z")).collect();
        let ticks: Vec<&str> = ticks.iter().map(String::as_str).collect();
        check(&format!("0 0 {expression}"), "UTC", "2026-01-01T00:00:00Z", &ticks);
    };
    days("L * *", &["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]);
    days("L 2,12 *", &["2026-02-28", "2026-12-31", "2027-02-28", "2027-12-31", "2028-02-29"]);
    days("15W 8-11 *", &["2026-08-14", "2026-09-15", "2026-10-15", "2026-11-16"]);
    days("1W 8 *", &["2026-08-03", "2027-08-02"]);
    days("* 11-12 5L", &["2026-11-27", "2026-12-25", "2027-11-26", "2027-12-31"]);
    days("* 12 FRIL,SUN#1", &["2026-12-06", "2026-12-25", "2027-12-05", "2027-12-31", "2028-12-03"]);
    days("10,L DEC SATL", &["2026-12-10", "2026-12-26", "2026-12-31", "2027-12-10", "2027-12-25"]);
    days("L 12 *", &["2026-12-31", "2027-12-31"]);
    days("* 6 5L", &["2026-06-26", "2027-06-25"]);
    days("* * 5#3", &["2026-01-16", "2026-02-20"]);
    days("* * MON#5", &["2026-03-30", "2026-06-29"]);
}

#[test]
fn either_day_is_enough_if_neither_begins_with_an_asterisk() {
    let friday_or_13th = ["2026-01-02T00:00Z", "2026-01-09T00:00Z", "2026-01-13T00:00Z", "2026-01-16T00:00Z"];
    check("0 0 13 * 5", "UTC", "2026-01-01T00:00:00Z", &friday_or_13th);
    check("0 0 13 * */5", "UTC", "2026-01-01T00:00:00Z", &["2026-02-13T00:00Z", "2026-03-13T00:00Z"]);
}

#[test]
fn dates_that_are_decades_apart_are_found() {
    check("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", &["2028-02-29T00:00Z", "2032-02-29T00:00Z"]);
    check("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", &["2104-02-29T00:00Z"]);
    // The 29th of February on a Sunday.
    let sundays = ["2032-02-29T00:00Z", "2060-02-29T00:00Z", "2088-02-29T00:00Z", "2128-02-29T00:00Z"];
    check("0 0 29 2 */7", "UTC", "2026-01-01T00:00:00Z", &sundays);
    check(
        "0 * 29 2 */7",
        "America/New_York",
        "2088-03-01T12:00:00Z",
        &["2128-02-29T05:00Z", "2128-02-29T06:00Z"],
    );
    check(
        "0 2 29 2 */7",
        "America/New_York",
        "2088-03-01T12:00:00Z",
        &["2128-02-29T07:00Z", "2156-02-29T07:00Z"],
    );
}

#[test]
fn there_is_no_tick_after_the_year_9991_begins() {
    for expression in ["0 0 * * *", "0 * * * *", "0 0 L * 5L"] {
        let expression = CronExpression::parse(expression, "UTC").unwrap();
        for end in ["9991-01-01T00:00:00Z", "9999-12-30T21:59:59Z"] {
            assert_eq!(expression.next_after(time(end)), None, "{expression} {end}");
        }
        assert!(expression.next_after(time("9990-12-01T00:00:00Z")).is_some(), "{expression}");
        assert_eq!(expression.next_after(Timestamp::from_micros(i64::MAX)), None, "{expression}");
        assert_eq!(expression.next_after(Timestamp::from_micros(i64::MIN)), None, "{expression}");
    }
}

#[test]
fn names_are_read_in_either_case_and_written_in_one_way() {
    let expression = CronExpression::parse(" 0\t7  * jan-Jun mon ", "africa/lagos").unwrap();
    assert_eq!(expression.expression(), "0 7 * JAN-JUN MON");
    assert_eq!(expression.time_zone(), "Africa/Lagos");
    assert_eq!(expression.to_string(), "0 7 * JAN-JUN MON Africa/Lagos");
}

#[test]
fn the_hash_depends_on_the_expression_and_the_zone_but_not_on_how_they_were_written() {
    let hash = |expression, zone| CronExpression::parse(expression, zone).unwrap().hash();
    assert_eq!(hash("0 7 * * *", "Africa/Lagos"), "31f685cb");
    assert_eq!(hash("0 7 * * MON-FRI", "Africa/Lagos"), "bd794e58");
    assert_eq!(hash("0  7 * * mon-fri", "africa/LAGOS"), "bd794e58");
    assert_eq!(hash("0 7 * * *", "UTC"), "95da0bed");
}

#[test]
fn a_fault_names_the_field_and_what_it_can_be() {
    let fault = |expression, zone| CronExpression::parse(expression, zone).unwrap_err().to_string();
    let fields = [
        ("60 * * * *", "minute", "60", "0 to 59"),
        ("H * * * *", "minute", "H", "0 to 59"),
        ("0 17-8 * * *", "hour", "17-8", "0 to 23"),
        (
            "0 0 0 * *",
            "day of the month",
            "0",
            "1 to 31, L (the last), 15W (the weekday nearest to the 15th)",
        ),
        ("0 0 1 JANUARY *", "month", "JANUARY", "1 to 12, JAN to DEC"),
        (
            "0 0 * * 8",
            "day of the week",
            "8",
            "0 to 7, SUN to SAT, 5L (the last Friday), 5#3 (the third Friday)",
        ),
    ];
    for (expression, field, text, allowed) in fields {
        assert_eq!(
            fault(expression, "UTC"),
            format!(
                "the {field} of a cron expression cannot be `{text}`; give *, {allowed}, or a range, a step or a list of \
                 these"
            )
        );
    }
    assert_eq!(
        fault("0 0 * *", "UTC"),
        "the cron expression `0 0 * *` has 4 fields; give five: minute, hour, day of the month, month, day of the week"
    );
    assert_eq!(
        CronExpression::parse("0 0 * * * UTC", "UTC").unwrap_err(),
        CronFault::Count { expression: "0 0 * * * UTC".to_owned(), count: 6 }
    );
    for zone in ["", "Europe/Atlantis", "EST5EDT,M3.2.0,M11.1.0", "+01:00", "../etc/passwd"] {
        assert_eq!(
            fault("0 0 * * *", zone),
            format!(
                "`{zone}` is not a time zone; give a name of the IANA database, as in Africa/Lagos or UTC"
            )
        );
    }
}

#[test]
fn an_expression_that_no_date_matches_is_refused() {
    for expression in [
        "0 0 31 2 *",
        "0 0 30,31 2 *",
        "0 0 31 4,6,9,11 *",
        "0 0 */31 * MON#2",
        "* * 31W 6 *",
        "0 0 */20 12 5L",
    ] {
        let fault = CronExpression::parse(expression, "UTC").unwrap_err();
        assert_eq!(fault, CronFault::Never { expression: expression.to_owned() });
    }
}
