//! The ends of the bank's refunds: they settle or fail when somebody calls these functions, as a real bank's do days
//! later. The bank sends no reports; who calls these must report to the refund desk too, like a webhook.

use super::{
    super::{Arrival, GatewayMovement, Request},
    SandboxBank, SandboxError, books,
};

impl SandboxBank {
    /// Settles a refund: it has reached its billing method. Safe to repeat.
    ///
    /// # Errors
    /// [`SandboxError::UnknownRefund`] if the bank accepted no such refund, [`SandboxError::FinalBefore`] if it has
    /// failed.
    pub async fn settle(&self, key: &str) -> Result<(), SandboxError> {
        self.arrive(key, &Arrival::Settled).await
    }

    /// Fails a refund: it comes back from its billing method. Its charge can then be refunded again, under another key.
    /// Safe to repeat.
    ///
    /// # Errors
    /// As [`SandboxBank::settle`], if it has settled.
    pub async fn fail(&self, key: &str, reason: &str) -> Result<(), SandboxError> {
        self.arrive(key, &Arrival::Failed { reason: reason.to_owned() }).await
    }

    /// The refunds that have neither settled nor failed, oldest first.
    ///
    /// # Errors
    /// Only if the database cannot be read, or is damaged.
    pub async fn unsettled(&self) -> Result<Vec<GatewayMovement>, SandboxError> {
        books::list(&self.database, "WHERE kind = 'refund' AND declined IS NULL AND arrival = 'pending'").await
    }

    async fn arrive(&self, key: &str, arrival: &Arrival) -> Result<(), SandboxError> {
        let mut write = self.database.write().await?;
        let Some(GatewayMovement { request: Request::Refund(_), declined: None, arrival: found, .. }) =
            books::find(&mut *write, key).await?
        else {
            return Err(SandboxError::UnknownRefund { key: key.to_owned() });
        };
        match (found, arrival) {
            (Arrival::Pending, _) => {}
            (Arrival::Settled, Arrival::Settled) | (Arrival::Failed { .. }, Arrival::Failed { .. }) => return Ok(()),
            (Arrival::Settled, _) => {
                return Err(SandboxError::FinalBefore { key: key.to_owned(), before: "has settled" });
            }
            (Arrival::Failed { .. }, _) => {
                return Err(SandboxError::FinalBefore { key: key.to_owned(), before: "has failed" });
            }
        }
        books::arrive(&mut write, key, arrival).await?;
        write.commit().await?;
        Ok(())
    }
}
