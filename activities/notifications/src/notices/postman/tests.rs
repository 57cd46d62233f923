//! The postman against a mail server that the tests control.

use std::{collections::VecDeque, sync::Mutex};

use recourse_database::testing::TestDatabase;
use recourse_domain::party::Role;
use recourse_workflows::effects::Tell;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
};

use super::*;
use crate::notices::{
    NoticeBook,
    tests::{notice, tell},
};

/// What the mail server does with one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Take,
    /// Answers this to `RCPT TO`.
    AtRecipient(&'static str),
    /// Answers this to the message.
    AtMessage(&'static str),
    /// Closes the connection as soon as it has the message.
    TakeAndVanish,
    /// Closes the connection at `DATA`.
    VanishBefore,
    /// Greets with this text.
    AtGreeting(&'static str),
}

#[derive(Debug, Default)]
struct MailServer {
    /// `Take`, when there are none.
    answers: Mutex<VecDeque<Answer>>,
    taken: Mutex<Vec<String>>,
    recipients: Mutex<Vec<String>>,
    arrived: Notify,
}

impl MailServer {
    async fn listen(port: u16, answers: &[Answer]) -> (Arc<Self>, u16, JoinHandle<()>) {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Arc::new(Self { answers: Mutex::new(answers.iter().copied().collect()), ..Self::default() });
        let listening = server.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = listening.clone();
                tokio::spawn(async move { server.talk(stream).await });
            }
        });
        (server, port, task)
    }

    async fn talk(&self, stream: TcpStream) -> Option<()> {
        let answer = self.answers.lock().unwrap().pop_front().unwrap_or(Answer::Take);
        let mut stream = BufReader::new(stream);
        let greeting = if let Answer::AtGreeting(text) = answer { text } else { "220 hello" };
        stream.write_all(format!("{greeting}\r\n").as_bytes()).await.ok()?;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let reply = match (line.split_whitespace().next().unwrap_or(""), answer) {
                ("RCPT", Answer::AtRecipient(text)) => text,
                ("RCPT", _) => {
                    self.recipients.lock().unwrap().push(line.trim().to_owned());
                    "250 fine"
                }
                ("DATA", Answer::VanishBefore) => return None,
                ("DATA", _) => {
                    stream.write_all(b"354 go on\r\n").await.ok()?;
                    let message = read_message(&mut stream).await?;
                    if let Answer::AtMessage(text) = answer {
                        text
                    } else {
                        self.taken.lock().unwrap().push(message);
                        self.arrived.notify_one();
                        if answer == Answer::TakeAndVanish {
                            return None;
                        }
                        "250 taken"
                    }
                }
                ("QUIT", _) => "221 bye",
                _ => "250 fine",
            };
            stream.write_all(format!("{reply}\r\n").as_bytes()).await.ok()?;
        }
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

async fn read_message(stream: &mut BufReader<TcpStream>) -> Option<String> {
    let mut message = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        if line == ".\r\n" {
            return Some(message);
        }
        message.push_str(&line);
    }
}

const FAST: Pace = Pace {
    poll: Duration::from_millis(5),
    retry_first: Duration::from_millis(5),
    retry_max: Duration::from_millis(20),
    lease: Duration::from_mins(2),
};

struct Office {
    _test: TestDatabase,
    database: Database,
    book: NoticeBook,
}

impl Office {
    async fn new() -> Self {
        let test = TestDatabase::new().await;
        let database = test.database.clone();
        Self { _test: test, book: NoticeBook::new(database.clone()), database }
    }

    async fn queue(&self, case_ref: &str) {
        self.tell(&tell(case_ref, vec![notice(1, Role::Client, true)])).await;
    }

    async fn tell(&self, told: &Tell) {
        self.book.tell(told).await.unwrap();
    }

    fn postman(&self, port: u16, pace: Pace) -> (oneshot::Sender<()>, JoinHandle<()>) {
        let config = MailConfig {
            url: Some(format!("smtp://127.0.0.1:{port}")),
            from: "Recourse <recourse@example.com>".into(),
            sandbox: false,
        };
        self.postman_of(&config, pace)
    }

    fn postman_of(&self, config: &MailConfig, pace: Pace) -> (oneshot::Sender<()>, JoinHandle<()>) {
        let (stop, stopped) = oneshot::channel();
        let postman = self.book.postman(config).unwrap().at_pace(pace);
        let running = tokio::spawn(postman.run(async move { drop(stopped.await) }));
        (stop, running)
    }

