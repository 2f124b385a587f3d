use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use switchyard_settings::Secret;

/// The kind and the address of the database: the value of `DATABASE_URL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// `sqlite::memory:`: SQLite in memory. The data is lost when the process ends.
    SqliteMemory,
    /// `sqlite:data/switchyard.db`: SQLite in this file.
    Sqlite(PathBuf),
    /// `postgres://user:password@host:port/database`: PostgreSQL. The URL may contain a password.
    Postgres(Secret),
    /// `dynamodb://prefix`: DynamoDB tables with this prefix. Region, credentials and endpoint come from the
    /// environment.
    DynamoDb(String),
}

impl DatabaseUrl {
    /// What a URL may be, for `Environment::setting`.
    pub const FORM: &'static str =
        "sqlite:data/switchyard.db, postgres://user:password@host/database or dynamodb://table-prefix";

    /// The text of a URL with `…` for what may be a password. Nothing is left of a text that is not a URL.
    pub fn masked(text: &str) -> String {
        const SECRET: &str = "…";
        let url = match text.trim().parse() {
            Ok(Self::Postgres(url)) => url,
            Ok(_) => return text.to_owned(),
            Err(_) => return SECRET.to_owned(),
        };
        // A parameter may be a password too.
        let (address, parameters) = match url.expose().split_once('?') {
            Some((address, _)) => (address, "?…"),
            None => (url.expose(), ""),
        };
        match address.rsplit_once('@') {
            Some((user, host)) => {
                let name = user.split_once("://").and_then(|(_, user)| user.split_once(':'));
                let user =
                    name.map_or_else(|| user.to_owned(), |(name, _)| format!("postgres://{name}:{SECRET}"));
                format!("{user}@{host}{parameters}")
            }
            None => format!("{address}{parameters}"),
        }
    }

    /// The backend's name.
    pub fn backend(&self) -> &'static str {
        match self {
            Self::SqliteMemory | Self::Sqlite(_) => "SQLite",
            Self::Postgres(_) => "PostgreSQL",
            Self::DynamoDb(_) => "DynamoDB",
        }
    }
}

/// The text is not a database URL. The message never repeats the text, which may contain a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseDatabaseUrlError {
    /// There is no scheme.
    NoScheme,
    /// The scheme is unknown.
    UnknownScheme(String),
    /// `sqlite:` names no file.
    NoFile,
    /// The path after `sqlite:` is not meant as it is written.
    BadPath(&'static str),
    /// `postgres://` names no host.
    NoHost,
    /// `dynamodb://` is not followed by a valid prefix for table names.
    BadPrefix,
}

impl fmt::Display for ParseDatabaseUrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FORMS: &str = DatabaseUrl::FORM;
        match self {
            Self::NoScheme => write!(f, "must name a database, as in {FORMS}"),
            Self::UnknownScheme(scheme) => write!(f, "has the unknown scheme `{scheme}`; use {FORMS}"),
            Self::NoFile => f.write_str("names no file; use sqlite:data/switchyard.db or sqlite::memory:"),
            Self::BadPath(why) => {
                write!(f, "{why}; use sqlite: and the path as it is, as in sqlite:data/switchyard.db")
            }
            Self::NoHost => f.write_str("names no host; use postgres://user:password@host:5432/database"),
            Self::BadPrefix => f.write_str(
                "must name a prefix for the tables, as in dynamodb://switchyard: \
                 1 to 64 letters, digits, dots, hyphens and underscores",
            ),
        }
    }
}

impl std::error::Error for ParseDatabaseUrlError {}

impl FromStr for DatabaseUrl {
    type Err = ParseDatabaseUrlError;

    fn from_str(url: &str) -> Result<Self, ParseDatabaseUrlError> {
        let (scheme, rest) = url.split_once(':').ok_or(ParseDatabaseUrlError::NoScheme)?;
        // Schemes do not depend on case (RFC 3986 §3.1).
        match &*scheme.to_ascii_lowercase() {
            "sqlite" => match rest.strip_prefix("//").unwrap_or(rest) {
                ":memory:" => Ok(Self::SqliteMemory),
                path => match fault_of_path(path) {
                    None => Ok(Self::Sqlite(path.into())),
                    Some(fault) => Err(fault),
                },
            },
            "postgres" | "postgresql" => match rest.strip_prefix("//") {
                None | Some("") => Err(ParseDatabaseUrlError::NoHost),
                Some(address) => Ok(Self::Postgres(Secret::new(format!("postgres://{address}")))),
            },
            "dynamodb" => {
                let prefix = rest.strip_prefix("//").unwrap_or_default().trim_end_matches('/');
                let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
                if (1..=64).contains(&prefix.len()) && prefix.bytes().all(fits) {
                    Ok(Self::DynamoDb(prefix.to_owned()))
                } else {
                    Err(ParseDatabaseUrlError::BadPrefix)
                }
            }
            // The text before the first colon may be a password that was pasted alone, so it is repeated only
            // if it looks like a scheme.
            scheme
                if scheme.len() <= 20
                    && scheme.bytes().all(|b| b.is_ascii_lowercase() || b == b'+')
                    && rest.starts_with("//") =>
            {
                Err(ParseDatabaseUrlError::UnknownScheme(scheme.to_owned()))
            }
            _ => Err(ParseDatabaseUrlError::NoScheme),
        }
    }
}

