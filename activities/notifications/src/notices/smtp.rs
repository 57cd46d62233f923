//! Sends one email to one mail server in steps, because the meaning of a failure depends on the step: until the server
//! gets the message nothing was delivered, and after that it may have been.

use std::{fmt, time::Duration};

use lettre::{
    Address, Message,
    transport::smtp::{
        Error,
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailParameter},
    },
};
use tokio::time::timeout;

/// How long connecting may take, and also how long announcing a message may take.
const STEP: Duration = Duration::from_secs(20);

/// How long the server may take for a message. All steps together stay within the postman's lease.
const HAND_OVER: Duration = Duration::from_secs(40);

/// The result of sending a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Delivery {
    /// The server took it.
    Sent,
    /// The connection failed; the server took nothing.
    ChannelDown(String),
    /// The server did not take this one now.
    NotNow(String),
    /// The server will never take this one.
    Refused(String),
    /// The server may have taken it.
    Unknown(String),
}

/// The address of a mail server, and how to connect to it.
#[derive(Clone)]
pub(super) struct SmtpServer {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
}

impl fmt::Debug for SmtpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpServer({}:{}, {:?})", self.host, self.port, self.security)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    /// Not encrypted: only for a server on the same machine or network.
    None,
    /// Encrypted after the greeting.
    StartTls,
    /// Encrypted from the start.
    Tls,
}

impl SmtpServer {
    /// Reads `smtp://[user:password@]host[:port][?tls=required]` or `smtps://…`. Nothing if it is neither.
    pub fn from_url(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (login, server) = match rest.rsplit_once('@') {
            Some((login, server)) => (Some(login), server),
            None => (None, rest),
        };
        let server = server.trim_end_matches('/');
        let (security, port) = match (scheme, query) {
            ("smtp", "") => (Security::None, 25),
            ("smtp", "tls=required") => (Security::StartTls, 587),
            ("smtps", "") => (Security::Tls, 465),
            _ => return None,
        };
        // An IPv6 address has colons itself, and is in brackets.
        let (host, port) = match server.rsplit_once(':') {
            Some((host, digits)) if !digits.ends_with(']') => (host, digits.parse().ok()?),
            _ => (server, port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let credentials = match login {
            Some(login) => {
                let (user, password) = login.split_once(':')?;
                Some(Credentials::new(percent_decoded(user)?, percent_decoded(password)?))
            }
            None => None,
        };
        (!host.is_empty()).then(|| Self { host: host.to_owned(), port, security, credentials })
    }

    /// Gives `message` to the server, at most once.
    pub async fn deliver(&self, message: &Message) -> Delivery {
        let mut connection = match timeout(STEP, self.connect()).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(error)) => return Delivery::ChannelDown(in_words(&error)),
            Err(_) => return Delivery::ChannelDown("the server did not answer in time".into()),
        };
        match timeout(STEP, announce(&mut connection, message)).await {
            Ok(Ok(())) => {}
            Ok(Err(delivery)) => return delivery,
            Err(_) => return Delivery::NotNow("the server did not answer in time".into()),
        }
        // From here on the server may have the message, even if its answer never arrives.
        let delivery = match timeout(HAND_OVER, connection.message(&message.formatted())).await {
            Ok(Ok(_)) => Delivery::Sent,
            Ok(Err(error)) if error.is_transient() => Delivery::NotNow(in_words(&error)),
            Ok(Err(error)) if error.is_permanent() => Delivery::Refused(in_words(&error)),
            Ok(Err(error)) => Delivery::Unknown(in_words(&error)),
            Err(_) => Delivery::Unknown("the server did not answer in time".into()),
        };
        // This is only polite: the result is known.
        let _ = timeout(Duration::from_secs(1), connection.quit()).await;
        delivery
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let name = ClientId::default();
        let tls = || TlsParameters::new(self.host.clone());
        let implicit = if self.security == Security::Tls { Some(tls()?) } else { None };
        let address = (self.host.as_str(), self.port);
        let mut connection = AsyncSmtpConnection::connect_tokio1(address, Some(STEP), &name, implicit, None).await?;
        if self.security == Security::StartTls {
            connection.starttls(tls()?, &name).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

/// Sends sender and recipient, and asks to begin.
async fn announce(connection: &mut AsyncSmtpConnection, message: &Message) -> Result<(), Delivery> {
    let (from, to) = (message.envelope().from().cloned(), message.envelope().to());
    let is_ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
    let mut parameters = Vec::new();
    if !from.iter().chain(to).all(is_ascii) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Delivery::Refused("the server only takes addresses in ASCII".into()));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    connection.command(Mail::new(from, parameters)).await.map_err(|error| not_announced(&error))?;
    for to in to {
        connection.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(|error| not_announced(&error))?;
    }
    connection.command(Data).await.map_err(|error| not_announced(&error))?;
    Ok(())
}

fn not_announced(error: &Error) -> Delivery {
    if error.is_permanent() { Delivery::Refused(in_words(error)) } else { Delivery::NotNow(in_words(error)) }
}

/// An error with its causes.
fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        // lettre's own text ends with the text of its cause.
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        cause = error.source();
    }
    words
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_server_urls_are_read() {
        for (url, shown) in [
            ("smtp://localhost:2525", "SmtpServer(localhost:2525, None)"),
            ("smtp://mail.example.com", "SmtpServer(mail.example.com:25, None)"),
            ("smtp://[::1]:2525", "SmtpServer(::1:2525, None)"),
            ("smtp://[::1]", "SmtpServer(::1:25, None)"),
            ("smtp://me:p%40ss@host:587?tls=required", "SmtpServer(host:587, StartTls)"),
            ("smtps://me:secret@host/", "SmtpServer(host:465, Tls)"),
        ] {
            assert_eq!(SmtpServer::from_url(url).map(|server| format!("{server:?}")).as_deref(), Some(shown), "{url}");
        }
        for url in
            ["", "localhost:25", "http://host", "smtp://", "smtp://host:port", "smtp://me@host", "smtp://%zz:x@h"]
        {
            assert!(SmtpServer::from_url(url).is_none(), "{url}");
        }
        assert_eq!(percent_decoded("p%40s%C3%A9").as_deref(), Some("p@sé"));
    }
}
