//! The postman sends queued emails in the background, each at most once. While the mail server is down, it keeps them
//! until the server is back (N2, N3).

use std::{
    fmt,
    future::{Future, ready},
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use lettre::{
    Message,
    message::{Mailbox, MultiPart},
};
use recourse_database::{Database, in_time};
use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use super::{
    NoticeError,
    email::{self, EmailState, OutboxEmail},
    smtp::{Delivery, SmtpServer},
};

/// How many emails the postman handles before it checks whether it should stop, or whether others are due.
const BATCH: u32 = 50;

/// How often the postman tries to store an email's state before it gives up; then the state is `unknown`.
const MARK_TRIES: u32 = 10;

/// How emails leave.
#[derive(Clone, PartialEq, Eq)]
pub struct MailConfig {
    /// The mail server: `smtp://host:port`, `smtp://user:password@host:port?tls=required` or `smtps://…`. Without one
    /// none is sent.
    pub url: Option<String>,
    /// The sender: `Recourse <recourse@example.com>`.
    pub from: String,
    /// Whether all its people are invented. Then, without a server, the log has whole emails; otherwise only that they
    /// were not sent.
    pub sandbox: bool,
}

impl fmt::Debug for MailConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the URL: it may hold a password, and configurations often get into logs.
        write!(f, "MailConfig {{ from: {:?}, has_server: {} }}", self.from, self.url.is_some())
    }
}

/// Why a [`MailConfig`] cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MailConfigError {
    /// The URL is not shown: it may hold a password.
    #[error("the mail server's URL cannot be read; write it like smtp://host:25 or smtps://user:password@host:465")]
    Url,
    /// The sender is not an address.
    #[error("\"{from}\" is no sender; write it like Recourse <recourse@example.com>")]
    From {
        /// The given sender.
        from: String,
    },
}

/// How fast a [`Postman`] works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How often it looks for emails without being woken.
    pub poll: Duration,
    /// How long an email waits after a failed try; twice as long after each further one.
    pub retry_first: Duration,
    /// The longest wait.
    pub retry_max: Duration,
    /// A postman that has been sending an email for this long counts as dead.
    pub lease: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            poll: Duration::from_secs(1),
            retry_first: Duration::from_secs(1),
            retry_max: Duration::from_mins(1),
            lease: Duration::from_mins(2),
        }
    }
}

/// Sends queued emails. [`super::NoticeBook::postman`] makes one; several may work on the same database.
#[derive(Debug)]
pub struct Postman {
    database: Database,
    waker: Arc<Notify>,
    from: Mailbox,
    /// Absent: no email is sent.
    server: Option<SmtpServer>,
    sandbox: bool,
    pace: Pace,
}

/// Whether to try the rest of a batch.
enum Next {
    GoOn,
    ChannelDown,
}

impl Postman {
    pub(super) fn new(database: Database, waker: Arc<Notify>, config: &MailConfig) -> Result<Self, MailConfigError> {
        let from = config.from.parse().map_err(|_| MailConfigError::From { from: config.from.clone() })?;
        let server = match &config.url {
            Some(url) => Some(SmtpServer::from_url(url).ok_or(MailConfigError::Url)?),
            None => None,
        };
        Ok(Self { database, waker, from, server, sandbox: config.sandbox, pace: Pace::default() })
    }

