use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A country: two capital letters, one of the 249 codes of ISO 3166-1 alpha-2.
///
/// Codes that the standard reserves or leaves to its users are refused, such as `UK`, `EU` and `ZZ`. Stored codes stay
/// readable when a country is dissolved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, pattern = "^[A-Z]{2}$", example = "GB")]
pub struct CountryCode(String);

/// The text is not the code of a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a country code of two letters as in DE (ISO 3166-1)")]
pub struct InvalidCountryCode;

/// The officially assigned codes, generated from the crate `rust_iso3166` 0.2.0; the `iso3166.tab` of the time zone database
/// 2025b has the same. The crate itself has thousands of names and subdivisions, which take seconds to compile. The last
/// change of the list was in 2011.
const CODES: &str = "\
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ \
    CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR \
    GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP \
    KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT \
    MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW \
    SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ \
    UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW";

impl TryFrom<String> for CountryCode {
    type Error = InvalidCountryCode;

    fn try_from(text: String) -> Result<Self, InvalidCountryCode> {
        let is_assigned = CODES.split(' ').any(|code| code == text);
        if is_assigned { Ok(Self(text)) } else { Err(InvalidCountryCode) }
    }
}

crate::text_value!(CountryCode, InvalidCountryCode);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_complete_and_sorted() {
        let codes: Vec<&str> = CODES.split(' ').collect();
        assert_eq!(codes.len(), 249);
        assert!(codes.is_sorted_by(|a, b| a < b));
        assert!(codes.iter().all(|code| code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase())));
    }

    #[test]
    fn only_assigned_codes_are_countries() {
        assert_eq!("GB".parse::<CountryCode>().unwrap().as_str(), "GB");
        // Another form; for users of the standard; reserved; withdrawn.
        for text in
            ["", " ", "gb", "Gb", "GBR", "G1", "GB ", "GB DE", "ZZ", "XK", "AA", "UK", "EU", "SU", "AN", "YU"]
        {
            assert_eq!(text.parse::<CountryCode>(), Err(InvalidCountryCode), "{text}");
        }
        let message = "must be a country code of two letters as in DE (ISO 3166-1)";
        assert_eq!(InvalidCountryCode.to_string(), message);
    }
}
