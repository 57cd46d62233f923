//! `recourse setup`.

use clap::Args;
use recourse_database::Database;
use serde_json::json;

use super::{
    DatabaseArg,
    answer::{Answer, Failure},
    connect,
    progress::waiting,
};

/// Prepare a Temporal server and a database; safe to repeat.
///
/// Makes the ledger's tables, or brings them up to date, and registers the search attributes that `recourse list`
/// filters by. Needs to be done once per server and database; `recourse dev` does it by itself.
///
/// Example: `TEMPORAL_ADDRESS=temporal.example:7233 recourse setup`
///
/// Next: start `recourse-worker`, then `recourse deposit`.
#[derive(Debug, Args)]
pub struct Setup {
    #[command(flatten)]
    database: DatabaseArg,
}

impl Setup {
    pub(super) async fn run(self) -> Result<Answer, Failure> {
        let database = Database::connect(&self.database.url).await?;
        recourse_ledger::set_up(&database).await?;
        database.close().await;
        let client = connect().await?;
        let registered = waiting("registering search attributes", client.setup_search_attributes()).await?;
        let attributes = match registered.as_slice() {
            [] => "were all there".to_owned(),
            names => format!("registered {}", names.join(", ")),
        };
        // A log may keep this text, and the URL may contain a password.
        let database = Database::shown(&self.database.url);
        let document = json!({
            "database": database, "address": client.address(), "namespace": client.namespace(),
            "registered": registered,
        });
        let server = format!("{} (namespace {})", client.address(), client.namespace());
        let text = format!(
            "database    {database}: its tables are up to date\nserver      {server}: search attributes {attributes}"
        );
        Answer::new(&document, text)
    }
}
