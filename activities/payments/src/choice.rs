//! Which payment provider is used, and its settings. Every program reads them from the environment here.

use std::{collections::BTreeSet, fmt, path::PathBuf, sync::Arc};

use recourse_database::Database;
use recourse_domain::ids::Id;
use url::{Host, Url};

use super::{PaymentGateway, SandboxBank, StripeCallbacks, StripeGateway, StripeSettings};

/// The provider: `sandbox`, which is the default, or `stripe`.
const PROVIDER: &str = "RECOURSE_PAYMENTS";

/// The billing methods that the sandbox's bank knows, separated by commas; absent, every id is one.
const SANDBOX_SOURCES: &str = "RECOURSE_SANDBOX_SOURCES";

/// Stripe's secret key, `sk_…` or `rk_…`. It may be in a file instead.
const STRIPE_KEY: &str = "RECOURSE_STRIPE_SECRET_KEY";

/// The URL of Stripe's API, if not Stripe's own.
const STRIPE_URL: &str = "RECOURSE_STRIPE_URL";

/// The secret with which Stripe signs its events, `whsec_…`. It may be in a file instead.
const STRIPE_WEBHOOK_SECRET: &str = "RECOURSE_STRIPE_WEBHOOK_SECRET";

const STRIPE: &str = "https://api.stripe.com";

/// A text that is never logged or shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden(String);

impl Hidden {
    /// Hides `text`.
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text. Give it only to its receiver.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
}

/// The payment provider that the environment chooses.
#[derive(Debug, Clone)]
pub enum Payments {
    /// The fake bank in the ledger's database: no money moves.
    Sandbox {
        /// The known billing methods; nothing if every id is one.
        sources: Option<BTreeSet<Id>>,
    },
    /// Stripe.
    Stripe(StripeSettings),
}

/// Why no payment provider can be used. Its text contains no secret.
#[derive(Debug, thiserror::Error)]
pub enum PaymentsError {
    /// There is no such provider.
    #[error("{PROVIDER}: \"{0}\" is neither sandbox nor stripe")]
    UnknownProvider(String),
    /// A billing method of the sandbox is not a valid id.
    #[error("{SANDBOX_SOURCES}: \"{0}\" is no id")]
    NoSource(String),
    /// A setting that the provider needs is missing.
    #[error("{PROVIDER} is stripe, and neither {name} nor {name}_FILE is set")]
    Missing {
        /// The variable.
        name: &'static str,
    },
    /// A secret is given twice, and this program cannot know which one counts.
    #[error("{name} and {name}_FILE are both set")]
    Twice {
        /// The variable.
        name: &'static str,
    },
    /// A secret's file cannot be read.
    #[error("{name}_FILE: {} cannot be read", path.display())]
    File {
        /// The variable without `_FILE`.
        name: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A secret begins with the wrong text; most likely it is another secret.
    #[error("{name} does not begin with {begins}")]
    NotASecret {
        /// The variable.
        name: &'static str,
        /// The text that it should begin with.
        begins: &'static str,
    },
    /// The address is not a URL, or the secret key would go there unencrypted.
    #[error("{STRIPE_URL} is not an https URL, nor an http URL of this machine")]
    Url,
    /// This machine cannot make encrypted connections.
    #[error("no encrypted connections can be made")]
    NoClient(#[source] reqwest::Error),
}

impl PaymentsError {
    /// What to do about it.
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::UnknownProvider(_) => "set RECOURSE_PAYMENTS to sandbox or to stripe",
            Self::NoSource(_) => "give the ids of billing methods with commas between, such as card-1,card-2",
            Self::Missing { .. } | Self::NotASecret { .. } => {
                "the secret key is sk_… or rk_…, the secret of a webhook endpoint whsec_…; both are in Stripe's dashboard"
            }
            Self::Twice { .. } => "unset one of the two",
            Self::File { .. } => "the file has the secret and nothing else, and this user must be allowed to read it",
            Self::Url => "unset RECOURSE_STRIPE_URL, unless a server that speaks as Stripe does is used for tests",
            Self::NoClient(_) => "install the system's certificates",
        }
    }
}

impl Payments {
    /// Reads this process's environment.
    ///
    /// # Errors
    /// If the environment lacks a setting, or gives one twice.
    pub fn from_env() -> Result<Self, PaymentsError> {
        Self::read(|name| std::env::var(name).ok())
    }

