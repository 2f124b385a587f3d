use zxcvbn::Score;
use zxcvbn::feedback::Warning;

use crate::{EmailAddress, Password, PersonName};

/// The lowest score that is accepted, of 0 to 4: "safely unguessable: moderate protection from offline
/// slow-hash scenario", 10^8 guesses or more (Wheeler, "zxcvbn: Low-Budget Password Strength Estimation",
/// USENIX Security 2016).
const LEAST_SCORE: Score = Score::Three;

/// The maximum number of characters of a password that are estimated.
///
/// For longer texts, the estimates of zxcvbn 3.1.1 overflow their 64 bits: for `1212…`, back and forth on a
/// number pad, from 29 characters on, for `qwqw…` from 33, for a name in mixed case from about 60. This panics
/// in a build with overflow checks, and gives a wrong estimate in one without.
const MOST_CHARACTERS: usize = 28;

/// The maximum number of readings of a password's substitutes (`p4$$word`) that are estimated.
///
/// zxcvbn searches its dictionaries for every combination of letters that the substitutes may stand for. For
/// 100 characters with all substitutes, `4@8({[<3691!|70$5+%2` five times, that took 1.4 seconds; for 28
/// characters it still took 150 ms. With both bounds, the slowest password that was found takes 23 ms, and a
/// passphrase takes 1 to 4 ms (zxcvbn at opt-level 2, on one core).
const MOST_READINGS: usize = 64;

/// The substitutes that zxcvbn knows for a, c, g, i, l, s and t. Other letters have one substitute, so there is
/// no choice.
const SUBSTITUTES: [&str; 7] = ["4@", "({[<", "69", "1!|", "1|7", "$5", "+7"];

const MADE_OF_KNOWN: &str = "must not be made of your own name or e-mail address; add some uncommon words";

const MADE_OF_SERVICE: &str = "must not be made of the name of this service; add some uncommon words";

/// The name of the program, which every attacker knows.
const PROGRAM: &str = "switchyard";

/// Returns why a password is easy to guess for someone who knows its owner's address and name and the name of the service, as in
/// `must not be one of the most common passwords`; `None` for a good password. `service` is the issuer of access tokens, whose
/// words are the name of the service: those of `https://clinic.example.com` are `clinic`, `example` and so on.
///
/// Only the beginning is estimated: the first 28 characters, or fewer if they include nine or more different
/// substitutes as in `p4$$word`. The rest does not make a password weaker, but it cannot make up for a weak
/// beginning either.
///
/// Takes some milliseconds for a long password, so call it on a thread that may block.
pub(crate) fn weakness(
    password: &Password,
    email: &EmailAddress,
    name: &PersonName,
    service: &str,
) -> Option<&'static str> {
    let judged = judged_part(password.expose());
    let mut known = known_words(email, name);
    if judged.len() < password.expose().len() {
        // The last word may be cut off, and would look unknown.
        let cut: Vec<&str> = known.iter().filter_map(|word| beginning_at_end(word, judged)).collect();
        known.extend(cut);
    }
    let mut known: Vec<&str> = known.into_iter().map(judged_part).collect();
    known.retain(|word| word.chars().count() > 2); // with `a@b.c`, every password would contain known words
    // zxcvbn gives a high score to a long known word in mixed case.
    if known.iter().any(|word| is_same(word, judged)) {
        return Some(MADE_OF_KNOWN);
    }
    let words = service.split(|c: char| !c.is_alphanumeric()).chain([PROGRAM]);
    let words: Vec<&str> = words.filter(|word| word.chars().count() > 2).collect();
    let estimate = zxcvbn::zxcvbn(judged, &[&known[..], &words].concat());
    if estimate.score() >= LEAST_SCORE {
        return None;
    }
    let contains = |words: &[&str]| {
        estimate.sequence().iter().any(|part| words.iter().any(|word| is_same(word, &part.token)))
    };
    if contains(&known) {
        return Some(MADE_OF_KNOWN);
    }
    if contains(&words) {
        return Some(MADE_OF_SERVICE);
    }
    Some(reason(estimate.feedback().and_then(zxcvbn::feedback::Feedback::warning)))
}

