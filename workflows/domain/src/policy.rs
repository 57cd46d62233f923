//! The policy of a case: the numbers of the rule book as data. The start fixes them (T3).

use jiff::{Timestamp, civil::Date};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{evidence::EvidenceLimits, fee::FeeShare, window::Window};

/// The longest window that a policy may have, in days.
pub const WINDOW_DAYS_MAX: u32 = 366;

/// The numbers and choices that the rules use. Every field defaults to the rule book's number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, expecting = "a policy: an object")]
pub struct Policy {
    /// How long the client reviews a submission (E4).
    pub milestone_review: Window,
    /// How long the freelancer has to answer a refund request (R3).
    pub refund_response: Window,
    /// How long the client has to answer a claim (D2).
    pub claim_response: Window,
    /// When a resolution should be there (M1).
    pub resolution_target: Window,
    /// How long mediation lasts at most, from the filing (M2).
    pub mediation_limit: Window,
    /// How long the parties have to answer a resolution (M4).
    pub resolution_response: Window,
    /// How long arbitration can be demanded (A1).
    pub arbitration_demand: Window,
    /// How long a party can at least demand arbitration after the other party's share was paid (A6).
    pub arbitration_answer: Window,
    /// How long released money is pending (E9).
    pub security_period: Window,
    /// When a refund should have settled (R8).
    pub refund_settlement: Window,
    /// How long the client may ask for released money (P1).
    pub payment_refund: Window,
    /// How long the client may ask for mediation help for released money (P3).
    pub payment_mediation: Window,
    /// Dates that are no working days (T1).
    pub holidays: Vec<Date>,
    /// How many hours before a deadline those who must act get a reminder (T5).
    pub reminder_hours: Vec<u32>,
    /// What the freelancer gets if the client does not answer a claim (D3).
    pub client_silence: ClientSilence,
    /// What happens if nobody demands arbitration (A2).
    pub no_arbitration: NoArbitration,
    /// Each party's share of the arbitration fee: by currency, or one number of minor units of the case's currency (A1).
    pub arbitration_fee_share: FeeShare,
    /// What evidence is taken (D6).
    pub evidence: EvidenceLimits,
}

/// What the freelancer gets if the client does not answer a claim (D3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientSilence {
    /// The claimed amount.
    #[default]
    ClaimedAmount,
    /// Everything that is held.
    AllHeld,
}

/// What happens if nobody demands arbitration (A2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoArbitration {
    /// The client gets it back.
    #[default]
    RefundClient,
    /// The freelancer gets it.
    ReleaseFreelancer,
    /// It is split as the mediator proposed; without a proposal the client gets it back.
    FollowResolution,
    /// It stays in escrow until an operator decides.
    Hold,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            milestone_review: Window::calendar(14),
            refund_response: Window::calendar(7),
            claim_response: Window::calendar(5),
            resolution_target: Window::business(2),
            mediation_limit: Window::calendar(21),
            resolution_response: Window::calendar(2),
            arbitration_demand: Window::calendar(7),
            arbitration_answer: Window::calendar(5),
            security_period: Window::calendar(5),
            refund_settlement: Window::business(5),
            payment_refund: Window::calendar(180),
            payment_mediation: Window::calendar(30),
            holidays: Vec::new(),
            reminder_hours: vec![24],
            client_silence: ClientSilence::default(),
            no_arbitration: NoArbitration::default(),
            arbitration_fee_share: FeeShare::default(),
            evidence: EvidenceLimits::default(),
        }
    }
}

