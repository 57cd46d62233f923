//! Charges: this module makes a `PaymentIntent`, which moves nothing yet, stores its id, and only then confirms it. A
//! `PaymentIntent` takes money once at most, however often it is confirmed, and its state always shows whether it did.
//! So no crash and no forgotten key charges twice: a crash can only leave a `PaymentIntent` that nobody confirms.

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

/// The state of a `PaymentIntent`.
enum Standing {
    Paid,
    /// Nobody has confirmed it yet.
    Drafted,
    /// A try failed, but it could be tried again.
    Failed(String),
    /// It can never take money.
    Ended(String),
    /// It may still succeed or fail.
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
    /// Makes the `PaymentIntent` of a charge, which moves nothing yet, and stores its id. Returns the id that counts.
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
            // Only this kind: other kinds would need a page to which the payer returns.
            ("payment_method_types[0]", &method.kind),
            (&metadata, key),
        ];
        // Stripe accepts a saved method only together with its customer.
        if let Some(customer) = &method.customer {
            form.push(("customer", customer));
        }
        let path = ["payment_intents"];
        let made: Result<Intent, Trouble> = self.http.post(&path, &form, Some(&idempotency_key(key))).await;
        let made = match made {
            // Stripe would repeat this error under the key for a day. Nothing moves yet, so another `PaymentIntent`
            // does no harm.
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
    /// It sends no idempotency key: with one, Stripe would repeat a server error for a day. The `PaymentIntent` itself
    /// takes money only once.
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
            // It was confirmed before, or it cannot be confirmed.
            Err(Trouble::Invalid(_)) if self.look_at(key, intent).await? => Ok(()),
            Err(Trouble::Invalid(reason)) => {
                tracing::error!(key, intent, reason, rule = "L6", "Stripe cannot take a payment as it was asked");
                self.end(key, intent, reason).await
            }
            Err(trouble) => Err(self.refused(key, Some(intent), trouble).await),
        }
    }

    /// Whether a stored `PaymentIntent` has taken the money; false if nobody has confirmed it yet.
    ///
    /// # Errors
    /// [`GatewayError::Declined`] if it has not and never will, because this function cancels it;
    /// [`GatewayError::Unavailable`] if that is not known yet.
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

    /// Cancels a `PaymentIntent` that did not take the money, and then reports that it was declined. Succeeds if it has
    /// taken the money after all: another worker may have asked at the same time.
    async fn end(&self, key: &str, intent: &str, reason: String) -> Result<(), GatewayError> {
        let cancelled: Result<Intent, Trouble> =
            self.http.post(&["payment_intents", intent, "cancel"], &[], None).await;
        let found = match cancelled {
            Ok(found) => found,
            Err(Trouble::Unknown(error)) => return Err(unknown(key, error)),
            // Stripe refuses to cancel it only if it has taken the money, or is about to.
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