fn known_words<'w>(email: &'w EmailAddress, name: &'w PersonName) -> Vec<&'w str> {
    let (local, domain) = email.parts();
    let mut known = vec![email.as_str(), local, domain, name.as_str()];
    known.extend(name.as_str().split_whitespace());
    known.extend(local.split(['.', '-', '_', '+']));
    known.extend(domain.split('.'));
    known
}

/// The longest beginning of a text that zxcvbn can estimate in reasonable time.
fn judged_part(text: &str) -> &str {
    let beginnings = beginnings(text).take(MOST_CHARACTERS);
    beginnings.take_while(|beginning| readings(beginning) <= MOST_READINGS).last().unwrap_or_default()
}

/// Roughly the number of ways in which the substitutes in a text can be read.
fn readings(text: &str) -> usize {
    let choices = SUBSTITUTES.map(|of_letter| of_letter.chars().filter(|&c| text.contains(c)).count().max(1));
    choices.iter().product()
}

/// The longest beginning of a word with which the text ends.
fn beginning_at_end<'w>(word: &'w str, text: &str) -> Option<&'w str> {
    let text = text.to_lowercase();
    beginnings(word).filter(|beginning| text.ends_with(&beginning.to_lowercase())).last()
}

/// The first character of a text, the first two, and so on up to the whole text.
fn beginnings(text: &str) -> impl Iterator<Item = &str> {
    text.char_indices().map(|(at, character)| &text[..at + character.len_utf8()])
}

fn is_same(word: &str, token: &str) -> bool {
    word.to_lowercase() == token.to_lowercase()
}

