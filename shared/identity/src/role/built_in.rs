use std::collections::BTreeSet;

use switchyard_database::{Consistency, Error as DatabaseError};
use switchyard_kernel::{AuditedTransaction, BuiltInRole, Context, Kernel, RoleName, rfc3339};

use super::record::{ADMIN, CUSTOMER, RoleRecord};
use crate::actions::{self, role_event};
use crate::permissions::PRODUCTS_WRITE;

/// The built-in roles of identity, and those of domains that are still to come.
pub(crate) const BUILT_IN: &[BuiltInRole] = &[
    BuiltInRole { name: CUSTOMER, description: "Buys things.", permissions: &[] },
    BuiltInRole { name: "patient", description: "Sees doctors.", permissions: &[] },
    BuiltInRole { name: "doctor", description: "Sees patients.", permissions: &[] },
    BuiltInRole {
        name: "merchant",
        description: "Looks after the catalogue.",
        permissions: &[PRODUCTS_WRITE],
    },
    BuiltInRole { name: "fulfilment", description: "Packs and ships orders.", permissions: &[] },
    BuiltInRole { name: "finance", description: "Looks after payments.", permissions: &[] },
    // It permits everything without a list.
    BuiltInRole { name: ADMIN, description: "May do everything.", permissions: &[] },
];

/// Whether a role is built in, and so is never deleted.
pub(crate) fn is_built_in(kernel: &Kernel, name: &RoleName) -> bool {
    kernel.built_in_roles().any(|role| role.name == name.as_str())
}

/// Creates the built-in roles that are missing, and gives the others the permissions that were declared for them since they
/// were stored. Each permission is given once: if an admin removes it afterwards, it stays removed.
pub(crate) async fn install_built_in_roles(kernel: &Kernel, context: &Context) -> Result<(), DatabaseError> {
    let names = kernel.built_in_roles().map(|role| role.name);
    let stored = kernel.db().collection::<RoleRecord>().get_many(names, Consistency::Linearizable).await?;
    for (role, stored) in kernel.built_in_roles().zip(stored) {
        if stored.is_some_and(|stored| stored.was_offered(role)) {
            continue; // without a transaction, at every start
        }
        kernel.transact(context, |tx| async move { install(&tx, role, context).await }).await?;
    }
    Ok(())
}

async fn install(
    tx: &AuditedTransaction,
    role: &BuiltInRole,
    context: &Context,
) -> Result<(), DatabaseError> {
    let declared: BTreeSet<String> =
        role.permissions.iter().map(|permission| permission.name().to_owned()).collect();
    let now = rfc3339::to_millisecond(context.now);
    let Some(stored) = tx.get::<RoleRecord>(role.name).await? else {
        tx.insert(&RoleRecord::built_in(role, declared, now))?;
        return Ok(());
    };
    // A role that was stored before offers were recorded had been given everything that was declared then.
    let offered = stored.offered.as_ref().unwrap_or(&declared);
    let new: BTreeSet<String> = declared.difference(offered).cloned().collect();
    let all_offered = Some(offered.union(&new).cloned().collect());
    if new.is_empty() {
        tx.replace(&stored, &RoleRecord { offered: all_offered, ..(*stored).clone() })?;
        return Ok(());
    }
    let upgraded = RoleRecord {
        permissions: stored.permissions.union(&new).cloned().collect(),
        offered: all_offered,
        updated_at: now,
        ..(*stored).clone()
    };
    let names = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(" ");
    let event = role_event(actions::ROLE_CHANGED, &stored.name)
        .detail("permissions_before", names(&stored.permissions))
        .detail("permissions", names(&upgraded.permissions));
    tx.record(event);
    tx.replace(&stored, &upgraded)?;
    Ok(())
}
