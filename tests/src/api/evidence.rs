//! Evidence files over HTTP: which files Recourse accepts, who sees them and when, and how the API returns them (D4, D6).

use futures_util::stream;
use reqwest::{Body, StatusCode};
use serde_json::{Value, json};

use super::{Served, as_party, served::Sender};
use crate::harness::{Story, World, run};

pub(super) const PDF: &[u8] = b"%PDF-1.7\n1 0 obj <<>> endobj\ntrailer <<>>\n%%EOF\n";

/// Only its uploader sees a file until a command refers to it; then both sides and the mediator get it, and it is sealed.
#[test]
fn both_sides_see_the_files_of_a_command() {
    run(async {
        let served = Served::shared().await;
        let story = Story::new(World::shared().await, "files");
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let (client, freelancer) =
            (as_party(served, &story.contract, "client"), as_party(served, &story.contract, "freelancer"));
        let path = format!("/v1/contracts/{}/evidence", story.id());
        let (status, file) = freelancer.upload(&path, "chat.pdf", PDF.to_vec()).await;
        assert_eq!((status, &file["media_type"]), (StatusCode::CREATED, &json!("application/pdf")), "{file}");
        assert_eq!(freelancer.upload(&path, "chat.pdf", PDF.to_vec()).await, (status, file.clone()), "the same again");
        let one = format!("{path}/{}", file["sha256"].as_str().unwrap());
        assert_eq!(client.get(&one).await.0, StatusCode::NOT_FOUND, "it is the freelancer's own until then");
        assert_eq!(client.get(&path).await.1["items"], json!([]));
        for duty in ["operator", "mediator"] {
            let staff = served.staff(duty);
            assert_eq!(staff.get(&one).await.0, StatusCode::NOT_FOUND, "a draft is no {duty}'s");
            assert_eq!(staff.get(&path).await.1["items"], json!([]), "{duty}");
        }
        // Without arbitration an arbitrator does not see the contract.
        for none in [&one, &path] {
            assert_eq!(served.staff("arbitrator").get(none).await.0, StatusCode::NOT_FOUND, "{none}");
        }

        let dispute = format!("/v1/cases/{}/commands/dispute", story.refund_request);
        let claim =
            |file: &Value| json!({"amount": 20_000, "reason": "work_delivered", "details": "x", "evidence": [file]});
        for (name, value) in [("size", json!(1)), ("name", json!("other.pdf")), ("sha256", json!("ab".repeat(32)))] {
            let mut other = file.clone();
            other[name] = value;
            let (status, problem) = freelancer.post(&dispute, &claim(&other)).await;
            assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name}: {problem}");
        }
        let (status, answer) = freelancer.post(&dispute, &claim(&file)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        for sender in [&client, &freelancer, &served.staff("mediator"), &served.staff("operator")] {
            let answer = sender.raw(&one).await;
            assert_eq!(answer.status(), StatusCode::OK);
            let headers = answer.headers();
            assert_eq!(headers["content-disposition"], "attachment; filename*=UTF-8''chat.pdf");
            assert_eq!(
                (&headers["x-content-type-options"], &headers["content-type"]),
                (&"nosniff".parse().unwrap(), &"application/pdf".parse().unwrap())
            );
            assert!(headers["content-security-policy"].to_str().unwrap().contains("sandbox"));
            assert_eq!(answer.bytes().await.unwrap(), PDF);
        }
        assert_eq!(served.party("stranger").get(&one).await.0, StatusCode::NOT_FOUND);
        // A file that the other side uploaded is not the sender's own evidence.
        let dispute = format!("dispute:{}", story.id());
        World::shared().await.opened(&dispute).await;
        let reject = format!("/v1/cases/dispute:{}/commands/reject", story.id());
        let body = json!({"of": "claim", "reason": "incomplete", "details": "x", "evidence": [file]});
        assert_eq!(client.post(&reject, &body).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    });
}

/// D6: a case's own policy limits the files for that case; the default policy limits those for a contract.
#[test]
fn the_cases_policy_limits_its_files() {
    run(async {
        let served = Served::shared().await;
        let mut story = Story::new(World::shared().await, "limits");
        story.deposit("d-1", 30_000, "card-1").await;
        let limits = json!({"max_files": 2, "max_bytes": 60, "media_types": ["text/plain"]});
        story.end(0, json!({"evidence": limits})).await;
        let freelancer = as_party(served, &story.contract, "freelancer");
        let path = format!("/v1/contracts/{}/evidence", story.id());
        let named = |name: &str, case: &str| format!("{name}&case={case}");
        let other = Story::new(World::shared().await, "other");
        story.say("freelancer", "claim 20000").await.unwrap();
        for case in [&story.refund_request, &story.dispute] {
            for (name, content, status) in [
                ("chat.pdf", PDF.to_vec(), 422),
                ("long.txt", vec![b'x'; 61], 413),
                ("short.txt", b"Three sketches.".to_vec(), 201),
            ] {
                let (answered, answer) = freelancer.upload(&path, &named(name, case), content).await;
                assert_eq!(answered.as_u16(), status, "{case}: {name}: {answer}");
            }
        }
        assert_eq!(freelancer.upload(&path, "chat.pdf", PDF.to_vec()).await.0, StatusCode::CREATED);
        other.deposit("d-1", 30_000, "card-1").await;
        other.end(0, Value::Null).await;
        for case in [&other.refund_request, "refund-request:nobody"] {
            let (answered, _) = freelancer.upload(&path, &named("short.txt", case), b"x".to_vec()).await;
            assert_eq!(answered, StatusCode::NOT_FOUND, "{case}");
        }
        let both = served.with(served.issuer.token(
            "both",
            &[],
            &[&format!("fl-{}", story.id()), &format!("fl-{}", other.id())],
        ));
        let (answered, problem) = both.upload(&path, &named("short.txt", &other.refund_request), b"x".to_vec()).await;
        assert_eq!(answered, StatusCode::UNPROCESSABLE_ENTITY, "{problem}");
    });
}

/// The API refuses files that are disguised, empty, too large or dangerously named, and stores nothing of them.
#[test]
fn harmful_files_are_refused() {
    run(async {
        let world = World::apart("harm", &[]).await;
        let served = Served::of(&world, 1_000).await;
        let story = Story::new(&world, "harm");
        story.deposit("d-1", 30_000, "card-1").await;
        let freelancer = as_party(&served, &story.contract, "freelancer");
        let path = format!("/v1/contracts/{}/evidence", story.id());
        let page = b"<html><script>alert(1)</script></html>".to_vec();
        let program = [b"MZ".as_slice(), &[0; 200]].concat();
        for (name, content, status) in [
            ("chat.pdf", page.clone(), 422),
            ("chat.html", page, 422),
            ("chat.pdf", program, 422),
            ("chat.pdf", Vec::new(), 422),
            ("chat.txt", vec![b'x'; 26_214_401], 413),
        ] {
            let (answered, problem) = freelancer.upload(&path, name, content).await;
            assert_eq!(answered.as_u16(), status, "{name}: {problem}");
        }
        // Without a `Content-Length`.
        let pieces = stream::iter((0..27).map(|_| Ok::<_, std::io::Error>(vec![b'x'; 1_000_000])));
        let (answered, problem) = freelancer.upload(&path, "chat.txt", Body::wrap_stream(pieces)).await;
        assert_eq!(answered.as_u16(), 413, "{problem}");
        for (name, kept) in [
            ("..%2F..%2Fetc%2Fpasswd.txt", "passwd.txt"),
            ("C:%5Cx%5Cnote.txt", "note.txt"),
            ("a%0D%0Ab%E2%80%AE.txt", "ab.txt"),
        ] {
            let (status, file) = freelancer.upload(&path, name, format!("text {name}").into_bytes()).await;
            assert_eq!((status, &file["name"]), (StatusCode::CREATED, &json!(kept)), "{file}");
        }
        let outside: Vec<_> =
            std::fs::read_dir(served.files.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(outside.iter().all(|name| name == "evidence" || name == "uploads"), "{outside:?}");
        let left = std::fs::read_dir(served.files.path().join("uploads")).map_or(0, Iterator::count);
        assert_eq!(left, 0, "what was refused is gone");
        for sender in [served.staff("mediator"), served.staff("service"), served.party("stranger")] {
            let (status, _) = sender.upload(&path, "a.txt", b"a".to_vec()).await;
            assert!(matches!(status.as_u16(), 403 | 404), "{status}");
        }
    });
}

impl Sender<'_> {
    /// Uploads a file; the name is percent-encoded.
    pub async fn upload(&self, path: &str, name: &str, content: impl Into<Body>) -> (StatusCode, Value) {
        let request = self.request(reqwest::Method::POST, &format!("{path}?name={name}"));
        let answer = request.header("content-type", "application/octet-stream").body(content).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    /// Reads an answer that is not JSON.
    async fn raw(&self, path: &str) -> reqwest::Response {
        self.request(reqwest::Method::GET, path).send().await.unwrap()
    }
}
