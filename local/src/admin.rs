//! Commands of an operator for accounts.

use anyhow::Context as _;
use clap::Subcommand;
use switchyard_identity::{AccountError, EmailAddress, Identity, Secret, UserError};
use switchyard_kernel::{Actor, CommonError, Context, Refused};
use switchyard_program::Program;

#[derive(Debug, Subcommand)]
pub(crate) enum Admin {
    /// Create an admin. Prints a password, which must be changed at the first sign-in.
    Create {
        /// The e-mail address. No account may have it.
        email: EmailAddress,
    },
    /// Give a user a new password, and end their sessions. Prints the password, which must be changed at the next sign-in.
    ResetPassword {
        /// The user's e-mail address.
        email: EmailAddress,
    },
    /// Unlock a user whom too many wrong passwords have locked, and the devices that they have signed in on.
    Unlock {
        /// The user's e-mail address.
        email: EmailAddress,
    },
}

impl Admin {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Program { identity, .. } = crate::serve::start().await?;
        let context = &identity.context("admin").by(Actor::System);
        match self {
            Self::Create { email } => create(&identity, context, &email).await,
            Self::ResetPassword { email } => reset_password(&identity, context, &email).await,
            Self::Unlock { email } => unlock(&identity, context, &email).await,
        }
    }
}

async fn create(identity: &Identity, context: &Context, email: &EmailAddress) -> anyhow::Result<()> {
    match identity.accounts().create_admin(context, email).await {
        Ok((_, password)) => {
            print("Admin   ", email, &password);
            Ok(())
        }
        Err(AccountError::EmailTaken) => anyhow::bail!(
            "there is an account with the address {email} already, perhaps a deleted one: use another address, or let an \
             admin give that account the role"
        ),
        Err(fault) => Err(fault).with_context(|| format!("{email} cannot be created")),
    }
}

async fn reset_password(identity: &Identity, context: &Context, email: &EmailAddress) -> anyhow::Result<()> {
    let id = identity.users().id_of(context, email).await.map_err(|fault| explained(fault, email))?;
    let password = identity.accounts().reset_password(context, id).await;
    print("Account ", email, &password.with_context(|| format!("the password of {email} cannot be reset"))?);
    Ok(())
}

async fn unlock(identity: &Identity, context: &Context, email: &EmailAddress) -> anyhow::Result<()> {
    let users = identity.users();
    let id = users.id_of(context, email).await.map_err(|fault| explained(fault, email))?;
    users.unlock(context, id).await.map_err(|fault| explained(fault, email))?;
    println!("{email} is not locked.");
    Ok(())
}

fn explained(fault: UserError, email: &EmailAddress) -> anyhow::Error {
    match fault {
        UserError::Common(CommonError::Refused(Refused::NotFound)) => {
            anyhow::anyhow!("there is no account with the address {email}")
        }
        fault => anyhow::Error::new(fault).context(format!("{email} cannot be changed")),
    }
}

fn print(label: &str, email: &EmailAddress, password: &Secret) {
    println!("{label}  {email}");
    println!("Password  {}   (must be changed at the next sign-in)", password.expose());
}
