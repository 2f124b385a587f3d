use crate::actions::{self, user_event};
use crate::permissions;
use std::collections::HashSet;
use switchyard_kernel::{Context, RoleName, UserId, rfc3339};

use serde_json::Value;
use switchyard_ambient::Timestamp;
use switchyard_database::{Consistency, Entity as _, limits, terms};

use super::change::is_email_taken;
use super::roles::{default_roles, roles_text};
use super::{RoleList, UserRecord, Users};
use crate::account::Credential;
use crate::role::{ADMIN, Membership, RoleRecord, is_built_in};
use crate::{EmailAddress, PasswordHash, PersonName, UserError};

/// An account to import from another system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewImportedUser {
    /// The e-mail address.
    pub email: EmailAddress,
    /// The name.
    pub name: PersonName,
    /// The roles; `customer` if `None`. The role `admin` is refused: admins must be created one by one.
    pub roles: Option<RoleList>,
    /// The hash of the password, if it can be verified. It is upgraded at the first sign-in.
    pub password_hash: Option<PasswordHash>,
    /// Whether the user has proved that they receive mail at the address.
    pub email_verified: bool,
    /// When the account was created, if that is known.
    pub created_at: Option<Timestamp>,
}

/// The outcome of importing one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It was created with this id.
    Created(UserId),
    /// Its address is taken: by an earlier run, by an earlier line, or by a user who registered.
    AlreadyThere,
}

/// Why one account was not imported.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ImportFault {
    /// Admins are not imported.
    #[error("admins are not imported; create them one by one")]
    Admin,
    /// There is no such role, or it has a permission that the actor lacks.
    #[error("there is no role `{0}` that you may give")]
    Role(RoleName),
    /// The account is said to have been created later than now.
    #[error("created_at is in the future")]
    CreatedInTheFuture,
    /// The commit of this account and others failed. Import it again to find out whether it was stored.
    #[error(transparent)]
    User(#[from] UserError),
}

/// The number of items that every commit needs in addition to those of its users: an audit chain and a part of
/// the counts.
const SHARED_ITEMS: usize = 2;

