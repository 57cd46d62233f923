use std::sync::atomic::{AtomicUsize, Ordering};

use axum::{Router, http::StatusCode, response::IntoResponse as _, routing::get};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
};

use super::*;

/// An issuer that answers each fetch when a test says so, with the keys that the test gives.
struct Issuer {
    url: String,
    fetches: Arc<AtomicUsize>,
    /// Gets one message for each fetch that arrives.
    came: mpsc::UnboundedReceiver<()>,
    answers: Arc<Semaphore>,
    set: Arc<Mutex<Option<String>>>,
}

impl Issuer {
    async fn with(ids: &[&str]) -> Self {
        let (tell, came) = mpsc::unbounded_channel();
        let (fetches, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(1)));
        let set = Arc::new(Mutex::new(Some(jwks(ids))));
        let (counted, allowed, given) = (fetches.clone(), answers.clone(), set.clone());
        let answer = async move || {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = tell.send(());
            allowed.acquire().await.unwrap().forget();
            let given = given.lock().unwrap().clone();
            given.map_or_else(|| StatusCode::BAD_GATEWAY.into_response(), axum::response::IntoResponse::into_response)
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let router = Router::new().route("/jwks.json", get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, fetches, came, answers, set }
    }

    async fn keys(&mut self, times: Times) -> Keys {
        let keys = Keys::read_at_pace(KeySource::Url(self.url.clone()), times).await.unwrap();
        self.came.recv().await.unwrap();
        keys
    }

    /// Answers the fetch that has arrived, with these keys, or with a failure.
    fn answer(&self, ids: Option<&[&str]>) {
        *self.set.lock().unwrap() = ids.map(jwks);
        self.answers.add_permits(1);
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }
}

fn jwks(ids: &[&str]) -> String {
    let key = |id: &&str| json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": id, "x": "AAAA"});
    json!({"keys": ids.iter().map(key).collect::<Vec<_>>()}).to_string()
}

const LONG: Duration = Duration::from_mins(10);

/// Fetches as soon as a token needs it; keys stay valid for long.
const EAGER: Times = Times { fresh: LONG, held: LONG, asked_again_after: Duration::ZERO, fetch: LONG };

async fn status(keys: &Keys, id: &str) -> u16 {
    keys.find(Some(id), Algorithm::EdDSA).await.map_or_else(|problem| problem.status, |_| 200)
}

#[tokio::test]
async fn known_keys_do_not_wait_for_the_fetch_of_an_unknown_key() {
    let mut issuer = Issuer::with(&["known"]).await;
    let keys = issuer.keys(EAGER).await;
    let strangers: Vec<_> = (0..20)
        .map(|_| {
            let keys = keys.clone();
            tokio::spawn(async move { status(&keys, "new").await })
        })
        .collect();
    issuer.came.recv().await.unwrap();
    assert_eq!(status(&keys, "known").await, 200, "while the issuer does not answer");
    assert_eq!(issuer.fetches(), 2, "all of them wait for one fetch");
    issuer.answer(Some(&["known", "new"]));
    for stranger in strangers {
        assert_eq!(stranger.await.unwrap(), 200, "the fetch has brought it");
    }
    assert_eq!(issuer.fetches(), 2);
}

/// A set that is due for a fetch stays valid until the answer comes. Afterwards Recourse no longer accepts a withdrawn key.
#[tokio::test]
async fn keys_are_refreshed_without_delaying_requests() {
    let mut issuer = Issuer::with(&["old"]).await;
    let keys = issuer.keys(Times { fresh: Duration::ZERO, ..EAGER }).await;
    assert_eq!(status(&keys, "old").await, 200);
    issuer.came.recv().await.unwrap();
    issuer.answer(Some(&["new"]));
    // Waits for that fetch, which is under way.
    assert_eq!(status(&keys, "new").await, 200);
    let withdrawn = keys.clone();
    let withdrawn = tokio::spawn(async move { status(&withdrawn, "old").await });
    issuer.came.recv().await.unwrap();
    issuer.answer(Some(&["new"]));
    assert_eq!(withdrawn.await.unwrap(), 401);
}

#[tokio::test]
async fn forged_keys_do_not_each_cause_a_fetch() {
    let mut issuer = Issuer::with(&["known"]).await;
    let keys = issuer.keys(Times { asked_again_after: LONG, ..EAGER }).await;
    for forged in ["a", "b", "c"] {
        assert_eq!(status(&keys, forged).await, 401);
    }
    assert_eq!(issuer.fetches(), 1);
}

/// If fetches fail, keys stay valid for their time, however many fetches were tried. Then Recourse accepts no token.
#[tokio::test]
async fn old_keys_expire_if_fetches_fail() {
    let mut issuer = Issuer::with(&["known"]).await;
    let held = Duration::from_millis(300);
    let keys = issuer.keys(Times { fresh: Duration::ZERO, held, ..EAGER }).await;
    let began = Instant::now();
    let mut said = status(&keys, "known").await;
    assert!(said == 200 || began.elapsed() >= held, "{said}");
    while said == 200 {
        issuer.answer(None);
        said = status(&keys, "known").await;
    }
    assert_eq!(said, 503);
    let (age, failed) = keys.state().unwrap();
    assert!(age >= held && failed > 0, "{age:?}, {failed} failures");
    issuer.answer(Some(&["known"]));
    while status(&keys, "known").await != 200 {
        issuer.answer(Some(&["known"]));
    }
    assert_eq!(keys.state().unwrap().1, 0);
}

/// A fetch from an issuer that does not answer ends in time. The senders that waited then learn that Recourse cannot decide.
#[tokio::test]
async fn an_unanswered_fetch_of_keys_times_out_with_503() {
    let mut issuer = Issuer::with(&["known"]).await;
    // The first fetch has no short time limit.
    issuer.keys(EAGER).await;
    let set = serde_json::from_str(&jwks(&["known"])).unwrap();
    let times = Times { fetch: Duration::from_millis(50), ..EAGER };
    let keys = Keys::holding(set, Some(KeySource::Url(issuer.url.clone())), times);
    assert_eq!(status(&keys, "new").await, 503);
    assert_eq!(status(&keys, "known").await, 200);
}
