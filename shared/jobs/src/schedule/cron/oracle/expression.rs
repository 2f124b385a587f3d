//! Random expressions, whose text is made from what they mean.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{DAY, HOUR};

/// A date of the calendar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Date {
    month: i64,
    day: i64,
    days_of_month: i64,
    /// From 0, Sunday, to 6.
    weekday: i64,
}

impl Date {
    /// The date of a day since 1970-01-01, which was a Thursday.
    pub(super) fn of(days: i64) -> Self {
        let weekday = (days + 4).rem_euclid(7);
        let (mut year, mut day) = (1970, days);
        let is_leap = |year| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days_of_year = |year| 365 + i64::from(is_leap(year));
        while day >= days_of_year(year) {
            day -= days_of_year(year);
            year += 1;
        }
        let february = days_of_year(year) - 337;
        for (month, days_of_month) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
            if day < days_of_month {
                return Self { month, day: day + 1, days_of_month, weekday };
            }
            day -= days_of_month;
        }
        unreachable!("the day is one of the year")
    }

    /// The day from Monday to Friday that is nearest to a day of the month.
    fn nearest_weekday(self, day: i64) -> i64 {
        match (self.weekday + day - self.day).rem_euclid(7) {
            6 if day == 1 => 3,
            6 => day - 1,
            0 if day == self.days_of_month => day - 2,
            0 => day + 1,
            _ => day,
        }
    }
}

/// What an item of a field means.
#[derive(Clone, Debug)]
enum Meaning {
    Numbers(BTreeSet<i64>),
    LastDay,
    NearestWeekday(i64),
    LastWeekday(i64),
    NthWeekday(i64, i64),
}

#[derive(Clone, Debug)]
struct Item {
    text: String,
    meaning: Meaning,
}

impl Item {
    fn numbers(text: String, low: i64, high: i64, step: i64) -> Self {
        let numbers = (low..=high).filter(|number| (number - low) % step == 0).collect();
        Self { text, meaning: Meaning::Numbers(numbers) }
    }

    fn contains(&self, number: i64) -> bool {
        matches!(&self.meaning, Meaning::Numbers(numbers) if numbers.contains(&number))
    }

    fn is_day(&self, date: Date) -> bool {
        match self.meaning {
            Meaning::LastDay => date.day == date.days_of_month,
            Meaning::NearestWeekday(day) => {
                day <= date.days_of_month && date.nearest_weekday(day) == date.day
            }
            _ => self.contains(date.day),
        }
    }

    fn is_weekday(&self, date: Date) -> bool {
        match self.meaning {
            Meaning::LastWeekday(weekday) => date.weekday == weekday % 7 && date.day + 7 > date.days_of_month,
            Meaning::NthWeekday(weekday, nth) => date.weekday == weekday % 7 && (date.day + 6) / 7 == nth,
            _ => self.contains(date.weekday) || date.weekday == 0 && self.contains(7),
        }
    }
}

/// The items of a field.
#[derive(Clone, Debug)]
struct Field(Vec<Item>);

impl Field {
    fn contains(&self, number: i64) -> bool {
        self.0.iter().any(|item| item.contains(number))
    }

    fn text(&self) -> String {
        let items: Vec<&str> = self.0.iter().map(|item| item.text.as_str()).collect();
        items.join(",")
    }

    fn begins_with_asterisk(&self) -> bool {
        self.0[0].text.starts_with('*')
    }
}

