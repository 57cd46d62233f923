//! Who has used a billing method (A1).

use std::collections::BTreeSet;

use recourse_domain::{fee, ids::Id, party::Role};
use sqlx::Row as _;

use super::{Ledger, LedgerError, id_of};

impl Ledger {
    /// The people who have deposited from this billing method, or paid their share of a fee with it.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn users_of(&self, source: &Id) -> Result<BTreeSet<Id>, LedgerError> {
        let mut users = BTreeSet::new();
        let clients: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT c.client FROM deposits d JOIN contracts c ON c.contract = d.contract WHERE d.source = $1",
        )
        .bind(source.as_str())
        .fetch_all(self.database.pool())
        .await?;
        for client in &clients {
            users.insert(id_of(client, "client")?);
        }
        let fees = sqlx::query(
            "SELECT j.id, c.client, c.freelancer FROM journal j JOIN contracts c ON c.contract = j.contract
             WHERE j.kind = 'fee' AND j.debit = $1",
        )
        .bind(format!("source:{source}"))
        .fetch_all(self.database.pool())
        .await?;
        for row in &fees {
            let (posting, client, freelancer): (String, String, String) =
                (row.try_get("id")?, row.try_get("client")?, row.try_get("freelancer")?);
            match fee::share_of(&posting) {
                Some(Role::Client) => users.insert(id_of(&client, "client")?),
                Some(_) => users.insert(id_of(&freelancer, "freelancer")?),
                None => false,
            };
        }
        Ok(users)
    }
}
