//! The page that a visitor is on, what was done just before, and the problem that ends a request.

use axum::{
    http::Uri,
    response::{IntoResponse, Response},
};
use recourse_api::problem::Problem;

/// The page that a visitor is on.
#[derive(Debug, Clone)]
pub struct Place {
    /// Whether this is a sandbox.
    pub sandbox: bool,
    /// The page's path and query.
    pub path: String,
    /// What was done just before.
    pub done: Option<Done>,
}

/// The action just before a page is shown. A redirect passes its code, never a text, which anybody could make up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The case took a command.
    Taken,
    /// The server has a command, and no worker has answered yet.
    Sent,
    /// The contract has ended.
    Ended,
    /// The client has asked the freelancer for money back.
    Asked,
    /// A dispute was filed without another case before it.
    Filed,
    /// The dispute already runs.
    Running,
    /// An operator did something about a refund that did not arrive.
    Remedied,
    /// A case's clock was advanced.
    Advanced,
    /// A file was uploaded.
    Uploaded,
    /// An example was created.
    Made,
}

impl Done {
    const ALL: [Self; 10] = [
        Self::Taken,
        Self::Sent,
        Self::Ended,
        Self::Asked,
        Self::Filed,
        Self::Running,
        Self::Remedied,
        Self::Advanced,
        Self::Uploaded,
        Self::Made,
    ];

    /// Its code in a query.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Sent => "sent",
            Self::Ended => "ended",
            Self::Asked => "asked",
            Self::Filed => "filed",
            Self::Running => "running",
            Self::Remedied => "remedied",
            Self::Advanced => "advanced",
            Self::Uploaded => "uploaded",
            Self::Made => "made",
        }
    }

    /// Its text on the page.
    pub const fn in_words(self) -> &'static str {
        match self {
            Self::Taken => "Done. This is where the case stands now.",
            Self::Sent => {
                "It is sent, and counts from now. The case has not answered yet: this page shows what becomes of it."
            }
            Self::Ended => "The contract has ended. This is the case about the money that was held.",
            Self::Asked => "The money is asked back. This is the case about it.",
            Self::Filed => "The dispute is filed. This is the case about it.",
            Self::Running => "There is such a dispute already. It was left as it is.",
            Self::Remedied => "Done. This is what has become of the money.",
            Self::Advanced => "The clock of this case was advanced.",
            Self::Uploaded => "The file is here. Refer to it in a claim, a rejection or a submission.",
            Self::Made => "Here is your example contract, with its money in escrow.",
        }
    }
}

impl Place {
    /// The page to which a request goes.
    pub fn of(sandbox: bool, uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let code = query.split('&').find_map(|pair| pair.strip_prefix("done="));
        let done = code.and_then(|code| Done::ALL.into_iter().find(|done| done.code() == code));
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Self { sandbox, path: path.to_owned(), done }
    }

    /// The path of the same page with the code of an action, for a redirect.
    pub fn after(path: &str, done: Done) -> String {
        let sign = if path.contains('?') { '&' } else { '?' };
        format!("{path}{sign}done={}", done.code())
    }

    /// The path of the page without that code, for coming back.
    pub fn again(&self) -> &str {
        if self.done.is_some() { self.path.split('?').next().unwrap_or("/") } else { &self.path }
    }
}

/// A problem that ends a request. The layer that knows the visitor shows it as a page.
#[derive(Debug)]
pub struct Mishap(Box<Problem>);

impl<E> From<E> for Mishap
where
    Problem: From<E>,
{
    fn from(error: E) -> Self {
        Self(Box::new(Problem::from(error)))
    }
}

impl IntoResponse for Mishap {
    fn into_response(self) -> Response {
        let mut response = self.0.status().into_response();
        response.extensions_mut().insert(*self.0);
        response
    }
}
