//! What is sent, and what follows from the answers.

use super::*;

/// A request as it arrived.
#[derive(Debug, Clone)]
struct Request {
    head: String,
    body: Vec<u8>,
}

impl Request {
    fn header(&self, name: &str) -> String {
        let line = self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head)).to_owned()
    }

    fn signed(&self) -> SignedHeaders {
        SignedHeaders {
            id: self.header("webhook-id"),
            timestamp: self.header("webhook-timestamp"),
            signature: self.header("webhook-signature"),
        }
    }
}

/// An endpoint that gives these answers in order, and then repeats the last one.
struct Receiver {
    url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Receiver {
    async fn start(answers: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}/hook", listener.local_addr().unwrap().port());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        tokio::spawn(async move {
            let mut answers = answers.into_iter().peekable();
            let mut last = String::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                seen.lock().unwrap().push(request);
                last = answers.next().unwrap_or(last);
                // The client may close before it has read everything.
                let _ = stream.write_all(last.as_bytes()).await;
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> Request {
    let mut read = Vec::new();
    loop {
        read.extend_from_slice(&[stream.read_u8().await.unwrap()]);
        if read.ends_with(b"\r\n\r\n") {
            let head = String::from_utf8(read).unwrap();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await.unwrap();
            return Request { head, body };
        }
    }
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

/// An endpoint at `url`, and an event to be sent to it.
struct Sending {
    test: TestDatabase,
    book: WebhookBook,
    secret: Secret,
    order: DeliveryOrder,
}

impl Sending {
    async fn to(url: &str) -> Self {
        let test = TestDatabase::new().await;
        let book = WebhookBook::new(test.database.clone()).allow_local(true);
        let (endpoint, secret) = book.add(url, "").await.unwrap();
        let notices = NoticeBook::new(test.database.clone());
        notices.tell(&told("dispute:c-1", "c-1", both(1, NoticeEvent::DisputeFiled))).await.unwrap();
        let event = book.feed(0, 1, None).await.unwrap().remove(0).event.id;
        let order = DeliveryOrder { endpoint: endpoint.id, event };
        Self { test, book, secret, order }
    }

    async fn once(&self) -> Result<DeliveryReceipt, WebhookError> {
        Deliverer::new(self.book.clone()).unwrap().deliver(&self.order).await
    }

    async fn delivery(&self) -> Delivery {
        self.book.deliveries(&self.order.endpoint, 10).await.unwrap().remove(0)
    }
}

/// Every try has the same id and body; an event that was taken is not sent again.
#[tokio::test]
async fn an_event_is_sent_signed_until_it_is_taken() {
    let answers = vec![answer("500 Internal Server Error", "out of\norder"), answer("200 OK", "")];
    let receiver = Receiver::start(answers).await;
    let sending = Sending::to(&receiver.url).await;
    let error = sending.once().await.unwrap_err();
    assert!(error.to_string().contains("500") && error.to_string().contains("out of order"), "{error}");
    let failed = sending.delivery().await;
    assert_eq!((failed.state, failed.attempts, failed.status), (DeliveryState::Waiting, 1, Some(500)));
    let new = sending.book.rotate(&sending.order.endpoint).await.unwrap();
    for _ in 0..2 {
        assert_eq!(sending.once().await.unwrap(), DeliveryReceipt::Delivered);
    }
    let taken = sending.delivery().await;
    assert_eq!((taken.state, taken.attempts, taken.status), (DeliveryState::Delivered, 2, Some(200)));
    assert_eq!((taken.kind.as_str(), taken.reason), ("case.dispute_filed", None));
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2, "the third try finds it delivered");
    assert_eq!(requests[0].header("webhook-id"), sending.order.event);
    assert_eq!(requests[0].header("content-type"), "application/json");
    assert_eq!(
        (&requests[0].body, requests[0].header("webhook-id")),
        (&requests[1].body, requests[1].header("webhook-id"))
    );
    let body: Value = serde_json::from_slice(&requests[0].body).unwrap();
    assert_eq!((&body["id"], &body["type"]), (&json!(sending.order.event), &json!("case.dispute_filed")));
    let check =
        |request: &Request, secret| verify(secret, &request.signed(), &request.body, Timestamp::now(), TOLERANCE);
    assert_eq!(check(&requests[0], &sending.secret), Ok(()));
    assert_eq!(check(&requests[0], &new), Err(SignatureError::Signature));
    for secret in [&sending.secret, &new] {
        assert_eq!(check(&requests[1], secret), Ok(()), "old and new for a day");
    }
}

/// The first answer 410 disables an endpoint.
#[tokio::test]
async fn an_endpoint_that_is_gone_is_disabled() {
    let receiver = Receiver::start(vec![answer("410 Gone", "")]).await;
    let sending = Sending::to(&receiver.url).await;
    assert_eq!(sending.once().await.unwrap(), DeliveryReceipt::Gone);
    let delivery = sending.delivery().await;
    assert_eq!((delivery.state, delivery.status), (DeliveryState::GivenUp, Some(410)));
    assert!(sending.book.list().await.unwrap()[0].disabled_at.is_some());
    assert_eq!(sending.once().await.unwrap(), DeliveryReceipt::GivenUp);
    let notices = NoticeBook::new(sending.test.database.clone());
    notices.tell(&told("dispute:c-1", "c-1", both(3, NoticeEvent::Decided))).await.unwrap();
    let event = sending.book.feed(0, 10, None).await.unwrap().remove(1).event.id;
    let next = DeliveryOrder { event, ..sending.order.clone() };
    let activities = Deliverer::new(sending.book.clone()).unwrap();
    assert_eq!(activities.deliver(&next).await.unwrap(), DeliveryReceipt::Gone);
    assert_eq!(receiver.requests().len(), 1, "nothing is sent any more");
    sending.book.remove(&sending.order.endpoint).await.unwrap();
    assert_eq!(sending.once().await.unwrap(), DeliveryReceipt::Gone);
}

/// Any other answer leads to another try, and never to another address.
#[tokio::test]
async fn other_answers_cause_a_retry_and_redirects_are_not_followed() {
    let elsewhere = Receiver::start(vec![answer("200 OK", "")]).await;
    let endless = format!("HTTP/1.1 503 Busy\r\ncontent-length: 100000000\r\n\r\n{}", "<b>\u{7}".repeat(5_000));
    let moved = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.url);
    for (answer, word) in [
        (answer("404 Not Found", ""), "404"),
        (answer("400 Bad Request", "no such tenant"), "no such tenant"),
        (moved, "302"),
        (endless, "503"),
        ("nonsense".to_owned(), ""),
        (String::new(), ""),
    ] {
        let receiver = Receiver::start(vec![answer]).await;
        let sending = Sending::to(&receiver.url).await;
        let error = sending.once().await.unwrap_err();
        assert!(matches!(error, WebhookError::NotTaken { .. }) && error.to_string().contains(word), "{error}");
        assert!(!error.to_string().contains("/hook") && error.to_string().len() < 1_500, "{error}");
        assert_eq!(sending.delivery().await.state, DeliveryState::Waiting);
        let activities = Deliverer::new(sending.book.clone()).unwrap();
        assert_eq!(activities.give_up(&sending.order).await.unwrap(), DeliveryReceipt::GivenUp);
        let given_up = sending.delivery().await;
        assert_eq!((given_up.state, given_up.attempts), (DeliveryState::GivenUp, 1));
        assert!(given_up.reason.is_some(), "the last try's");
    }
    assert!(elsewhere.requests().is_empty());
}

/// A name may have had other addresses when it was added; the check is of the address that it connects to.
#[tokio::test]
async fn nothing_is_sent_to_an_address_that_is_not_public() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for (url, word) in [
        (format!("https://127.0.0.1:{port}/"), "public"),
        (format!("https://localhost:{port}/"), "public"),
        (format!("http://127.0.0.1:{port}/"), "https"),
    ] {
        let sending = Sending::to(&url).await;
        let strict = Deliverer::new(WebhookBook::new(sending.test.database.clone())).unwrap();
        let error = strict.deliver(&sending.order).await.unwrap_err();
        assert!(matches!(error, WebhookError::NotTaken { .. }) && error.to_string().contains(word), "{url}: {error}");
    }
    let connected = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(connected.is_err(), "nobody came");
}

#[tokio::test]
async fn a_missing_event_is_never_sent() {
    let sending = Sending::to("http://127.0.0.1:9/").await;
    let activities = Deliverer::new(sending.book.clone()).unwrap();
    let order = DeliveryOrder { event: "evt_none".into(), ..sending.order.clone() };
    assert_eq!(activities.deliver(&order).await.unwrap(), DeliveryReceipt::Refused);
    assert_eq!(activities.give_up(&order).await.unwrap(), DeliveryReceipt::Refused);
}
