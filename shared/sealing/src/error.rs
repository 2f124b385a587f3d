/// Why a text was not sealed, or not opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The program does not have the secret: what it does shows that it needs it.
    #[error("{setting} is not among the program's secrets")]
    NoKey {
        /// The name of the secret's setting.
        setting: &'static str,
    },
    /// The secret does not hold the key that sealed the text.
    #[error("the text was sealed with the key with the id {key_id}, which {setting} lacks")]
    UnknownKey {
        /// The name of the secret's setting.
        setting: &'static str,
        /// The id of the missing key. An id reveals nothing about its key.
        key_id: String,
    },
    /// The text is not what was sealed at this place.
    #[error("the sealed text was altered, or sealed at another place")]
    Altered,
}
