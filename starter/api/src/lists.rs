//! Lists come in pages; every page has a limit.

use recourse_domain::text::shortened;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::Problem;

/// How many items a page has by default.
const LIMIT: u32 = 50;

/// How many items a page has at most.
pub const LIMIT_MAX: u32 = 200;

/// Which page.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before.
    after: Option<String>,
}

impl Limit {
    /// At most this many items, after the `next` of the page before.
    pub const fn new(limit: u32, after: Option<String>) -> Self {
        Self { limit: Some(limit), after }
    }

    /// How many items at most.
    pub fn limit(&self) -> u32 {
        limited(self.limit)
    }

    /// The `next` of the page before.
    pub fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }
}

/// How much of a list that has one page only, the newest.
#[derive(Debug, Clone, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Newest {
    /// How many items at most.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
}

impl Newest {
    /// How many items at most.
    pub fn limit(&self) -> u32 {
        limited(self.limit)
    }
}

/// The place in a list that a page comes after, where places are numbers.
///
/// # Errors
/// A problem of status 400 if it is not a number.
pub fn position(after: &str) -> Result<i64, Problem> {
    let number = after.parse().ok().filter(|_| after.bytes().all(|byte| byte.is_ascii_digit()));
    number.ok_or_else(|| {
        let problem = Problem::unreadable(format!("after: {} is no page of this list", shortened(after)));
        problem.hint("send the `next` of the page before as it is")
    })
}

/// A limit within the allowed range.
pub fn limited(limit: Option<u32>) -> u32 {
    limit.unwrap_or(LIMIT).clamp(1, LIMIT_MAX)
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The value to ask for the next page with; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Cuts a list that may have one item too many down to a page, and returns the value for the next page.
    pub fn cut(items: &mut Vec<T>, limit: u32, name: impl Fn(&T) -> String) -> Option<String> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        items.last().filter(|_| more).map(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_positions_are_numbers() {
        assert_eq!(position("0").unwrap(), 0);
        assert_eq!(position("9223372036854775807").unwrap(), i64::MAX);
        for text in ["", "-1", "+1", "00x", "zz", "9223372036854775808", "1.5", "\u{663}"] {
            assert_eq!(position(text).unwrap_err().status, 400, "{text}");
        }
    }
}
