//! Whose a billing method is, as far as the ledger has seen it (A1).

use std::collections::BTreeSet;

use recourse_workflows::domain::{
    fee,
    ids::Id,
    party::{Contract, Role},
};
use sqlx::Row as _;

use super::{Ledger, LedgerError, id_of};

impl Ledger {
    /// Whether a billing method is known to be somebody else's than this party's: others have deposited from it, or paid their share
    /// of a fee with it, and this party never has. What was never used is nobody's.
    ///
    /// # Errors
    /// Only if the database cannot be read, or was damaged.
    pub(crate) async fn is_anothers(&self, source: &Id, party: Role, contract: &Contract) -> Result<bool, LedgerError> {
        let owners = self.owners_of(source).await?;
        Ok(!owners.is_empty() && contract.ids_of(party).all(|id| !owners.contains(id)))
    }

    async fn owners_of(&self, source: &Id) -> Result<BTreeSet<Id>, LedgerError> {
        let mut owners = BTreeSet::new();
        let clients: Vec<String> = sqlx::query_scalar(
            "SELECT DISTINCT c.client FROM deposits d JOIN contracts c ON c.contract = d.contract WHERE d.source = $1",
        )
        .bind(source.as_str())
        .fetch_all(self.database.pool())
        .await?;
        for client in &clients {
            owners.insert(id_of(client, "client")?);
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
                Some(Role::Client) => owners.insert(id_of(&client, "client")?),
                Some(_) => owners.insert(id_of(&freelancer, "freelancer")?),
                None => false,
            };
        }
        Ok(owners)
    }
}