    /// Reads the values that `variable` returns for each environment variable. An empty one counts as not set.
    ///
    /// # Errors
    /// As [`Payments::from_env`].
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, PaymentsError> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        match variable(PROVIDER).as_deref() {
            None | Some("sandbox") => {
                let sources = variable(SANDBOX_SOURCES).map(|list| sources(&list)).transpose()?;
                return Ok(Self::Sandbox { sources });
            }
            Some("stripe") => {}
            Some(other) => return Err(PaymentsError::UnknownProvider(other.to_owned())),
        }
        let key = secret(&variable, STRIPE_KEY)?.ok_or(PaymentsError::Missing { name: STRIPE_KEY })?;
        if !key.reveal().starts_with("sk_") && !key.reveal().starts_with("rk_") {
            return Err(PaymentsError::NotASecret { name: STRIPE_KEY, begins: "sk_ or rk_" });
        }
        let webhook_secret = secret(&variable, STRIPE_WEBHOOK_SECRET)?;
        if webhook_secret.as_ref().is_some_and(|secret| !secret.reveal().starts_with("whsec_")) {
            return Err(PaymentsError::NotASecret { name: STRIPE_WEBHOOK_SECRET, begins: "whsec_" });
        }
        let url = variable(STRIPE_URL).unwrap_or_else(|| STRIPE.to_owned());
        let url = Url::parse(&url).ok().filter(is_safe).ok_or(PaymentsError::Url)?;
        Ok(Self::Stripe(StripeSettings { key, url, webhook_secret }))
    }

    /// Whether the provider moves no real money.
    pub const fn is_sandbox(&self) -> bool {
        matches!(self, Self::Sandbox { .. })
    }

    /// The provider. It keeps its records in `database`.
    ///
    /// # Errors
    /// [`PaymentsError::NoClient`].
    pub fn gateway(&self, database: &Database) -> Result<Arc<dyn PaymentGateway>, PaymentsError> {
        Ok(match self {
            Self::Sandbox { sources: None } => Arc::new(SandboxBank::new(database.clone())),
            Self::Sandbox { sources: Some(sources) } => {
                Arc::new(SandboxBank::new(database.clone()).with_sources(sources.clone()))
            }
            Self::Stripe(settings) => {
                Arc::new(StripeGateway::new(database.clone(), settings).map_err(PaymentsError::NoClient)?)
            }
        })
    }

    /// The reader of Stripe's events, if Stripe is used and sends events.
    pub fn stripe_callbacks(&self) -> Option<StripeCallbacks> {
        match self {
            Self::Stripe(StripeSettings { webhook_secret: Some(secret), .. }) => {
                Some(StripeCallbacks::new(secret.clone()))
            }
            Self::Sandbox { .. } | Self::Stripe(_) => None,
        }
    }
}

fn sources(list: &str) -> Result<BTreeSet<Id>, PaymentsError> {
    let ids = list.split(',').map(str::trim).filter(|text| !text.is_empty());
    ids.map(|text| Id::new(text).map_err(|_| PaymentsError::NoSource(text.to_owned()))).collect()
}

/// A secret from a variable, or from a file that another variable names.
fn secret(variable: &impl Fn(&str) -> Option<String>, name: &'static str) -> Result<Option<Hidden>, PaymentsError> {
    let text = match (variable(name), variable(&format!("{name}_FILE"))) {
        (Some(_), Some(_)) => return Err(PaymentsError::Twice { name }),
        (text, None) => text,
        (None, Some(path)) => {
            let path = PathBuf::from(path);
            let read = std::fs::read_to_string(&path);
            Some(read.map_err(|source| PaymentsError::File { name, path, source })?)
        }
    };
    Ok(text.map(|text| Hidden::new(text.trim().to_owned())))
}

