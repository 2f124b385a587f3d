use axum::http::StatusCode;

/// Declares [`ErrorCode`]: for each code its status, its name on the wire and the sentence that is said when nothing
/// better is known.
macro_rules! error_codes {
    ($($(#[$doc:meta])* $variant:ident = $status:ident $name:literal $message:literal;)+) => {
        /// What went wrong, as a client tells one case from another.
        ///
        /// The single list of all codes of the API. A code is never renamed; a new case gets a new line here.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode {
            $(#[doc = concat!("`", $name, "`: ", $message)] $(#[$doc])* $variant,)+
        }

        impl ErrorCode {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The status of the answer.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)+ }
            }

            /// The code as it stands in the answer.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The message of the answer, unless the error brings a better one.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$variant => $message,)+ }
            }
        }
    };
}

error_codes! {
    ValidationError = BAD_REQUEST "VALIDATION_ERROR" "The request has faults; `details` names each of them.";
    IdempotencyKeyRequired = BAD_REQUEST "IDEMPOTENCY_KEY_REQUIRED"
        "Send an `Idempotency-Key` header with a value of your own, such as a UUID, to make this request.";
    WeakPassword = BAD_REQUEST "WEAK_PASSWORD" "The password is too easy to guess.";
    TokenInvalid = BAD_REQUEST "TOKEN_INVALID" "The token is not valid, was used before, or was replaced by a newer one.";

    Unauthenticated = UNAUTHORIZED "UNAUTHENTICATED" "Sign in, and send the access token as `Authorization: Bearer …`.";
    AccessTokenExpired = UNAUTHORIZED "TOKEN_EXPIRED" "The access token has expired; use the refresh token to get a new one.";
    InvalidCredentials = UNAUTHORIZED "INVALID_CREDENTIALS" "The e-mail address or the password is wrong.";
    InvalidCode = UNAUTHORIZED "INVALID_CODE" "The code is wrong, or was used before.";
    RefreshTokenInvalid = UNAUTHORIZED "REFRESH_TOKEN_INVALID" "The refresh token is not valid; sign in again.";
    RefreshTokenReused = UNAUTHORIZED "REFRESH_TOKEN_REUSED"
        "The refresh token was used before, so its session was ended; sign in again.";

    Forbidden = FORBIDDEN "FORBIDDEN" "You are not allowed to do this.";
    StepUpRequired = FORBIDDEN "STEP_UP_REQUIRED" "Confirm that it is you: authenticate again, then repeat the request.";
    AccountDisabled = FORBIDDEN "ACCOUNT_DISABLED" "The account is disabled.";

    NotFound = NOT_FOUND "NOT_FOUND" "There is nothing at this address.";
    MethodNotAllowed = METHOD_NOT_ALLOWED "METHOD_NOT_ALLOWED" "This address does not support the method; `Allow` lists those it does.";

    Conflict = CONFLICT "CONFLICT" "The request does not fit what is stored; read it again, then repeat the request.";
    EmailTaken = CONFLICT "EMAIL_TAKEN" "Another account has this e-mail address.";
    RoleTaken = CONFLICT "ROLE_TAKEN" "Another role has this name.";
    RoleInUse = CONFLICT "ROLE_IN_USE" "Users have this role; take it from them first.";
    RoleProtected = CONFLICT "ROLE_PROTECTED" "This role cannot be changed or deleted.";
    LastAdmin = CONFLICT "LAST_ADMIN" "This would leave nobody with the admin role.";
    IdempotencyInProgress = CONFLICT "IDEMPOTENCY_IN_PROGRESS"
        "The first request with this `Idempotency-Key` is still running; repeat the request a little later.";

    TokenExpired = GONE "TOKEN_EXPIRED" "The token has expired; request a new one.";
    PreconditionFailed = PRECONDITION_FAILED "PRECONDITION_FAILED"
        "The resource was changed since you read it: `If-Match` does not name its present `ETag`.";
    PayloadTooLarge = PAYLOAD_TOO_LARGE "PAYLOAD_TOO_LARGE" "The body is larger than 1 MiB.";
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE "UNSUPPORTED_MEDIA_TYPE" "Send the body as `Content-Type: application/json`.";
    IdempotencyKeyReused = UNPROCESSABLE_ENTITY "IDEMPOTENCY_KEY_REUSED"
        "This `Idempotency-Key` was used for another request; take a new one.";
    AccountLocked = LOCKED "ACCOUNT_LOCKED" "The account is locked after too many failures; try again later.";
    PreconditionRequired = PRECONDITION_REQUIRED "PRECONDITION_REQUIRED"
        "Send the resource's `ETag` as `If-Match`, so that nobody's change is lost.";
    RateLimited = TOO_MANY_REQUESTS "RATE_LIMITED" "Too many requests; `Retry-After` says when to go on.";

    InternalError = INTERNAL_SERVER_ERROR "INTERNAL_ERROR"
        "Something went wrong on our side; tell us the request id if it happens again.";
    Unavailable = SERVICE_UNAVAILABLE "UNAVAILABLE" "The service cannot answer just now; try again a little later.";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_code_and_its_status_name_one_case() {
        let distinct: HashSet<_> = ErrorCode::ALL.iter().map(|code| (code.status(), code.as_str())).collect();
        assert_eq!(distinct.len(), ErrorCode::ALL.len());
    }

    #[test]
    fn every_code_is_an_error_in_upper_case_with_a_sentence() {
        for code in ErrorCode::ALL {
            assert!(code.status().is_client_error() || code.status().is_server_error(), "{code:?}");
            assert!(code.as_str().bytes().all(|b| b.is_ascii_uppercase() || b == b'_'), "{code:?}");
            assert!(code.message().ends_with('.'), "{code:?}");
        }
    }
}
