//! Finds variables that are probably misspelt settings.

/// Returns the one of `names` that `text` is probably meant to be. `None` if it is one of them, or not similar to any.
///
/// Short names have many neighbours by chance: `POST` is not a misspelt `PORT`.
pub(crate) fn meant<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    if names.contains(&text) {
        return None;
    }
    let tolerated = |name: &str| match name.len() {
        0..=4 => 0,
        5..=8 => 1,
        _ => 2,
    };
    let near = names.iter().map(|name| (distance(text, name), *name));
    near.filter(|(distance, name)| *distance <= tolerated(name)).min().map(|(_, name)| name)
}

/// Whether one text is the other with at most one mistake, as `htps` is `https`.
pub fn is_nearly(one: &str, other: &str) -> bool {
    distance(one, other) <= 1
}

/// Returns how many characters must be inserted, deleted, replaced or swapped with their neighbour to make one text the other
/// (the optimal string alignment distance).
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    if one.len().abs_diff(other.len()) > 2 {
        return usize::MAX; // more than anybody asks for
    }
    // rows[i][j] is the distance of the first i characters of `one` to the first j of `other`.
    let mut rows = vec![(0..=other.len()).collect::<Vec<_>>()];
    for (i, &a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &b) in other.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(a != b);
            let mut least = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && a == other[j - 1] && one[i - 1] == b {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_counts_single_mistakes() {
        for (one, other, expected) in [
            ("", "", 0),
            ("PORT", "PORT", 0),
            ("DATABASSE_URL", "DATABASE_URL", 1),
            ("DATABSE_URL", "DATABASE_URL", 1),
            ("DATABSAE_URL", "DATABASE_URL", 1),
            ("RATE_LIMITS", "RATE_LIMIT", 1),
            ("LOG_FORMAT", "LOGFORMAT", 1),
            ("ab", "ba", 1),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }

    #[test]
    fn only_similar_long_names_are_meant() {
        let names = ["DATABASE_URL", "PORT", "HOST", "RATE_LIMIT", "RATE_LIMIT_USER"];
        assert_eq!(meant("DATABASSE_URL", &names), Some("DATABASE_URL"));
        assert_eq!(meant("DATABASE_URI", &names), Some("DATABASE_URL"));
        assert_eq!(meant("RATE_LIMITS", &names), Some("RATE_LIMIT"));
        for other in ["DATABASE_URL", "POST", "PORTS", "HOSTNAME", "PATH", "DATABASE_PASSWORD", "RATE"] {
            assert_eq!(meant(other, &names), None, "{other}");
        }
    }
}
