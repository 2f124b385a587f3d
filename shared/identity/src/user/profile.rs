use deserr::Deserr;
use serde::{Deserialize, Serialize};
use switchyard_ambient::Timestamp;
use switchyard_database::{Collection, Entity, Field};
use switchyard_kernel::{UserId, rfc3339};
use utoipa::ToSchema;

use crate::{Bio, CountryCode, DateOfBirth, LocaleTag, PhoneNumber, PostalLine, TimeZoneName, WebAddress};

/// A stored profile. A user has none until it is first set.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ProfileRecord {
    pub(crate) user_id: UserId,
    #[serde(flatten)]
    pub(crate) fields: ProfileFields,
    pub(crate) updated_at: Timestamp,
}

impl Entity for ProfileRecord {
    const COLLECTION: &'static Collection = &Collection::new("profiles").fields(&[
        Field::string("phone"),
        Field::string("date_of_birth"),
        Field::string("locale"),
        Field::string("timezone"),
        Field::time("updated_at"),
    ]);

    fn id(&self) -> &str {
        self.user_id.as_str()
    }
}

/// The fields of a profile that a PUT sets and a PATCH changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(deny_unknown_fields)]
pub struct ProfileFields {
    /// The telephone number.
    #[deserr(default)]
    pub phone: Option<PhoneNumber>,
    /// The date of birth.
    #[deserr(default)]
    pub date_of_birth: Option<DateOfBirth>,
    /// The address of a picture.
    #[deserr(default)]
    pub avatar_url: Option<WebAddress>,
    /// A text in which the user introduces themselves.
    #[deserr(default)]
    pub bio: Option<Bio>,
    /// The language.
    #[deserr(default)]
    pub locale: Option<LocaleTag>,
    /// The time zone.
    #[deserr(default)]
    pub timezone: Option<TimeZoneName>,
    /// The postal address.
    #[deserr(default)]
    pub address: Option<PostalAddress>,
}

/// A postal address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Deserr, ToSchema)]
#[deserr(deny_unknown_fields)]
#[schema(examples(json!({
    "line1": "12 St James's Square", "line2": null, "city": "London", "region": null, "postal_code": "SW1Y 4JH",
    "country": "GB",
})))]
pub struct PostalAddress {
    /// Street and number.
    pub line1: PostalLine,
    /// Further details, such as an apartment or a building.
    #[deserr(default)]
    pub line2: Option<PostalLine>,
    /// City.
    pub city: PostalLine,
    /// State, province or region.
    #[deserr(default)]
    pub region: Option<PostalLine>,
    /// Postal code.
    #[deserr(default)]
    pub postal_code: Option<PostalLine>,
    /// Country.
    pub country: CountryCode,
}

/// A user's profile.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Profile {
    /// The user's id.
    pub user_id: UserId,
    /// The telephone number.
    #[schema(required)]
    pub phone: Option<PhoneNumber>,
    /// The date of birth.
    #[schema(required)]
    pub date_of_birth: Option<DateOfBirth>,
    /// The address of a picture.
    #[schema(required)]
    pub avatar_url: Option<WebAddress>,
    /// A text in which the user introduces themselves.
    #[schema(required)]
    pub bio: Option<Bio>,
    /// The language.
    #[schema(required)]
    pub locale: Option<LocaleTag>,
    /// The time zone.
    #[schema(required)]
    pub timezone: Option<TimeZoneName>,
    /// The postal address.
    #[schema(required)]
    pub address: Option<PostalAddress>,
    /// When the profile was last changed. If it never was, when the account was created.
    #[serde(serialize_with = "rfc3339::serialize")]
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl From<ProfileRecord> for Profile {
    fn from(record: ProfileRecord) -> Self {
        let ProfileFields { phone, date_of_birth, avatar_url, bio, locale, timezone, address } =
            record.fields;
        Self {
            user_id: record.user_id,
            phone,
            date_of_birth,
            avatar_url,
            bio,
            locale,
            timezone,
            address,
            updated_at: record.updated_at,
        }
    }
}
