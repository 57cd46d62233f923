//! How to read tokens: the same flags and variables wherever people sign in.

use clap::Args;
use recourse_api::{
    identity::{Duty, TokenRules, Tokens},
    keys::{KeySource, Keys},
};

use super::answer::Failure;

/// The issuer of tokens, and their content.
#[derive(Debug, Args)]
pub(super) struct Login {
    /// Who issues tokens: their `iss`.
    #[arg(long, env = "RECOURSE_JWT_ISSUER", value_name = "ISSUER")]
    issuer: String,
    /// Whom tokens are for: their `aud`.
    #[arg(long, env = "RECOURSE_JWT_AUDIENCE", default_value = "recourse", value_name = "AUDIENCE")]
    audience: String,
    /// The issuer's public keys: the URL or the file of a JWKS.
    #[arg(long, env = "RECOURSE_JWKS", value_name = "URL|FILE")]
    jwks: String,
    /// The claim with somebody's duties.
    #[arg(long, env = "RECOURSE_JWT_ROLES_CLAIM", default_value = "roles", value_name = "CLAIM")]
    roles_claim: String,
    /// The issuer's name for a duty, such as `dispute-team=mediator`; may be given several times, or with commas.
    #[arg(long = "role", env = "RECOURSE_JWT_ROLES", value_name = "NAME=DUTY", value_delimiter = ',', value_parser = duty_name)]
    roles: Vec<(String, Duty)>,
    /// The claim with the ids of further parties for whom a person acts, such as agencies that they own.
    #[arg(long, env = "RECOURSE_JWT_PARTIES_CLAIM", default_value = "parties", value_name = "CLAIM")]
    parties_claim: String,
}

fn duty_name(text: &str) -> Result<(String, Duty), String> {
    let (name, duty) = text.split_once('=').ok_or("expected NAME=DUTY")?;
    let known = Duty::ALL.into_iter().find(|known| known.name() == duty.trim());
    let duty = known.ok_or_else(|| format!("{duty} is none of service, mediator, arbitrator, operator"))?;
    Ok((name.trim().to_owned(), duty))
}

impl Login {
    /// A reader of tokens with the issuer's present keys.
    pub(super) async fn tokens(&self) -> Result<Tokens, Failure> {
        let keys = Keys::read(KeySource::new(&self.jwks)).await.map_err(|reason| {
            Failure::new("configuration", 2, format!("--jwks: {reason}"))
                .hint("give the URL or the file of the issuer's public keys, a JSON document with `keys`")
        })?;
        Ok(Tokens::new(self.rules(), keys))
    }

    fn rules(&self) -> TokenRules {
        let rules = TokenRules::new(&self.issuer, &self.audience);
        TokenRules {
            duties_claim: self.roles_claim.clone(),
            duty_names: if self.roles.is_empty() { rules.duty_names.clone() } else { self.roles.clone() },
            parties_claim: self.parties_claim.clone(),
            ..rules
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuers_duty_names_are_read() {
        assert_eq!(duty_name("dispute-team=mediator"), Ok(("dispute-team".to_owned(), Duty::Mediator)));
        assert!(duty_name("ops").is_err() && duty_name("ops=boss").is_err());
    }
}
