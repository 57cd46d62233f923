//! `recourse notices`.

use clap::Args;
use recourse_domain::{ids::Id, party::Role};
use recourse_notifications::{
    NoticeBook,
    notices::{NoticeFilter, StoredNotice},
};
use recourse_workflows::describe;

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    database::existing_database,
    values, view,
};

/// Show the parties' notices in the app, oldest first.
///
/// Example: `recourse notices --contract c-1 --party client`
#[derive(Debug, Args)]
pub struct Notices {
    /// The contract.
    #[arg(long, value_name = "ID", value_parser = values::id)]
    contract: Id,
    /// Only notices to this role: client, freelancer, mediator, arbitrator or operator.
    #[arg(long, value_name = "ROLE", value_parser = values::role)]
    party: Option<Role>,
    #[command(flatten)]
    database: DatabaseArg,
}

impl Notices {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let database = existing_database(&self.database).await?;
        let filter = NoticeFilter { contract: Some(self.contract), recipient: self.party, ..NoticeFilter::default() };
        let notices = NoticeBook::new(database.clone()).list(&filter).await?;
        database.close().await;
        let text = if notices.is_empty() {
            "no notices\n".to_owned()
        } else {
            notices.iter().map(show).collect::<Vec<_>>().join("\n")
        };
        Answer::new(&notices, text)
    }
}

fn show(notice: &StoredNotice) -> String {
    let at = notice.at.parse().map_or_else(|_| notice.at.clone(), describe::instant);
    // The text begins with its headline, which is also in the subject.
    let text = notice.text.trim();
    let body =
        text.split_once('\n').filter(|(first, _)| notice.subject.starts_with(first)).map_or(text, |(_, body)| body);
    let body = body.trim().replace('\n', "\n  ").replace("\n  \n", "\n\n");
    let heading = view::heading(&format!("to the {}: {}", notice.recipient, notice.subject));
    format!("{heading}  {at} · {} · rule {}\n\n  {body}\n", notice.case, notice.rule)
}
