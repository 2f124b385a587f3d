//! `cargo run -- new feature books`: writes a domain and a function of that name into the workspace, and the lines
//! that make them part of the programs.

mod changes;
mod conflicts;
mod insert;
mod name;
mod plan;
mod render;
mod report;
mod template;
mod words;
mod wrap;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

use name::Name;
use plan::Plan;

/// Writes a feature into the workspace around the current folder. `name` is in the plural.
pub(crate) fn feature(name: &str, singular: Option<&str>) -> anyhow::Result<()> {
    let root = workspace()?;
    let plan = Name::parse(name, singular).and_then(|name| Plan::new(name, &root));
    let plan = match plan {
        Ok(plan) => plan,
        Err(faults) => bail!("the feature cannot be written, and nothing was:\n- {}", faults.join("\n- ")),
    };
    plan.write(&root)?;
    let finished = finish(&plan.name, &root);
    print!("{}", report::report(&plan));
    if let Err(fault) = finished {
        println!("\nNot done: {fault:#}. Run `cargo fmt --all` and `cargo update --workspace --offline`.");
    }
    Ok(())
}

/// The root of the workspace: the folder above the current one, or itself, that has the list of domains.
fn workspace() -> anyhow::Result<PathBuf> {
    let current = std::env::current_dir()?;
    let root = current.ancestors().find(|folder| folder.join("shared/domains/Cargo.toml").exists());
    Ok(root.context("the current folder is not in a workspace of Switchyard")?.to_owned())
}

/// Formats what was written, and adds the packages to Cargo.lock. A name changes the length of lines and the order
/// of imports.
fn finish(name: &Name, root: &Path) -> anyhow::Result<()> {
    let packages = [format!("switchyard-{}", name.plural), format!("switchyard-fn-{}", name.plural)];
    let packages = packages.iter().map(String::as_str).chain(["switchyard-domains", "switchyard-local"]);
    let format: Vec<_> = ["fmt"].into_iter().chain(packages.flat_map(|name| ["-p", name])).collect();
    cargo(root, &["update", "--workspace", "--offline", "--quiet"])?;
    cargo(root, &format)
}

fn cargo(root: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo).args(arguments).current_dir(root).status()?;
    anyhow::ensure!(status.success(), "`cargo {}` failed", arguments.join(" "));
    Ok(())
}