impl Policy {
    /// Every window with its field's name.
    pub fn windows(&self) -> [(&'static str, Window); 12] {
        [
            ("milestone_review", self.milestone_review),
            ("refund_response", self.refund_response),
            ("claim_response", self.claim_response),
            ("resolution_target", self.resolution_target),
            ("mediation_limit", self.mediation_limit),
            ("resolution_response", self.resolution_response),
            ("arbitration_demand", self.arbitration_demand),
            ("arbitration_answer", self.arbitration_answer),
            ("security_period", self.security_period),
            ("refund_settlement", self.refund_settlement),
            ("payment_refund", self.payment_refund),
            ("payment_mediation", self.payment_mediation),
        ]
    }

    /// Whether a case can follow this policy (T3). The error names the field.
    pub fn check(&self) -> Result<(), String> {
        for (name, window) in self.windows() {
            if !(1..=WINDOW_DAYS_MAX).contains(&window.days) {
                return Err(format!("{name}: {} days; a window has 1 to {WINDOW_DAYS_MAX} days", window.days));
            }
        }
        // One week that begins on a Monday is enough: the check only needs to know which window is longer.
        let monday = Timestamp::from_second(1_767_571_200).unwrap_or_default();
        let answered = self.claim_response.deadline(monday, &[]);
        let mediated = self.resolution_target.deadline(answered, &[]);
        if self.mediation_limit.deadline(monday, &[]) < mediated {
            return Err(format!(
                "mediation_limit: {} from the filing leaves a mediator no time: the client may take {} to answer, and a \
                 resolution {}",
                self.mediation_limit, self.claim_response, self.resolution_target
            ));
        }
        // Check the number of dates first: a search for duplicates in very many dates takes long.
        if self.holidays.len() > 1_000 {
            return Err(format!("holidays: {} dates; at most 1000", self.holidays.len()));
        }
        for (index, date) in self.holidays.iter().enumerate() {
            if self.holidays[..index].contains(date) {
                return Err(format!("holidays: {date} is given twice"));
            }
        }
        if self.reminder_hours.len() > 5 {
            return Err(format!("reminder_hours: {} reminders; at most 5", self.reminder_hours.len()));
        }
        for (index, hours) in self.reminder_hours.iter().enumerate() {
            if !(1..=24 * WINDOW_DAYS_MAX).contains(hours) {
                return Err(format!(
                    "reminder_hours: {hours}; a reminder comes 1 to {} hours before a deadline",
                    24 * WINDOW_DAYS_MAX
                ));
            }
            if self.reminder_hours[..index].contains(hours) {
                return Err(format!("reminder_hours: {hours} is given twice"));
            }
        }
        if self.evidence.max_files > 100 {
            return Err(format!("evidence.max_files: {}; at most 100", self.evidence.max_files));
        }
        Ok(())
    }

    /// When `window`, opened at `opened`, closes under this policy's holidays (T1).
    pub fn deadline(&self, window: Window, opened: Timestamp) -> Timestamp {
        window.deadline(opened, &self.holidays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Policy, String> {
        let policy: Policy = serde_json::from_str(json).map_err(|error| error.to_string())?;
        policy.check().map(|()| policy)
    }

    /// T3: the default policy is the rule book's, and each field can be set alone.
    #[test]
    fn a_policy_defaults_to_the_rule_book() {
        let policy = read("{}").unwrap();
        assert_eq!(policy, Policy::default());
        let words = policy.windows().map(|(name, window)| format!("{name} {window}")).join("\n");
        assert_eq!(
            words,
            "milestone_review 14 days\nrefund_response 7 days\nclaim_response 5 days\nresolution_target 2 business days\nmediation_limit 21 days\nresolution_response 2 days\narbitration_demand 7 days\narbitration_answer 5 days\nsecurity_period 5 days\nrefund_settlement 5 business days\npayment_refund 180 days\npayment_mediation 30 days"
        );
        assert_eq!(serde_json::to_value(&policy.arbitration_fee_share).unwrap(), serde_json::json!({"USD": 33_750}));
        let set = read(r#"{"claim_response":{"days":5,"unit":"business"},"evidence":{"max_files":3}}"#).unwrap();
        assert_eq!(set.claim_response, Window::business(5));
        assert_eq!((set.evidence.max_files, set.evidence.max_bytes), (3, 26_214_400));
    }

    /// T3: zero or absurd windows, duplicate holidays, unknown units are refused.
    #[test]
    fn an_impossible_policy_is_refused_with_the_field() {
        for (json, word) in [
            (r#"{"refund_response":{"days":0,"unit":"calendar"}}"#, "refund_response"),
            (r#"{"claim_response":{"days":367,"unit":"calendar"}}"#, "claim_response"),
            (r#"{"claim_response":{"days":-1,"unit":"calendar"}}"#, "invalid value"),
            (r#"{"claim_response":{"days":5,"unit":"fortnight"}}"#, "fortnight"),
            (r#"{"mediation_limit":{"days":6,"unit":"calendar"}}"#, "mediation_limit"),
            (r#"{"holidays":["2026-12-25","2026-12-25"]}"#, "2026-12-25"),
            (r#"{"holidays":["2026-02-30"]}"#, "2026-02"),
            (r#"{"reminder_hours":[0]}"#, "reminder_hours"),
            (r#"{"reminder_hours":[24,24]}"#, "twice"),
            (r#"{"reminder_hours":[1,2,3,4,5,6]}"#, "at most 5"),
            (r#"{"evidence":{"max_files":101}}"#, "at most 100"),
            (r#"{"arbitration_fee_share":-1}"#, "at least 0"),
            (r#"{"arbitration_fee_share":{"dollars":1}}"#, "\"dollars\" is not a currency"),
            (r#"{"arbitration_answer":{"days":0,"unit":"calendar"}}"#, "arbitration_answer"),
            (r#"{"no_arbitration":"keep"}"#, "keep"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(word), "{json}: {error}");
        }
        let many = Policy { holidays: vec!["2026-12-25".parse().unwrap(); 1_001], ..Policy::default() };
        assert_eq!(many.check().unwrap_err(), "holidays: 1001 dates; at most 1000");
    }
}
