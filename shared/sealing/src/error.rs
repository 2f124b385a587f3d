use switchyard_database::Error as DatabaseError;

use crate::SealRing;

/// Why a text was not sealed, or not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The program does not have the secret: what it does shows that it needs it.
    #[error("{} is not among the program's secrets", SealRing::SETTING)]
    NoKeys,
    /// The database has recorded none of the keys yet. What is sealed with a key that is not recorded could be lost with the key,
    /// unnoticed.
    #[error("the database does not know the {} yet: `switchyard migrate` records it", SealRing::SETTING)]
    NotRecorded,
    /// The keys lack the one that has sealed the text.
    #[error("the text was sealed with the key with the id {key_id}, which {} lacks", SealRing::SETTING)]
    UnknownKey {
        /// The id of the missing key. An id reveals nothing about its key.
        key_id: String,
    },
    /// The text is not what was sealed at this place.
    #[error("the sealed text was altered, or belongs to another place")]
    Altered,
    /// The value has no JSON form, or what was sealed is not the JSON form of such a value. The value is not repeated.
    #[error("the sealed value does not have the expected form")]
    Form,
}

/// For transactions, whose closures seal and open.
impl From<SealError> for DatabaseError {
    fn from(error: SealError) -> Self {
        let text = error.to_string();
        match error {
            SealError::NoKeys | SealError::UnknownKey { .. } => Self::Internal(text),
            SealError::NotRecorded => Self::Unavailable(text),
            SealError::Altered | SealError::Form => Self::Corrupt(text),
        }
    }
}
