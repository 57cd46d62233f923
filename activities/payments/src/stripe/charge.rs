//! Charges: a `PaymentIntent` that moves nothing when it is made, is written down, and only then confirmed. It takes money once at
//! most, however often it is confirmed, and says for ever whether it did. So no crash and no forgotten key charges twice: what a
//! crash can leave behind is a `PaymentIntent` that nobody confirms.

use serde::Deserialize;

use super::{
    super::{Charge, GatewayError},
    METADATA_KEY, StripeError, StripeGateway, Trouble, idempotency_key, minor, unknown,
};

/// A payment method.
#[derive(Deserialize)]
struct Method {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    customer: Option<String>,
}

/// A `PaymentIntent`.
#[derive(Deserialize)]
struct Intent {
    id: String,
    status: String,
    #[serde(default)]
    last_payment_error: Option<Failure>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    message: Option<String>,
}

/// Where a `PaymentIntent` stands.
enum Standing {
    Paid,
    /// Nothing was tried yet.
    Drafted,
    /// It was tried and did not succeed, but could be tried again.
    Failed(String),
    /// It can never take money.
    Ended(String),
    /// It may still come to either.
    Undecided,
}

impl Intent {
    fn standing(&self) -> Standing {
        let said = self.last_payment_error.as_ref().and_then(|failure| failure.message.clone());
        match self.status.as_str() {
            "succeeded" => Standing::Paid,
            "requires_confirmation" => Standing::Drafted,
            "requires_payment_method" => {
                Standing::Failed(said.unwrap_or_else(|| "the payment method was declined".to_owned()))
            }
            "requires_action" => {
                Standing::Failed("the payment needs its payer's consent, and nobody is asked".to_owned())
            }
            "canceled" => Standing::Ended(said.unwrap_or_else(|| "it was cancelled at Stripe".to_owned())),
            _ => Standing::Undecided,
        }
    }
}

impl StripeGateway {
    /// Makes the `PaymentIntent` of a charge, which moves nothing yet, and writes down its id. Answers with the one that counts.
    ///
    /// # Errors
    /// As [`super::super::PaymentGateway::charge`].
    pub(super) async fn draft(&self, key: &str, charge: &Charge) -> Result<String, GatewayError> {
        let amount = match minor::of(charge.currency, charge.amount) {
            Ok(amount) => amount,
            Err(reason) => return Err(self.decline(key, None, reason).await),
        };
        let source = charge.source.as_str();
        let method: Method = match self.http.get(&["payment_methods", source], &[]).await {
            Ok(method) => method,
            Err(trouble) => return Err(self.refused(key, None, trouble).await),
        };
        let (currency, metadata) = (charge.currency.code().to_lowercase(), format!("metadata[{METADATA_KEY}]"));
        let mut form = vec![
            ("amount", amount.as_str()),
            ("currency", &currency),
            ("payment_method", source),
            // Only this one: with others there would have to be a page for the payer to come back to.
            ("payment_method_types[0]", &method.kind),
            (&metadata, key),
        ];
        // Stripe takes a saved method only together with its customer.
        if let Some(customer) = &method.customer {
            form.push(("customer", customer));
        }
        let path = ["payment_intents"];
        let made: Result<Intent, Trouble> = self.http.post(&path, &form, Some(&idempotency_key(key))).await;
        let made = match made {
            // Stripe would repeat this under the key for a day. Since nothing moves yet, another one does no harm.
            Err(Trouble::Unknown(StripeError::Refused { status: 500.., .. })) => {
                self.http.post(&path, &form, None).await
            }
            made => made,
        };
        let made = match made {
            Ok(made) => made,
            Err(trouble) => return Err(self.refused(key, None, trouble).await),
        };
        self.made(key, &made.id).await
    }

    /// Takes the money.
    ///
    /// No idempotency key: Stripe would answer with the same server error for a day, and the `PaymentIntent` itself takes money
    /// only once.
    ///
    /// # Errors
    /// As [`super::super::PaymentGateway::charge`].
    pub(super) async fn confirm(&self, key: &str, intent: &str) -> Result<(), GatewayError> {
        let path = ["payment_intents", intent, "confirm"];
        let confirmed: Result<Intent, Trouble> = self.http.post(&path, &[("off_session", "true")], None).await;
        match confirmed {
            Ok(found) if self.follow(key, &found).await? => Ok(()),
            Ok(found) => Err(undecided(key, &found)),
            Err(Trouble::Declined(reason)) => self.end(key, intent, reason).await,
            // It was confirmed before, or it cannot be.
            Err(Trouble::Invalid(_)) if self.look_at(key, intent).await? => Ok(()),
            Err(Trouble::Invalid(reason)) => {
                tracing::error!(key, intent, reason, rule = "L6", "Stripe cannot take a payment as it was asked");
                self.end(key, intent, reason).await
            }
            Err(trouble) => Err(self.refused(key, Some(intent), trouble).await),
        }
    }

    /// Whether a `PaymentIntent` that was written down has taken the money; false if that was not tried yet.
    ///
    /// # Errors
    /// [`GatewayError::Declined`] if it has not and never will, which is seen to; [`GatewayError::Unavailable`] if it is not known
    /// yet.
    pub(super) async fn look_at(&self, key: &str, intent: &str) -> Result<bool, GatewayError> {
        let found: Intent = self.read(key, &["payment_intents", intent], &[], intent).await?;
        self.follow(key, &found).await
    }

    async fn follow(&self, key: &str, found: &Intent) -> Result<bool, GatewayError> {
        match found.standing() {
            Standing::Paid => Ok(true),
            Standing::Drafted => Ok(false),
            Standing::Failed(reason) => self.end(key, &found.id, reason).await.map(|()| true),
            Standing::Ended(reason) => Err(self.decline(key, Some(&found.id), reason).await),
            Standing::Undecided => Err(undecided(key, found)),
        }
    }

    /// Makes sure that a `PaymentIntent` which did not take the money never will, and then says that it was declined. Succeeds if
    /// it has taken it after all: another worker may have asked at the same moment.
    async fn end(&self, key: &str, intent: &str, reason: String) -> Result<(), GatewayError> {
        let cancelled: Result<Intent, Trouble> =
            self.http.post(&["payment_intents", intent, "cancel"], &[], None).await;
        let found = match cancelled {
            Ok(found) => found,
            Err(Trouble::Unknown(error)) => return Err(unknown(key, error)),
            // Only one that has taken the money, or is about to, cannot be cancelled.
            Err(Trouble::Invalid(_) | Trouble::Declined(_) | Trouble::KeyReused) => {
                self.read(key, &["payment_intents", intent], &[], intent).await?
            }
        };
        match found.standing() {
            Standing::Paid => Ok(()),
            Standing::Ended(_) => Err(self.decline(key, Some(intent), reason).await),
            _ => Err(undecided(key, &found)),
        }
    }
}

fn undecided(key: &str, found: &Intent) -> GatewayError {
    unknown(key, StripeError::Undecided { object: found.id.clone(), status: found.status.clone() })
}
