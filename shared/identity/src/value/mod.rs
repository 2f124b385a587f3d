//! The values of accounts, each validated when it is read.

mod email;
mod locale_tag;
mod password;
mod person_name;
mod profile;
mod session_text;

pub use email::{EmailAddress, InvalidEmail};
pub use locale_tag::{InvalidLocaleTag, LocaleTag};
pub(crate) use password::PreparedPassword;
pub use password::{InvalidPassword, Password};
pub use person_name::PersonName;
pub use profile::{Bio, DateOfBirth, InvalidProfileValue, PhoneNumber, PostalLine, TimeZoneName, WebAddress};
pub use session_text::DeviceName;