    /// Waits until `is_so` holds for all emails, and fails the test if it never does.
    async fn until(&self, is_so: impl Fn(&[OutboxEmail]) -> bool) -> Vec<OutboxEmail> {
        for _ in 0..2_000 {
            let emails = self.book.emails().await.unwrap();
            if is_so(&emails) {
                return emails;
            }
            sleep(Duration::from_millis(5)).await;
        }
        let emails = self.book.emails().await.unwrap();
        unreachable!("{:?}", emails.iter().map(|email| (email.state, &email.reason)).collect::<Vec<_>>());
    }

    async fn until_all(&self, state: EmailState) -> Vec<OutboxEmail> {
        self.until(|emails| emails.iter().all(|email| email.state == state)).await
    }
}

#[tokio::test]
async fn an_email_is_sent_in_both_forms_with_a_key_of_its_own() {
    let (server, port, _task) = MailServer::listen(0, &[]).await;
    let office = Office::new().await;
    office.queue("refund-request:c-1#2").await;
    let (stop, running) = office.postman(port, FAST);
    let emails = office.until_all(EmailState::Sent).await;
    assert_eq!((emails[0].attempts, &emails[0].reason), (1, &None));
    stop.send(()).unwrap();
    running.await.unwrap();
    let taken = server.taken();
    assert_eq!(taken.len(), 1);
    for part in [
        "From: Recourse <recourse@example.com>",
        "Message-ID: <refund-request=3Ac-1=232.1.refund_requested.client@example.com>",
        "Content-Type: text/plain",
        "Content-Type: text/html",
        "Subject: You asked for 5.00 USD back (Logo & brand)",
        "<ada@example.com>",
    ] {
        assert!(taken[0].contains(part), "{part} is not in {}", taken[0]);
    }
}

/// N2, N3: the consequence of a failure at each step, and how often the server took the message.
#[tokio::test]
async fn every_failure_has_its_own_consequence() {
    use Answer::{AtGreeting, AtMessage, AtRecipient, Take, TakeAndVanish, VanishBefore};
    for (answers, state, attempts, taken) in [
        (vec![AtRecipient("450 try later"), AtMessage("451 try later"), Take], EmailState::Sent, 3, 1),
        (vec![AtGreeting("421 too busy"), AtGreeting("554 not now"), Take], EmailState::Sent, 3, 1),
        (vec![VanishBefore, VanishBefore, Take], EmailState::Sent, 3, 1),
        (vec![AtRecipient("550 nobody here")], EmailState::Failed, 1, 0),
        (vec![AtMessage("554 we do not like it")], EmailState::Failed, 1, 0),
        (vec![TakeAndVanish], EmailState::Unknown, 1, 1),
    ] {
        let (server, port, _task) = MailServer::listen(0, &answers).await;
        let office = Office::new().await;
        office.queue("dispute:c-1").await;
        let (stop, running) = office.postman(port, FAST);
        let emails = office.until_all(state).await;
        // A second email shows that the postman has finished with the first.
        office.queue("dispute:c-2").await;
        office.until(|emails| emails[1].state == EmailState::Sent).await;
        stop.send(()).unwrap();
        running.await.unwrap();
        assert_eq!(emails[0].attempts, attempts, "{answers:?}");
        assert_eq!(emails[0].reason.is_some(), state != EmailState::Sent, "{answers:?}");
        assert_eq!(server.taken().len(), taken + 1, "{answers:?}");
    }
}

/// N3: a mail server that is down delays notices and nothing else.
#[tokio::test]
async fn emails_wait_for_a_server_that_is_down_and_go_out_when_it_is_back() {
    let (_, port, task) = MailServer::listen(0, &[]).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    let office = Office::new().await;
    for number in 0..5 {
        office.queue(&format!("dispute:c-{number}")).await;
    }
    let (stop, running) = office.postman(port, FAST);
    let waiting = office.until(|emails| emails.iter().any(|email| email.attempts > 2)).await;
    assert!(waiting.iter().all(|email| matches!(email.state, EmailState::Queued | EmailState::Sending)));
    let (server, _, _task) = MailServer::listen(port, &[]).await;
    office.until_all(EmailState::Sent).await;
    assert_eq!(server.taken().len(), 5);
    stop.send(()).unwrap();
    running.await.unwrap();
}

/// N2: several workers, each with a postman.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_postmen_send_each_email_once() {
    let (server, port, _task) = MailServer::listen(0, &[]).await;
    let office = Office::new().await;
    for number in 0..30 {
        office.queue(&format!("dispute:c-{number}")).await;
    }
    let postmen = [office.postman(port, FAST), office.postman(port, FAST), office.postman(port, FAST)];
    office.until_all(EmailState::Sent).await;
    for (stop, running) in postmen {
        stop.send(()).unwrap();
        running.await.unwrap();
    }
    assert_eq!(server.taken().len(), 30);
}

