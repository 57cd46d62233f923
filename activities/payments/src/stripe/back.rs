//! Refunds of a charge, and transfers to connected accounts.
//!
//! Stripe makes these at once, and remembers the idempotency key for a day. What it made earlier is in its lists, under
//! the charge or the group that our key makes. So in doubt this module searches there first, and nothing is made twice.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};

use super::{
    super::{Arrival, Charge, GatewayError, PayOut, Refund, Request},
    METADATA_KEY, StripeError, StripeGateway, Trouble, book,
    http::Page,
    idempotency_key, minor, unknown,
};

/// The prefix of a connected account's id.
const ACCOUNT: &str = "acct_";

/// What every object in this module has.
trait Made {
    fn id(&self) -> &str;
    fn metadata(&self) -> Option<&BTreeMap<String, String>>;
    fn arrival(&self) -> Arrival;
}

/// A refund.
#[derive(Deserialize)]
struct Returned {
    id: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    failure_reason: Option<String>,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

/// A transfer.
#[derive(Deserialize)]
struct Transferred {
    id: String,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
}

impl Made for Returned {
    fn id(&self) -> &str {
        &self.id
    }

    fn metadata(&self) -> Option<&BTreeMap<String, String>> {
        self.metadata.as_ref()
    }

    fn arrival(&self) -> Arrival {
        match self.status.as_deref() {
            Some("succeeded") => Arrival::Settled,
            Some("failed") => {
                let why = self.failure_reason.as_deref().unwrap_or("Stripe gave no reason").replace('_', " ");
                Arrival::Failed { reason: format!("the refund failed at Stripe: {why}") }
            }
            Some("canceled") => Arrival::Failed { reason: "the refund was cancelled at Stripe".to_owned() },
            // `pending`, or `requires_action`, when the payer must say where the money goes.
            _ => Arrival::Pending,
        }
    }
}

impl Made for Transferred {
    fn id(&self) -> &str {
        &self.id
    }

    fn metadata(&self) -> Option<&BTreeMap<String, String>> {
        self.metadata.as_ref()
    }

    fn arrival(&self) -> Arrival {
        Arrival::Settled
    }
}

impl StripeGateway {
    /// Gives a charge back, in whole or in part. The caller has searched for the refund before.
    ///
    /// # Errors
    /// As [`super::super::PaymentGateway::refund`].
    pub(super) async fn give_back(&self, key: &str, refund: &Refund) -> Result<(), GatewayError> {
        let Some(intent) = self.charged(key, refund).await? else {
            let reason = format!("Stripe has no charge {} of {}", refund.charge, refund.source);
            return Err(self.decline(key, None, reason).await);
        };
        let amount = match minor::of(refund.currency, refund.amount) {
            Ok(amount) => amount,
            Err(reason) => return Err(self.decline(key, None, reason).await),
        };
        let metadata = format!("metadata[{METADATA_KEY}]");
        let form = [("payment_intent", intent.as_str()), ("amount", &amount), (&metadata, key)];
        let made: Result<Returned, Trouble> = self.http.post(&["refunds"], &form, Some(&idempotency_key(key))).await;
        match made {
            Ok(made) => self.made(key, &made.id).await.map(drop),
            // Stripe may refuse it because an earlier try, whose answer was lost, has made it.
            Err(trouble @ (Trouble::Declined(_) | Trouble::Invalid(_))) => match self.find_refund(key, refund).await? {
                Some(_) => Ok(()),
                None => Err(self.refused(key, None, trouble).await),
            },
            Err(trouble) => Err(self.refused(key, None, trouble).await),
        }
    }

    /// The state of a refund.
    ///
    /// # Errors
    /// [`GatewayError::Unavailable`].
    pub(super) async fn arrival_of(&self, key: &str, refund: &str) -> Result<Arrival, GatewayError> {
        let found: Returned = self.read(key, &["refunds", refund], &[], refund).await?;
        Ok(found.arrival())
    }

    /// Searches for the refund among those of its charge, stores its id, and returns its state.
    ///
    /// # Errors
    /// [`GatewayError::Unavailable`].
    pub(super) async fn find_refund(&self, key: &str, refund: &Refund) -> Result<Option<Arrival>, GatewayError> {
        let Some(intent) = self.charged(key, refund).await? else { return Ok(None) };
        self.find_in::<Returned>(key, "refunds", ("payment_intent", &intent)).await
    }