impl Users<'_> {
    /// Imports accounts, many in one commit. Returns one result for each, in order. Requires `users:write` and
    /// `roles:write`.
    ///
    /// No password is hashed. Existing accounts are not changed, so an interrupted import can simply be started
    /// again. Several imports may run at the same time: the only documents that they share are the sharded
    /// counts and audit chains.
    pub async fn import(
        &self,
        context: &Context,
        users: &[NewImportedUser],
    ) -> Result<Vec<Result<Imported, ImportFault>>, UserError> {
        let context =
            &self.identity.kernel.require_current(context, permissions::USERS_WRITE, "users").await?;
        self.identity.kernel.require(context, permissions::ROLES_WRITE, "users").await?;
        let grantable = self.grantable_roles(context, users).await?;
        let mut results = Vec::with_capacity(users.len());
        let mut rest = users;
        while !rest.is_empty() {
            let batch = self.next_batch(context, rest, &grantable);
            rest = &rest[batch.len()..];
            results.extend(self.import_batch(context, batch).await);
        }
        Ok(results)
    }

    /// The roles of `users` that exist and that the actor may grant.
    async fn grantable_roles(
        &self,
        context: &Context,
        users: &[NewImportedUser],
    ) -> Result<HashSet<RoleName>, UserError> {
        let named = users.iter().filter_map(|user| user.roles.as_ref()).flat_map(RoleList::names);
        let names: Vec<RoleName> = named.collect::<HashSet<_>>().into_iter().cloned().collect();
        let mut grantable: HashSet<RoleName> = default_roles().into_iter().collect();
        for names in names.chunks(limits::MAX_KEYS) {
            let records = self
                .identity
                .db()
                .collection::<RoleRecord>()
                .get_many(names.iter().map(RoleName::as_str), Consistency::Linearizable)
                .await?;
            let fits = |record: &RoleRecord| {
                context.permissions().covers(&self.identity.authority.permissions_in(record))
            };
            let records = records.into_iter().flatten().filter(|record| fits(record));
            grantable.extend(records.map(|record| record.name.clone()));
        }
        Ok(grantable)
    }

    /// As many of the first users as fit into one commit, with each address at most once.
    fn next_batch(
        &self,
        context: &Context,
        users: &[NewImportedUser],
        grantable: &HashSet<RoleName>,
    ) -> Vec<Result<Incoming, ImportFault>> {
        let mut batch = Vec::new();
        let (mut addresses, mut roles) = (HashSet::new(), HashSet::new());
        let mut items = SHARED_ITEMS;
        for user in users {
            let incoming = self.incoming(context, user, grantable);
            if let Ok(incoming) = &incoming {
                // A deletable role counts its members, which takes one item for all users with the role.
                let counted =
                    incoming.record.roles.iter().filter(|role| !is_built_in(&self.identity.kernel, role));
                let before = roles.len();
                roles.extend(counted.cloned());
                items += incoming.items + roles.len() - before;
                let fits = items <= limits::MAX_BATCH_ITEMS || batch.is_empty();
                if !fits || !addresses.insert(user.email.key()) {
                    break;
                }
            }
            batch.push(incoming);
        }
        batch
    }

    fn incoming(
        &self,
        context: &Context,
        user: &NewImportedUser,
        grantable: &HashSet<RoleName>,
    ) -> Result<Incoming, ImportFault> {
        let roles = user.roles.as_ref().map_or_else(default_roles, |roles| roles.names().to_vec());
        if roles.iter().any(|role| role.as_str() == ADMIN) {
            return Err(ImportFault::Admin);
        }
        if let Some(role) = roles.iter().find(|role| !grantable.contains(*role)) {
            return Err(ImportFault::Role(role.clone()));
        }
        if user.created_at.is_some_and(|created_at| created_at > context.now) {
            return Err(ImportFault::CreatedInTheFuture);
        }
        let id = UserId::from(self.identity.kernel.ambient().uuid_v7());
        let mut record = UserRecord::new(
            id,
            user.email.clone(),
            user.name.clone(),
            roles,
            user.password_hash.is_some(),
            context.now,
        );
        record.created_at = user.created_at.map_or(record.created_at, rfc3339::to_millisecond);
        record.email_verified = user.email_verified;
        let credential = user.password_hash.clone().map(|hash| Credential::new(id, hash, context.now));
        let terms = match serde_json::to_value(&record) {
            Ok(Value::Object(body)) => terms::of_document(UserRecord::COLLECTION, &body).len(),
            _ => limits::MAX_TERMS,
        };
        // The user, the guard of the address, the search terms, the password, the roles, the audit entry.
        let memberships = record.roles.iter().filter(|role| Membership::is_kept(role)).count();
        let items = 2 + terms + usize::from(credential.is_some()) + memberships + 1;
        Ok(Incoming { record, credential, items })
    }

    async fn import_batch(
        &self,
        context: &Context,
        batch: Vec<Result<Incoming, ImportFault>>,
    ) -> Vec<Result<Imported, ImportFault>> {
        let mut results: Vec<Option<Result<Imported, ImportFault>>> = Vec::new();
        let mut incoming = Vec::new();
        for user in batch {
            match user {
                Ok(user) => {
                    incoming.push((results.len(), user));
                    results.push(None);
                }
                Err(fault) => results.push(Some(Err(fault))),
            }
        }
        let outcome = match self.import_all(context, &incoming).await {
            Err(UserError::Common(error)) if is_email_taken(&error) => {
                self.import_missing(context, &mut incoming).await
            }
            outcome => outcome,
        };
        for (place, user) in incoming {
            results[place] = Some(match &outcome {
                Ok(()) => Ok(Imported::Created(user.record.id)),
                Err(error) => Err(ImportFault::User(error.clone())),
            });
        }
        results.into_iter().map(|result| result.unwrap_or(Ok(Imported::AlreadyThere))).collect()
    }

    /// Imports the accounts whose address is not taken. Looking up each address costs more than a commit, so
    /// this is done only after a commit has failed. Other users may register at the same time, so it is
    /// repeated until a commit succeeds.
    async fn import_missing(
        &self,
        context: &Context,
        incoming: &mut Vec<(usize, Incoming)>,
    ) -> Result<(), UserError> {
        loop {
            let mut taken = HashSet::new();
            for (place, user) in incoming.iter() {
                let key = user.record.email.key();
                if self.identity.db().collection::<UserRecord>().lookup("email", key).await?.is_some() {
                    taken.insert(*place);
                }
            }
            incoming.retain(|(place, _)| !taken.contains(place));
            match self.import_all(context, incoming).await {
                Err(UserError::Common(error)) if is_email_taken(&error) => {}
                outcome => return outcome,
            }
        }
    }

    async fn import_all(&self, context: &Context, users: &[(usize, Incoming)]) -> Result<(), UserError> {
        if users.is_empty() {
            return Ok(());
        }
        self.identity
            .transact(context, |tx| async move {
                for (_, user) in users {
                    tx.insert_user(&user.record)?;
                    if let Some(credential) = &user.credential {
                        tx.insert(credential)?;
                    }
                    let event = user_event(actions::USER_IMPORTED, user.record.id);
                    tx.record(event.detail("roles", roles_text(&user.record)));
                }
                Ok::<_, UserError>(())
            })
            .await
    }
}

/// An account that is being imported.
struct Incoming {
    record: UserRecord,
    credential: Option<Credential>,
    /// The number of items of a commit that it takes.
    items: usize,
}