#[tokio::test]
async fn an_email_of_a_dead_postman_is_unknown_and_not_sent_again() {
    let (server, port, _task) = MailServer::listen(0, &[]).await;
    let office = Office::new().await;
    for number in 0..2 {
        office.queue(&format!("dispute:c-{number}")).await;
    }
    let now = Timestamp::now();
    assert!(email::claim(&office.database, 1, before(now, Duration::from_secs(121))).await.unwrap());
    assert!(!email::claim(&office.database, 1, now).await.unwrap());
    assert!(email::claim(&office.database, 2, before(now, Duration::from_mins(1))).await.unwrap());
    office.queue("dispute:c-2").await;
    let (stop, running) = office.postman(port, FAST);
    let emails = office.until(|emails| emails[2].state == EmailState::Sent).await;
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!(emails[0].state, EmailState::Unknown);
    assert_eq!(emails[1].state, EmailState::Sending, "its postman may still be sending it");
    assert_eq!(server.taken().len(), 1);
}

/// There is no poll: an email goes out only if the postman is woken.
#[tokio::test]
async fn a_new_email_wakes_the_postman_at_once() {
    let (server, port, _task) = MailServer::listen(0, &[]).await;
    let office = Office::new().await;
    let (stop, running) = office.postman(port, Pace { poll: Duration::from_hours(1), ..FAST });
    for number in 0..3 {
        office.queue(&format!("dispute:c-{number}")).await;
        tokio::time::timeout(Duration::from_secs(20), server.arrived.notified()).await.unwrap();
    }
    office.until_all(EmailState::Sent).await;
    stop.send(()).unwrap();
    running.await.unwrap();
}

/// The log of a test's programs.
#[derive(Clone, Default)]
struct Log(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// In a sandbox, people read emails in the log; elsewhere the log has no address and no text of them.
#[tokio::test]
async fn without_a_server_the_log_has_emails_in_a_sandbox_only() {
    for sandbox in [true, false] {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _logged = tracing::subscriber::set_default(subscriber);
        let office = Office::new().await;
        office.queue("dispute:c-1").await;
        let config = MailConfig { url: None, from: "recourse@example.com".into(), sandbox };
        let (stop, running) = office.postman_of(&config, FAST);
        let emails = office.until_all(EmailState::NotSent).await;
        stop.send(()).unwrap();
        running.await.unwrap();
        let said = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
        assert!(said.contains("no mail server is configured"), "{said}");
        for email in emails {
            assert_eq!(said.contains(&email.address), sandbox, "{said}");
            assert_eq!(said.contains(&email.subject), sandbox, "{said}");
            if !sandbox {
                assert!(said.contains(&email.case_ref) && said.contains(email.recipient.name()), "{said}");
                assert!(!said.contains(&email.name), "{said}");
            }
        }
    }
}

/// No name, title or address adds a header or a recipient.
#[tokio::test]
async fn headers_cannot_be_injected() {
    let (server, port, _task) = MailServer::listen(0, &[]).await;
    let office = Office::new().await;
    let mut told = tell("dispute:c-1", vec![notice(1, Role::Client, true)]);
    told.contract.title = "Logo\r\nBcc: title@evil.example\r\n\r\nBody".into();
    told.contract.client.name = Some("Ada\r\nBcc: name@evil.example\r\n".into());
    office.tell(&told).await;
    let mut told = tell("dispute:c-2", vec![notice(1, Role::Client, true)]);
    told.contract.client.email = Some("ada@example.com>\r\nRCPT TO:<address@evil.example".into());
    office.tell(&told).await;
    let (stop, running) = office.postman(port, FAST);
    let emails = office
        .until(|emails| emails.iter().all(|email| email.attempts == 1 && email.state != EmailState::Sending))
        .await;
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!((emails[0].state, emails[1].state), (EmailState::Sent, EmailState::Failed));
    assert_eq!(*server.recipients.lock().unwrap(), ["RCPT TO:<ada@example.com>"]);
    let taken = server.taken();
    let headers = taken[0].split("\r\n\r\n").next().unwrap();
    assert!(headers.contains("Subject:"), "{headers}");
    assert!(!headers.lines().any(|line| line.to_lowercase().starts_with("bcc")), "{headers}");
}

#[tokio::test]
async fn a_mail_configuration_that_cannot_be_read_says_so_without_its_password() {
    let office = Office::new().await;
    let refused = |url: Option<&str>, from: &str| {
        office
            .book
            .postman(&MailConfig { url: url.map(Into::into), from: from.into(), sandbox: false })
            .unwrap_err()
            .to_string()
    };
    assert!(refused(None, "nobody").contains("nobody"));
    let error = refused(Some("ftp://me:secret@host"), "recourse@example.com");
    assert!(error.contains("smtp://") && !error.contains("secret"), "{error}");
}