    /// Transfers money to a connected account. The caller has searched for the transfer before.
    ///
    /// # Errors
    /// As [`super::super::PaymentGateway::pay_out`].
    pub(super) async fn transfer(&self, key: &str, pay_out: &PayOut) -> Result<(), GatewayError> {
        let to = pay_out.to.as_str();
        if !to.starts_with(ACCOUNT) {
            let reason = format!(
                "Stripe pays only to accounts connected to the platform's ({ACCOUNT}…), and {to} is none; connect one for the \
                 payee, or have the charge refunded again"
            );
            return Err(self.decline(key, None, reason).await);
        }
        let amount = match minor::of(pay_out.currency, pay_out.amount) {
            Ok(amount) => amount,
            Err(reason) => return Err(self.decline(key, None, reason).await),
        };
        let (group, metadata) = (idempotency_key(key), format!("metadata[{METADATA_KEY}]"));
        let currency = pay_out.currency.code().to_lowercase();
        let form = [
            ("amount", amount.as_str()),
            ("currency", &currency),
            ("destination", to),
            ("transfer_group", &group),
            (&metadata, key),
        ];
        let made: Result<Transferred, Trouble> = self.http.post(&["transfers"], &form, Some(&group)).await;
        match made {
            Ok(made) => self.made(key, &made.id).await.map(drop),
            Err(trouble @ (Trouble::Declined(_) | Trouble::Invalid(_))) => {
                match self.find_transfer(key, pay_out).await? {
                    Some(_) => Ok(()),
                    None => Err(self.refused(key, None, trouble).await),
                }
            }
            Err(trouble) => Err(self.refused(key, None, trouble).await),
        }
    }

    /// Searches for the transfer in the group that its key makes, and stores its id.
    ///
    /// # Errors
    /// [`GatewayError::Unavailable`].
    pub(super) async fn find_transfer(&self, key: &str, pay_out: &PayOut) -> Result<Option<Arrival>, GatewayError> {
        if !pay_out.to.as_str().starts_with(ACCOUNT) {
            return Ok(None);
        }
        self.find_in::<Transferred>(key, "transfers", ("transfer_group", &idempotency_key(key))).await
    }

    /// The `PaymentIntent` of the charge that a refund goes back to.
    async fn charged(&self, key: &str, refund: &Refund) -> Result<Option<String>, GatewayError> {
        let found = book::find(&self.database, &refund.charge).await.map_err(|error| unknown(key, error))?;
        Ok(found.and_then(|entry| match entry.request {
            Request::Charge(Charge { source, currency, .. })
                if source == refund.source && currency == refund.currency && entry.declined.is_none() =>
            {
                entry.object
            }
            _ => None,
        }))
    }

    /// Searches a list, page by page, for the object that was made under `key`.
    async fn find_in<T: Made + DeserializeOwned>(
        &self,
        key: &str,
        list: &str,
        within: (&str, &str),
    ) -> Result<Option<Arrival>, GatewayError> {
        let mut after: Option<String> = None;
        loop {
            let mut query = vec![within, ("limit", "100")];
            query.extend(after.as_deref().map(|after| ("starting_after", after)));
            let found: Page<T> = self.read(key, &[list], &query, within.1).await?;
            let ours =
                |object: &&T| object.metadata().and_then(|about| about.get(METADATA_KEY)).is_some_and(|it| it == key);
            if let Some(made) = found.data.iter().find(ours) {
                self.made(key, made.id()).await?;
                return Ok(Some(made.arrival()));
            }
            match found.data.last() {
                Some(end) if found.has_more => after = Some(end.id().to_owned()),
                _ => return Ok(None),
            }
        }
    }

    /// Reads `object`, which Stripe must know because its id is stored.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        key: &str,
        path: &[&str],
        query: &[(&str, &str)],
        object: &str,
    ) -> Result<T, GatewayError> {
        self.http.get(path, query).await.map_err(|trouble| match trouble {
            Trouble::Unknown(error) => unknown(key, error),
            Trouble::Invalid(message) | Trouble::Declined(message) => {
                unknown(key, StripeError::Lost { object: object.to_owned(), message })
            }
            Trouble::KeyReused => GatewayError::KeyReused { key: key.to_owned() },
        })
    }
}
