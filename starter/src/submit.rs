//! `recourse submit`: the freelancer submits a milestone, and its review begins.

use std::path::PathBuf;

use clap::Args;
use recourse_domain::{
    ids::Id,
    messages::MilestoneReviewStart,
    milestone::{Milestone, Submission},
    party::Contract,
    policy::Policy,
};

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    evidence, files, start, values,
};

/// Submit a milestone for the first time: the client has 14 days to approve or to request changes.
///
/// Silence releases the milestone's escrow to the freelancer (E4). Freelancers submit milestones one at a time and in order
/// (E3), and only with the whole amount in escrow (E13); otherwise Recourse refuses the submission (exit code 1).
///
/// Example:
/// `recourse submit --contract-file c.json --milestone m-1 --ordinal 1 --name Sketches --amount 300.00 --note "Both drafts"`
///
/// Next: `recourse act milestone-review:c-1:m-1 approve --as client:cl-1`, or `request_changes`; then the freelancer submits
/// again with `recourse act milestone-review:c-1:m-1 submit`. `recourse show milestone-review:c-1:m-1` says whose turn it is.
#[derive(Debug, Args)]
pub struct Submit {
    /// The contract: a JSON or TOML file.
    #[arg(long, value_name = "FILE")]
    contract_file: PathBuf,
    /// The milestone's id.
    #[arg(long = "milestone", value_name = "ID", value_parser = values::id)]
    id: Id,
    /// Its place in the contract; the first is 1.
    #[arg(long, value_name = "NUMBER")]
    ordinal: u32,
    /// What people call it.
    #[arg(long)]
    name: String,
    /// What is paid for it, such as 300.00, in the contract's currency.
    #[arg(long)]
    amount: String,
    /// What was to be done.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// What is submitted, in the freelancer's words.
    #[arg(long, value_name = "TEXT")]
    note: String,
    /// A file that is submitted; only its hash, name, size and type are sent. May be repeated.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    file: Vec<PathBuf>,
    /// The policy of this case: a JSON or TOML file; the rule book's numbers without one.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseArg,
}

impl Submit {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let database = self.database.clone();
        start::open(self.review()?, &database).await
    }

    fn review(self) -> Result<MilestoneReviewStart, Failure> {
        let contract: Contract = files::read(&self.contract_file)?;
        let policy = self.policy.as_deref().map(files::read::<Policy>).transpose()?;
        let milestone = Milestone {
            id: self.id,
            ordinal: self.ordinal,
            name: self.name,
            amount: values::amount("amount", &self.amount, contract.currency)?,
            description: self.description,
        };
        let submission = Submission { note: self.note, files: evidence::of_files("file", &self.file)? };
        Ok(MilestoneReviewStart { contract, milestone, submission, policy })
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};
    use serde_json::json;

    use super::*;

    #[test]
    fn options_become_the_first_submission() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str, text: &str| {
            std::fs::write(directory.path().join(name), text).unwrap();
            directory.path().join(name).display().to_string()
        };
        let contract = json!({"id": "c-1", "title": "Logo", "kind": "fixed_price", "currency": "JPY",
                              "client": {"id": "cl-1"}, "freelancer": {"id": "fl-1"}});
        let (contract_file, drafts) = (path("c.json", &contract.to_string()), path("drafts.png", "abc"));
        let options = ["--contract-file", &contract_file, "--milestone", "m-1", "--ordinal", "1", "--name", "Sketches"];
        let more = ["--amount", "300", "--note", "Both", "--description", "Two drafts", "--file", &drafts];
        let matches = Submit::augment_args(clap::Command::new("submit").no_binary_name(true))
            .get_matches_from(options.into_iter().chain(more));
        let start = Submit::from_arg_matches(&matches).unwrap().review().unwrap();
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(
            serde_json::to_value(start).unwrap(),
            json!({
                "contract": contract,
                "milestone": {"id": "m-1", "ordinal": 1, "name": "Sketches", "amount": 300, "description": "Two drafts"},
                "note": "Both",
                "files": [{"sha256": sha256, "name": "drafts.png", "size": 3, "media_type": "image/png"}],
            })
        );
    }
}
