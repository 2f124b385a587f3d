//! Identity at the door of the HTTP API. Identity knows no HTTP and the API's conventions know no users; here they meet.
//!
//! - [`AccessTokens`] tells the API whose an access token is;
//! - [`SignedIn`] and [`Anyone`] tell a handler who asks, as the [`Context`](switchyard_identity::Context) that every
//!   service of identity takes;
//! - [`IfUnchanged`] is the request's `If-Match` for those services;
//! - [`Failure`] is what handlers return: it is made of every error of identity, each mapped to its code in one place;
//! - [`Program`] is all of a `main` but its router.
//!
//! A handler is then a sentence:
//!
//! ```ignore
//! async fn disable_user(
//!     SignedIn(context): SignedIn,
//!     State(identity): State<Identity>,
//!     Path(id): Path<UserId>,
//! ) -> Answer<Tagged<EntityTag, User>> {
//!     let user = identity.users().disable(&context, id).await?;
//!     Ok(Tagged(user.tag, user.value))
//! }
//! ```

mod context;
mod failure;
mod if_unchanged;
mod program;
mod tokens;

pub use context::{Anyone, SignedIn};
pub use failure::{Answer, Failure, password_named};
pub use if_unchanged::IfUnchanged;
pub use program::{Program, StartError};
pub use tokens::AccessTokens;
