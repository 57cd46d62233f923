//! Amounts and currencies. Integers of minor units only: no float touches money anywhere in this project (L1).

use std::fmt;

use iso_currency::Currency as Iso;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::text::shortened;

/// The largest amount: 2^53 − 1 minor units, the largest integer that every JSON reader keeps exact.
pub const AMOUNT_MAX: i64 = 9_007_199_254_740_991;

/// An amount of money in minor units of the currency it belongs to (`30000` is 300.00 USD). Never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Amount(#[schemars(range(min = 0))] i64);

/// Why a number is not an [`Amount`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Less than zero.
    #[error("an amount is at least 0 minor units, not {0}")]
    Negative(i64),
    /// More than [`AMOUNT_MAX`].
    #[error("an amount is at most {AMOUNT_MAX} minor units, not {0}")]
    TooLarge(i64),
    /// A text that is not a decimal number of this currency.
    #[error("\"{text}\" is not an amount of {currency}; write it like {example}")]
    NotAnAmount {
        /// What was given.
        text: String,
        /// The currency it should be in.
        currency: Currency,
        /// A well-formed amount of that currency.
        example: String,
    },
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount of `minor` minor units.
    pub fn new(minor: i64) -> Result<Self, AmountError> {
        match minor {
            ..0 => Err(AmountError::Negative(minor)),
            0..=AMOUNT_MAX => Ok(Self(minor)),
            _ => Err(AmountError::TooLarge(minor)),
        }
    }

    /// The number of minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// Whether this is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `self + other`, or none if the sum is not an amount.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(|minor| Self::new(minor).ok())
    }

    /// `self - other`, or none if `other` is more.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).and_then(|minor| Self::new(minor).ok())
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Value::deserialize(deserializer)?;
        let minor = number.as_i64().ok_or_else(|| {
            D::Error::custom(format!("expected an amount, a whole number of minor units, not {number}"))
        })?;
        Self::new(minor).map_err(D::Error::custom)
    }
}

/// An ISO 4217 currency by its three letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency(Iso);

/// A code that does not name a currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a currency; use an ISO 4217 code such as USD")]
pub struct UnknownCurrency(String);

impl Currency {
    /// The currency with this ISO 4217 code.
    pub fn from_code(code: &str) -> Result<Self, UnknownCurrency> {
        Iso::from_code(code).map(Self).ok_or_else(|| UnknownCurrency(shortened(code)))
    }

    /// The three letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// How many decimal places the minor unit stands for: 2 for USD, 0 for JPY, 3 for KWD.
    pub fn decimals(self) -> u32 {
        self.0.exponent().unwrap_or(0).into()
    }

    /// The amount as people write it: `1,234.50 USD`.
    pub fn show(self, amount: Amount) -> String {
        format!("{} {}", self.number(amount), self.code())
    }

    /// The amount as people write it, without the currency: `1,234.50`.
    pub fn number(self, amount: Amount) -> String {
        let decimals = self.decimals();
        let unit = 10_i64.pow(decimals);
        let (whole, part) = (amount.minor() / unit, amount.minor() % unit);
        let digits = whole.to_string();
        let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                grouped.push(',');
            }
            grouped.push(digit);
        }
        if decimals == 0 { grouped } else { format!("{grouped}.{part:0width$}", width = decimals as usize) }
    }

    /// Reads what a person typed: `300`, `300.5` or `300.50` for USD. No sign, no separators, no more decimals than
    /// the currency has.
    pub fn parse(self, text: &str) -> Result<Amount, AmountError> {
        let refuse = || AmountError::NotAnAmount {
            text: shortened(text),
            currency: self,
            example: self.number(Amount(30_000)).replace(',', ""),
        };
        let decimals = self.decimals() as usize;
        let (whole, part) = match text.split_once('.') {
            Some((whole, part)) if !part.is_empty() => (whole, part),
            Some(_) => return Err(refuse()),
            None => (text, ""),
        };
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || part.len() > decimals || !digits(whole) || !digits(part) {
            return Err(refuse());
        }
        let minor: i64 = format!("{whole}{part:0<decimals$}").parse().map_err(|_| refuse())?;
        Amount::new(minor)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::from_code(&code).map_err(D::Error::custom)
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217 code"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::from_code(code).unwrap()
    }

    #[test]
    fn amounts_are_shown_and_read_in_the_currencys_own_decimals() {
        for (code, minor, text) in [
            ("USD", 30_000, "300.00"),
            ("USD", 1, "0.01"),
            ("USD", 123_456_789, "1,234,567.89"),
            ("JPY", 1, "1"),
            ("JPY", 1_500, "1,500"),
            ("KWD", 1, "0.001"),
            ("KWD", 12_345, "12.345"),
        ] {
            let amount = Amount::new(minor).unwrap();
            assert_eq!(currency(code).number(amount), text, "{code}");
            assert_eq!(currency(code).parse(&text.replace(',', "")), Ok(amount), "{code} {text}");
        }
    }

    #[test]
    fn invalid_amounts_are_refused_with_an_example() {
        for text in ["", ".5", "1.", "1.234", "-1", "+1", "1,000", "1e3", "ten", "1.2.3", "٣"] {
            let error = currency("USD").parse(text).unwrap_err().to_string();
            assert!(error.contains("300.00"), "{text:?}: {error}");
        }
        assert!(currency("JPY").parse("1.5").is_err());
        assert!(currency("USD").parse("9999999999999").is_ok());
        assert!(matches!(
            currency("USD").parse("99999999999999999"),
            Err(AmountError::TooLarge(_) | AmountError::NotAnAmount { .. })
        ));
    }

    #[test]
    fn json_amounts_are_whole_and_not_negative() {
        assert_eq!(serde_json::from_str::<Amount>("30000").unwrap().minor(), 30_000);
        for json in ["-1", "1.5", "\"300\"", "null", "9007199254740992", "1e400", "[]"] {
            assert!(serde_json::from_str::<Amount>(json).is_err(), "{json}");
        }
    }
}
