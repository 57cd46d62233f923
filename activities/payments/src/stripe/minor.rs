//! Amounts in Stripe's smallest unit. For most currencies it is ISO 4217's, but not for all.

use recourse_domain::money::{Amount, Currency};

/// ISO 4217 has no decimals for these, and Stripe has two, which are always 00.
const A_HUNDREDFOLD: [&str; 2] = ["ISK", "UGX"];

/// ISO 4217 has two decimals for these, and Stripe has none.
const A_HUNDREDTH: [&str; 1] = ["MGA"];

/// These have three decimals, and at Stripe the last is always 0.
const IN_TENS: [&str; 5] = ["BHD", "JOD", "KWD", "OMR", "TND"];

/// The amount in Stripe's smallest unit, as the decimal number to send.
///
/// # Errors
/// Why Stripe cannot move this amount, as a text for the sender. Nothing is rounded.
pub fn of(currency: Currency, amount: Amount) -> Result<String, String> {
    let (code, minor) = (currency.code(), amount.minor());
    let in_steps_of = |step: i64| {
        if minor % step == 0 {
            return Ok(minor);
        }
        let smallest = Amount::new(step).map(|step| currency.show(step)).unwrap_or_default();
        Err(format!("Stripe moves {code} in steps of {smallest} only, and this is {}", currency.show(amount)))
    };
    let units = match currency.decimals() {
        0 if A_HUNDREDFOLD.contains(&code) => minor.checked_mul(100).ok_or_else(|| "it is too much".to_owned())?,
        2 if A_HUNDREDTH.contains(&code) => in_steps_of(100)? / 100,
        3 if IN_TENS.contains(&code) => in_steps_of(10)?,
        0 | 2 => minor,
        _ => return Err(format!("Stripe does not take {code}")),
    };
    Ok(units.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_sent_in_stripes_own_units_and_never_rounded() {
        for (code, minor, sent) in [
            ("USD", 30_000, Ok("30000")),
            ("EUR", 1, Ok("1")),
            // Zero decimals in both.
            ("JPY", 500, Ok("500")),
            ("KRW", 500, Ok("500")),
            ("CLP", 500, Ok("500")),
            ("VND", 500, Ok("500")),
            ("XAF", 500, Ok("500")),
            // Zero decimals for ISO 4217, two for Stripe.
            ("UGX", 5, Ok("500")),
            ("ISK", 5, Ok("500")),
            // Two decimals for ISO 4217, none for Stripe.
            ("MGA", 500, Ok("5")),
            ("MGA", 550, Err("in steps of 1.00 MGA")),
            // Two decimals for a charge. Stripe has zero only for a payout to a bank account, and Recourse makes none.
            ("HUF", 1_050, Ok("1050")),
            ("TWD", 1_050, Ok("1050")),
            ("KWD", 5_120, Ok("5120")),
            ("KWD", 5_124, Err("in steps of 0.010 KWD only, and this is 5.124 KWD")),
            ("TND", 10, Ok("10")),
            ("BHD", 1, Err("in steps of")),
            ("LYD", 1_000, Err("does not take LYD")),
            ("IQD", 1_000, Err("does not take IQD")),
            ("CLF", 10_000, Err("does not take CLF")),
        ] {
            let currency = Currency::from_code(code).unwrap();
            match (of(currency, Amount::new(minor).unwrap()), sent) {
                (Ok(found), Ok(sent)) => assert_eq!(found, sent, "{minor} {code}"),
                (Err(found), Err(words)) => assert!(found.contains(words), "{minor} {code}: {found}"),
                (found, _) => panic!("{minor} {code}: {found:?}"),
            }
        }
    }

    /// The test fails if a list has a currency whose decimals in ISO 4217 do not fit the list.
    #[test]
    fn the_exceptions_have_the_decimals_of_their_list() {
        for (codes, decimals) in [(&A_HUNDREDFOLD[..], 0), (&A_HUNDREDTH, 2), (&IN_TENS, 3)] {
            for code in codes {
                assert_eq!(Currency::from_code(code).unwrap().decimals(), decimals, "{code}");
            }
        }
    }
}
