use zxcvbn::Score;
use zxcvbn::feedback::Warning;

use crate::{EmailAddress, Password, PersonName};

/// The least estimate that is accepted, of 0 to 4: "safely unguessable: moderate protection from offline slow-hash
/// scenario", 10^8 guesses or more (Wheeler, "zxcvbn: Low-Budget Password Strength Estimation", USENIX Security 2016).
const LEAST_SCORE: Score = Score::Three;

/// What makes a password easy to guess for somebody who knows its owner's address and name, as a sentence's end:
/// `must not be one of the most common passwords`. `None` for a good one.
///
/// Takes some milliseconds for a long password: for a thread that may be kept busy.
pub(crate) fn weakness(password: &Password, email: &EmailAddress, name: &PersonName) -> Option<&'static str> {
    let (local, domain) = email.parts();
    let mut known = vec![email.as_str(), local, domain, name.as_str()];
    known.extend(name.as_str().split_whitespace());
    known.extend(local.split(['.', '-', '_', '+']));
    known.extend(domain.split('.'));
    known.retain(|word| word.chars().count() > 2); // `a@b.c` would make every password look made of known words
    let estimate = zxcvbn::zxcvbn(password.expose(), &known);
    if estimate.score() >= LEAST_SCORE {
        return None;
    }
    let contains_known =
        estimate.sequence().iter().any(|part| known.iter().any(|word| is_same(word, &part.token)));
    if contains_known {
        return Some("must not be made of your own name or e-mail address; add some uncommon words");
    }
    Some(reason(estimate.feedback().and_then(zxcvbn::feedback::Feedback::warning)))
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

    fn weakness_of(password: &str) -> Option<&'static str> {
        let email = "wilhelmina.murray@carfax-abbey.example".parse().unwrap();
        weakness(&password.parse().unwrap(), &email, &"Wilhelmina Murray".parse().unwrap())
    }

    #[test]
    fn passwords_that_are_hard_to_guess_are_taken() {
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
    fn the_reason_tells_what_is_wrong() {
        assert_eq!(weakness_of("password"), Some("must not be one of the most common passwords"));
        assert_eq!(weakness_of("P@ssw0rd"), Some("must not be similar to a common password"));
        assert_eq!(
            weakness_of("aaaaaaaaaaaa"),
            Some("must not repeat the same characters; add some uncommon words")
        );
        assert_eq!(
            weakness_of("abcdefghij"),
            Some("must not be a sequence as in abcd or 6543; add some uncommon words")
        );
        assert_eq!(weakness_of("1987-04-12"), Some("must not be a date or a year; add some uncommon words"));
    }

    #[test]
    fn the_owners_name_and_address_count_as_known() {
        let reason = Some("must not be made of your own name or e-mail address; add some uncommon words");
        assert_eq!(weakness_of("wilhelmina1"), reason);
        assert_eq!(weakness_of("carfax-abbey"), reason);
        assert_eq!(weakness_of("wilhelmina.murray@carfax-abbey.example"), reason);
    }
}