/// Returns why a path is not the name of a file that was meant: other programs read parameters and percent-encoding in such
/// URLs, which would here become part of the file's name.
fn fault_of_path(path: &str) -> Option<ParseDatabaseUrlError> {
    let bytes = path.as_bytes();
    let is_encoded = bytes.windows(3).any(
        |window| matches!(window, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()),
    );
    if path.is_empty() || path.ends_with('/') {
        Some(ParseDatabaseUrlError::NoFile)
    } else if path.contains(['?', '#']) {
        Some(ParseDatabaseUrlError::BadPath("takes no parameters"))
    } else if is_encoded {
        Some(ParseDatabaseUrlError::BadPath("is not percent-decoded"))
    } else if path.contains(char::is_control) {
        Some(ParseDatabaseUrlError::BadPath("contains control characters"))
    } else if path.starts_with(':') {
        Some(ParseDatabaseUrlError::BadPath("begins with a colon and is not :memory:"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(url: &str) -> String {
        url.parse::<DatabaseUrl>().map_err(|fault| fault.to_string()).unwrap_err()
    }

    #[test]
    fn each_backend_has_its_form() {
        assert_eq!("sqlite::memory:".parse(), Ok(DatabaseUrl::SqliteMemory));
        assert_eq!("sqlite:data/a.db".parse(), Ok(DatabaseUrl::Sqlite("data/a.db".into())));
        assert_eq!("sqlite:///var/a.db".parse(), Ok(DatabaseUrl::Sqlite("/var/a.db".into())));
        assert_eq!("sqlite:50% off.db".parse(), Ok(DatabaseUrl::Sqlite("50% off.db".into())));
        let url = "postgres://u:p@h:5432/d?sslmode=require";
        for scheme in ["postgres", "postgresql", "Postgres", "POSTGRESQL"] {
            let written = url.replace("postgres", scheme);
            assert_eq!(written.parse(), Ok(DatabaseUrl::Postgres(Secret::new(url))), "{scheme}");
        }
        assert_eq!("dynamodb://shop-1".parse(), Ok(DatabaseUrl::DynamoDb("shop-1".to_owned())));
    }

    #[test]
    fn an_unknown_scheme_is_reported_with_the_known_ones() {
        assert!(
            fault("mongodb+srv://root@localhost/shop")
                .starts_with("has the unknown scheme `mongodb+srv`; use ")
        );
        assert_eq!(
            fault("mysql://root@localhost/shop"),
            "has the unknown scheme `mysql`; use sqlite:data/switchyard.db, \
             postgres://user:password@host/database or dynamodb://table-prefix"
        );
    }

    #[test]
    fn a_malformed_url_is_reported_in_one_sentence() {
        let forms = "must name a database, as in sqlite:data/switchyard.db, \
                     postgres://user:password@host/database or dynamodb://table-prefix";
        assert_eq!(fault("data/switchyard.db"), forms);
        assert_eq!(fault("user:password@host/db"), forms);
        assert_eq!(fault("sqlite:"), "names no file; use sqlite:data/switchyard.db or sqlite::memory:");
        assert_eq!(fault("sqlite:data/"), "names no file; use sqlite:data/switchyard.db or sqlite::memory:");
        let use_path = "use sqlite: and the path as it is, as in sqlite:data/switchyard.db";
        for (url, why) in [
            ("sqlite://./x.db?mode=rwc", "takes no parameters"),
            ("sqlite:x.db#1", "takes no parameters"),
            ("sqlite:my%20shop.db", "is not percent-decoded"),
            ("sqlite:x\n.db", "contains control characters"),
            ("sqlite::memroy:", "begins with a colon and is not :memory:"),
        ] {
            assert_eq!(fault(url), format!("{why}; {use_path}"), "{url}");
        }
        assert_eq!(fault("postgres:"), "names no host; use postgres://user:password@host:5432/database");
        let prefix = "must name a prefix for the tables, as in dynamodb://switchyard: \
                      1 to 64 letters, digits, dots, hyphens and underscores";
        assert_eq!(fault("dynamodb://"), prefix);
        assert_eq!(fault("dynamodb://a b"), prefix);
        assert_eq!(fault("dynamodb:a"), prefix);
    }

    #[test]
    fn a_url_is_listed_without_what_may_be_a_password() {
        for (url, expected) in [
            ("sqlite:data/a.db", "sqlite:data/a.db"),
            ("dynamodb://shop", "dynamodb://shop"),
            ("postgres://u:hunter2@h:5432/d", "postgres://u:…@h:5432/d"),
            ("Postgres://u:p@hunter2@h/d?password=hunter2", "postgres://u:…@h/d?…"),
            ("postgres://h:5432/d", "postgres://h:5432/d"),
            ("postgres://u@h/d", "postgres://u@h/d"),
            ("hunter2", "…"),
        ] {
            assert_eq!(DatabaseUrl::masked(url), expected, "{url}");
        }
    }

    #[test]
    fn a_password_is_not_shown_when_the_url_is_printed() {
        let url: DatabaseUrl = "postgres://u:hunter2@h/d".parse().unwrap();
        assert_eq!(format!("{url:?}"), "Postgres(Secret(…))");
    }
}