fn reason(warning: Option<Warning>) -> &'static str {
    match warning {
        Some(
            Warning::ThisIsATop10Password | Warning::ThisIsATop100Password | Warning::ThisIsACommonPassword,
        ) => "must not be one of the most common passwords",
        Some(Warning::ThisIsSimilarToACommonlyUsedPassword) => "must not be similar to a common password",
        Some(Warning::StraightRowsOfKeysAreEasyToGuess | Warning::ShortKeyboardPatternsAreEasyToGuess) => {
            "must not be a pattern on the keyboard; add some uncommon words"
        }
        Some(
            Warning::RepeatsLikeAaaAreEasyToGuess | Warning::RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess,
        ) => "must not repeat the same characters; add some uncommon words",
        Some(Warning::SequencesLikeAbcAreEasyToGuess) => {
            "must not be a sequence as in abcd or 6543; add some uncommon words"
        }
        Some(Warning::RecentYearsAreEasyToGuess | Warning::DatesAreOftenEasyToGuess) => {
            "must not be a date or a year; add some uncommon words"
        }
        Some(
            Warning::NamesAndSurnamesByThemselvesAreEasyToGuess
            | Warning::CommonNamesAndSurnamesAreEasyToGuess,
        ) => "must not be made of common names; add some uncommon words",
        Some(Warning::AWordByItselfIsEasyToGuess) | None => {
            "must be harder to guess; add some uncommon words"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Option<&str> = Some(MADE_OF_KNOWN);
    const REPEATED: Option<&str> = Some("must not repeat the same characters; add some uncommon words");

    const SERVICE: &str = "https://api.harker-clinic.example";

    fn weakness_of(password: &str) -> Option<&'static str> {
        let email = "wilhelmina.murray@carfax-abbey.example".parse().unwrap();
        weakness(&password.parse().unwrap(), &email, &"Wilhelmina Murray".parse().unwrap(), SERVICE)
    }

    #[test]
    fn passwords_that_are_hard_to_guess_are_accepted() {
        for good in [
            "correct horse battery staple",
            "vj2#Kq!x0Zp",
            "moss lantern crooked tuba",
            "пчела жираф 19 окно",
        ] {
            assert_eq!(weakness_of(good), None, "{good}");
        }
    }

    #[test]
    fn the_reason_describes_the_weakness() {
        assert_eq!(weakness_of("password"), Some("must not be one of the most common passwords"));
        assert_eq!(weakness_of("P@ssw0rd"), Some("must not be similar to a common password"));
        assert_eq!(weakness_of("aaaaaaaaaaaa"), REPEATED);
        assert_eq!(
            weakness_of("abcdefghij"),
            Some("must not be a sequence as in abcd or 6543; add some uncommon words")
        );
        assert_eq!(weakness_of("1987-04-12"), Some("must not be a date or a year; add some uncommon words"));
    }

    #[test]
    fn the_owners_name_and_address_count_as_known() {
        assert_eq!(weakness_of("wilhelmina1"), KNOWN);
        assert_eq!(weakness_of("carfax-abbey"), KNOWN);
        assert_eq!(weakness_of("wilhelmina.murray@carfax-abbey.example"), KNOWN);
    }

    #[test]
    fn the_name_of_the_service_counts_as_known() {
        for password in ["switchyard2026", "Switchyard!", "harker1!", "clinic-1987"] {
            assert_eq!(weakness_of(password), Some(MADE_OF_SERVICE), "{password}");
        }
        assert_eq!(weakness_of("the switchyard has a crooked tuba"), None);
    }

    #[test]
    fn a_pattern_is_weak_however_long_it_is() {
        assert_eq!(weakness_of(&"qw".repeat(17)), REPEATED);
        assert_eq!(weakness_of(&"12".repeat(15)), REPEATED);
        for characters in ["qw", "Qw", "12", "a", "4@", "٣", "aB"] {
            let longest = characters.repeat(128 / characters.chars().count());
            assert_eq!(weakness_of(&longest), REPEATED, "{characters}");
        }
    }

    #[test]
    fn a_name_of_any_length_counts_as_known() {
        let name = "Wolfeschlegelsteinhausenbergerdorffwelchevoralternwarengewissenhaftsch";
        let mixed: String = (name.chars().zip([false, true].into_iter().cycle()))
            .map(|(c, upper)| if upper { c.to_ascii_uppercase() } else { c })
            .collect();
        let email = "mina@carfax.example".parse().unwrap();
        for password in [name, &mixed, &format!("{mixed}1"), &format!("1{name}")] {
            let found = weakness(&password.parse().unwrap(), &email, &name.parse().unwrap(), SERVICE);
            assert_eq!(found, KNOWN, "{password}");
        }
    }

    #[test]
    fn the_owners_name_and_address_count_as_known_even_if_they_are_cut_off() {
        assert_eq!(weakness_of("Wilhelmina MurrayWilhelmina Murray"), KNOWN);
        assert_eq!(weakness_of("xwilhelmina.murray@carfax-abbey.example"), KNOWN);
        assert_eq!(weakness_of("murraywilhelmina.murray@carfax-abbey.example"), KNOWN);
    }

    #[test]
    fn long_passphrases_are_accepted() {
        for good in [
            "correct horse battery staple moss lantern crooked tuba",
            "the wilhelmina of carfax-abbey rides a crooked tuba",
            "vj2#Kq!x0Zp9$mL(r}w<4T|b1e{7s+5[%A2^uY6@G8&hN_3~cXoD",
            "1234567890 correct horse battery staple",
            "пчела жираф 19 окно лампа кирпич озеро",
        ] {
            assert_eq!(weakness_of(good), None, "{good}");
        }
    }

    #[test]
    fn the_longest_possible_beginning_is_estimated() {
        assert_eq!(judged_part(&"12".repeat(64)), "12".repeat(14));
        assert_eq!(judged_part(&"密".repeat(128)), "密".repeat(28));
        assert_eq!(judged_part("vj2#Kq!x0Zp"), "vj2#Kq!x0Zp");
        assert_eq!(judged_part(&"4@8({[<3691!|70$5+%2".repeat(5)), "4@8({[<3691!");
        assert_eq!(judged_part("1234567890 !@#$%^&*()"), "1234567890 !@#$%^&*()");
        assert_eq!(judged_part(""), "");
    }
}