    /// The same postman with other times.
    #[must_use]
    pub const fn at_pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Works until `shutdown` is done. It first finishes an email that it is sending.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let mut look_at = Instant::now();
        loop {
            match self.look_around(&mut look_at, shutdown.as_mut()).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the outbox cannot be read; trying again");
                }
            }
            tokio::select! {
                biased;
                () = &mut shutdown => return,
                () = self.waker.notified() => {}
                () = sleep(self.pace.poll) => {}
            }
        }
    }

    /// Sends due emails, and from time to time gives up those of dead postmen: nobody is woken when one dies. True if
    /// it must stop.
    async fn look_around(
        &self,
        look_at: &mut Instant,
        shutdown: Pin<&mut impl Future<Output = ()>>,
    ) -> Result<bool, NoticeError> {
        if *look_at <= Instant::now() {
            self.give_up_lost().await?;
            *look_at = Instant::now() + self.pace.poll;
        }
        self.round(shutdown).await
    }

    /// Sends due emails. True if it must stop.
    async fn round(&self, mut shutdown: Pin<&mut impl Future<Output = ()>>) -> Result<bool, NoticeError> {
        let Some(server) = &self.server else {
            self.write_to_log().await?;
            return Ok(false);
        };
        loop {
            let batch = in_time(email::due(&self.database, Timestamp::now(), BATCH), NoticeError::from).await?;
            if batch.is_empty() {
                return Ok(false);
            }
            for email in batch {
                tokio::select! {
                    biased;
                    () = &mut shutdown => return Ok(true),
                    () = ready(()) => {}
                }
                if let Next::ChannelDown = self.send(server, &email).await? {
                    return Ok(false);
                }
            }
        }
    }

    /// Gives up on emails whose postman died while it was sending them.
    async fn give_up_lost(&self) -> Result<(), NoticeError> {
        let lost = email::give_up(&self.database, before(Timestamp::now(), self.pace.lease));
        for lost in in_time(lost, NoticeError::from).await? {
            tracing::error!(case = %lost.case_ref, number = lost.number, recipient = %lost.recipient, rule = "N2",
                "an email may or may not have been sent, because its postman stopped; it is not sent again");
        }
        Ok(())
    }

    /// Marks due emails as not sent, and writes to the log. Nothing leaves, so nothing is claimed first.
    async fn write_to_log(&self) -> Result<(), NoticeError> {
        loop {
            let written = email::not_sent(&self.database, Timestamp::now(), BATCH);
            let written = in_time(written, NoticeError::from).await?;
            for email in &written {
                if self.sandbox {
                    tracing::info!(to = %email.address, subject = %email.subject, body = %email.text,
                        "no mail server is configured; an email is written here instead");
                } else {
                    // Many people keep, copy and read logs: this one has no text and no address of anybody.
                    tracing::warn!(case = %email.case_ref, recipient = %email.recipient, event = %email.event,
                        "no mail server is configured (RECOURSE_SMTP_URL): an email was not sent; its notice is in the app");
                }
            }
            if written.is_empty() {
                return Ok(());
            }
        }
    }

    async fn send(&self, server: &SmtpServer, email: &OutboxEmail) -> Result<Next, NoticeError> {
        let claim = email::claim(&self.database, email.sequence, Timestamp::now());
        if !in_time(claim, NoticeError::from).await? {
            return Ok(Next::GoOn);
        }
        let delivery = match self.message(email) {
            Ok(message) => server.deliver(&message).await,
            Err(reason) => Delivery::Refused(reason),
        };
        let mut next = Next::GoOn;
        let (state, reason) = match delivery {
            Delivery::Sent => (EmailState::Sent, None),
            Delivery::NotNow(reason) => (EmailState::Queued, Some(reason)),
            Delivery::ChannelDown(reason) => {
                next = Next::ChannelDown;
                (EmailState::Queued, Some(reason))
            }
            Delivery::Refused(reason) => (EmailState::Failed, Some(reason)),
            Delivery::Unknown(reason) => (EmailState::Unknown, Some(reason)),
        };
        if let Some(reason) = &reason {
            let state = state.name();
            tracing::warn!(case = %email.case_ref, number = email.number, recipient = %email.recipient, state, %reason,
                "an email was not sent");
        }
        self.mark(email, state, reason.as_deref()).await?;
        Ok(next)
    }

    fn message(&self, email: &OutboxEmail) -> Result<Message, String> {
        let address = email.address.parse().map_err(|error| format!("the address: {error}"))?;
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(Some(email.name.clone()), address))
            .subject(&email.subject)
            // The same for every try, so that a recipient's program can recognise the email.
            .message_id(Some(format!("<{}@{}>", email.key(), self.from.email.domain())))
            .multipart(MultiPart::alternative_plain_html(email.text.clone(), email.html.clone()))
            .map_err(|error| error.to_string())
    }

    /// Stores an email's state, with several tries: without it, the email is `unknown` later.
    async fn mark(&self, email: &OutboxEmail, state: EmailState, reason: Option<&str>) -> Result<(), NoticeError> {
        let attempts_before = u32::try_from(email.attempts).unwrap_or(u32::MAX);
        let wait = self.pace.retry_first.saturating_mul(2_u32.saturating_pow(attempts_before)).min(self.pace.retry_max);
        let mut tries = 1;
        loop {
            let mark = email::mark(&self.database, email.sequence, state, reason, after(Timestamp::now(), wait));
            let marked = in_time(mark, NoticeError::from).await;
            if marked.is_ok() || tries == MARK_TRIES {
                return marked;
            }
            tries += 1;
            sleep(self.pace.poll).await;
        }
    }
}

fn before(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_sub(by).ok()).unwrap_or(Timestamp::MIN)
}

fn after(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