fn item(low: i64, high: i64) -> BoxedStrategy<Item> {
    let number = low..=high;
    let step = 1..=high;
    prop_oneof![
        1 => Just(Item::numbers("*".to_owned(), low, high, 1)),
        2 => step.clone().prop_map(move |step| Item::numbers(format!("*/{step}"), low, high, step)),
        6 => number.clone().prop_map(|a| Item::numbers(a.to_string(), a, a, 1)),
        1 => (number.clone(), step.clone()).prop_map(move |(a, step)| Item::numbers(format!("{a}/{step}"), a, high, step)),
        1 => (number.clone(), number.clone()).prop_map(|(a, b)| {
            let (a, b) = (a.min(b), a.max(b));
            Item::numbers(format!("{a}-{b}"), a, b, 1)
        }),
        1 => (number.clone(), number, step).prop_map(|(a, b, step)| {
            let (a, b) = (a.min(b), a.max(b));
            Item::numbers(format!("{a}-{b}/{step}"), a, b, step)
        }),
    ]
    .boxed()
}

fn field(item: BoxedStrategy<Item>) -> impl Strategy<Value = Field> {
    prop::collection::vec(item, 1..=3).prop_map(Field)
}

/// A field of days that is often `*`: otherwise few days would match.
fn often_any(low: i64, high: i64, special: BoxedStrategy<Item>) -> impl Strategy<Value = Field> {
    let any = Field(vec![Item::numbers("*".to_owned(), low, high, 1)]);
    prop_oneof![3 => Just(any), 1 => field(prop_oneof![item(low, high), special].boxed())]
}

fn special_day() -> BoxedStrategy<Item> {
    let nearest = |day| Item { text: format!("{day}W"), meaning: Meaning::NearestWeekday(day) };
    let last = Item { text: "L".to_owned(), meaning: Meaning::LastDay };
    prop_oneof![Just(last), (1..=31_i64).prop_map(nearest)].boxed()
}

fn special_weekday() -> BoxedStrategy<Item> {
    let last = |weekday| Item { text: format!("{weekday}L"), meaning: Meaning::LastWeekday(weekday) };
    let nth = |(weekday, nth)| Item {
        text: format!("{weekday}#{nth}"),
        meaning: Meaning::NthWeekday(weekday, nth),
    };
    prop_oneof![(0..=7_i64).prop_map(last), (0..=7_i64, 1..=5_i64).prop_map(nth)].boxed()
}

/// An expression, by its fields.
#[derive(Clone, Debug)]
pub(super) struct Expression {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

/// Any expression.
pub(super) fn expressions() -> impl Strategy<Value = Expression> {
    let fields = (
        field(item(0, 59)),
        field(item(0, 23)),
        often_any(1, 31, special_day()),
        often_any(1, 12, item(1, 12)),
        often_any(0, 7, special_weekday()),
    );
    fields.prop_map(|(minute, hour, day, month, weekday)| Expression { minute, hour, day, month, weekday })
}

impl Expression {
    pub(super) fn text(&self) -> String {
        let Self { minute, hour, day, month, weekday } = self;
        [minute, hour, day, month, weekday].map(Field::text).join(" ")
    }

    /// Whether the hours contain `*` or `*/n`.
    pub(super) fn has_wildcard_hours(&self) -> bool {
        self.hour.0.iter().any(|item| item.text.starts_with('*'))
    }

    /// Whether a time without a zone, in minutes since 1970-01-01T00:00, matches.
    pub(super) fn matches(&self, time: i64) -> bool {
        let time_of_day = time.rem_euclid(DAY);
        self.minute.contains(time_of_day % HOUR)
            && self.hour.contains(time_of_day / HOUR)
            && self.matches_date(Date::of(time.div_euclid(DAY)))
    }

    pub(super) fn matches_date(&self, date: Date) -> bool {
        let of_month = self.day.0.iter().any(|item| item.is_day(date));
        let of_week = self.weekday.0.iter().any(|item| item.is_weekday(date));
        let both = self.day.begins_with_asterisk() || self.weekday.begins_with_asterisk();
        self.month.contains(date.month) && if both { of_month && of_week } else { of_month || of_week }
    }

    /// The same days, at 00:00.
    pub(super) fn at_midnight(self) -> Self {
        let midnight = Field(vec![Item::numbers("0".to_owned(), 0, 0, 1)]);
        Self { minute: midnight.clone(), hour: midnight, ..self }
    }
}
