//! What each operation of the API costs on DynamoDB: calls, and read and write units by AWS's rules.
//!
//! Run `cargo bench -p switchyard-local --bench cost` after `eval "$(local/servers env)"`. Prints the table of
//! local/benches/README.md. The test `cost` fails if that table is no longer right.

mod measure;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    print!("{}", measure::table(&measure::measure().await?));
    Ok(())
}
