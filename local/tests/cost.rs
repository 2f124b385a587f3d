//! The costs of the operations on DynamoDB are those that local/benches/README.md lists.

#[path = "../benches/cost/measure.rs"]
mod measure;

/// The table of the README begins behind this line.
const MARK: &str = "<!-- The table that `--bench cost` prints. -->\n\n";

#[tokio::test]
async fn each_operation_costs_what_the_table_says() {
    let readme = include_str!("../benches/README.md");
    let expected = readme.split_once(MARK).expect("the README has the table").1;
    let expected = expected.split("\n\n").next().unwrap_or_default().trim_end();
    let measured = measure::table(&measure::measure().await.unwrap());
    assert_eq!(
        measured.trim_end(),
        expected,
        "if a change of the costs is intended, copy the new rows to local/benches/README.md"
    );
}