/// Whether a secret may be sent to this URL: nobody on the way can read it.
fn is_safe(url: &Url) -> bool {
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return false,
    };
    url.scheme() == "https" || (url.scheme() == "http" && local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Payments, PaymentsError> {
        Payments::read(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_environment_chooses_the_provider_and_the_sandbox_is_the_default() {
        for variables in [&[][..], &[(PROVIDER, "")], &[(PROVIDER, "sandbox"), (STRIPE_KEY, "sk_test_1")]] {
            let payments = read(variables).unwrap();
            assert!(payments.is_sandbox() && payments.stripe_callbacks().is_none(), "{variables:?}");
        }
        let Ok(Payments::Stripe(settings)) = read(&[(PROVIDER, "stripe"), (STRIPE_KEY, "rk_live_1")]) else {
            panic!("it is Stripe");
        };
        assert_eq!((settings.url.as_str(), settings.webhook_secret), ("https://api.stripe.com/", None));
        let with = [(PROVIDER, "stripe"), (STRIPE_KEY, "sk_1"), (STRIPE_WEBHOOK_SECRET, "whsec_1")];
        assert!(read(&with).unwrap().stripe_callbacks().is_some());
    }

    #[test]
    fn the_environment_can_name_the_sandboxes_billing_methods() {
        let sources = |list: &str| match read(&[(SANDBOX_SOURCES, list)]).unwrap() {
            Payments::Sandbox { sources } => {
                sources.map(|sources| sources.into_iter().map(|id| id.to_string()).collect())
            }
            Payments::Stripe(_) => panic!("it is the sandbox"),
        };
        assert_eq!(sources(""), None::<Vec<String>>);
        assert_eq!(sources("card-2, card-1,"), Some(vec!["card-1".to_owned(), "card-2".to_owned()]));
    }

    #[test]
    fn errors_name_the_variable_and_never_its_value() {
        let missing = "/nonexistent/key";
        for (variables, words) in [
            (&[(PROVIDER, "strip")][..], "neither sandbox nor stripe"),
            (&[(SANDBOX_SOURCES, "card-1,card 2")], "\"card 2\" is no id"),
            (&[(PROVIDER, "stripe")], "neither RECOURSE_STRIPE_SECRET_KEY nor RECOURSE_STRIPE_SECRET_KEY_FILE"),
            (&[(PROVIDER, "stripe"), (STRIPE_KEY, "pk_live_secret")], "RECOURSE_STRIPE_SECRET_KEY does not begin"),
            (&[(PROVIDER, "stripe"), (STRIPE_KEY, "sk_secret"), (STRIPE_WEBHOOK_SECRET, "secret")], "with whsec_"),
            (&[(PROVIDER, "stripe"), ("RECOURSE_STRIPE_SECRET_KEY_FILE", missing)], missing),
            (
                &[(PROVIDER, "stripe"), (STRIPE_KEY, "sk_secret"), ("RECOURSE_STRIPE_SECRET_KEY_FILE", missing)],
                "both set",
            ),
        ] {
            let error = read(variables).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert!(!format!("{error:?} {error} {}", error.hint()).contains("secret\""), "{error:?}");
            assert!(!error.hint().is_empty());
        }
        let payments = read(&[(PROVIDER, "stripe"), (STRIPE_KEY, "sk_12345"), (STRIPE_WEBHOOK_SECRET, "whsec_67890")]);
        let shown = format!("{:?}", payments.unwrap());
        assert!(!shown.contains("12345") && !shown.contains("67890"), "{shown}");
    }

    #[test]
    fn a_secret_file_may_end_with_a_line_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, "sk_test_1\n").unwrap();
        let variables = [(PROVIDER, "stripe"), ("RECOURSE_STRIPE_SECRET_KEY_FILE", path.to_str().unwrap())];
        let Ok(Payments::Stripe(settings)) = read(&variables) else { panic!("it is Stripe") };
        assert_eq!(settings.key.reveal(), "sk_test_1");
    }

    #[test]
    fn a_secret_key_is_sent_unencrypted_only_to_this_machine() {
        let at = |url| read(&[(PROVIDER, "stripe"), (STRIPE_KEY, "sk_1"), (STRIPE_URL, url)]);
        for good in ["https://stripe.example", "http://127.0.0.1:8420", "http://[::1]:1/", "http://localhost"] {
            assert!(at(good).is_ok(), "{good}");
        }
        for bad in ["http://stripe.example", "http://10.0.0.1", "stripe", "ftp://127.0.0.1", "http://localhost.example"]
        {
            assert!(matches!(at(bad), Err(PaymentsError::Url)), "{bad}");
        }
    }
}
