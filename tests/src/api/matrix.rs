//! Who sees what: the test asks every described endpoint as everybody, for their own data, other people's, and ids that do not
//! exist.

use std::collections::{BTreeMap, BTreeSet};

use recourse_api::description;
use recourse_domain::command::CommandKind;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Served, as_party, evidence::PDF, served::Sender};
use crate::harness::{Story, World, run, unique};

/// The values of a path's parameters.
type Names = [(&'static str, String); 5];

/// A contract in dispute, whose freelancer is an agency, with a file that the claim refers to.
struct Disputed<'a> {
    story: Story<'a>,
    file: String,
}

impl<'a> Disputed<'a> {
    async fn new(served: &Served, world: &'a World, name: &str) -> Self {
        let mut story = Story::new(world, name);
        let id = story.id();
        story.contract["freelancer"]["agency"] = json!({"id": format!("ag-{id}")});
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(10_000, Value::Null).await;
        let freelancer = as_party(served, &story.contract, "freelancer");
        let (_, file) = freelancer.upload(&format!("/v1/contracts/{id}/evidence"), "chat.pdf", PDF.to_vec()).await;
        let claim = json!({"amount": 20_000, "reason": "other", "details": "Our words.", "evidence": [file]});
        let (status, answer) =
            freelancer.post(&format!("/v1/cases/{}/commands/dispute", story.refund_request), &claim).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        world.opened(&story.dispute).await;
        Self { file: file["sha256"].as_str().unwrap().to_owned(), story }
    }

    /// The values of a path's parameters, one set for each of its cases.
    fn names(&self) -> Vec<Names> {
        let id = self.story.id();
        let of = |case: &str| {
            let refund = format!("refund-request:{id}/pay_now");
            [
                ("{contract}", id.to_string()),
                ("{case}", case.to_owned()),
                ("{sha256}", self.file.clone()),
                ("{refund}", refund),
                ("{endpoint}", "1".to_owned()),
            ]
        };
        vec![of(&self.story.refund_request), of(&self.story.dispute)]
    }

    /// Every operation on a resource that its path names, with this contract's names.
    fn addressed(&self) -> Vec<(Method, String, Names)> {
        let mut addressed = Vec::new();
        for (method, path) in operations().into_iter().filter(|(_, path)| path.contains('{')) {
            let paths: BTreeSet<String> =
                CommandKind::ALL.iter().map(|command_kind| path.replace("{command}", command_kind.name())).collect();
            for path in paths {
                addressed.extend(self.names().into_iter().map(|names| (method.clone(), path.clone(), names)));
            }
        }
        addressed
    }

    fn everybody<'s>(&self, served: &'s Served) -> BTreeMap<&'static str, Sender<'s>> {
        let agency = format!("ag-{}", self.story.id());
        let owner = served.with(served.issuer.token("u-1", &[], &[&agency]));
        let parties = ["client", "freelancer"].map(|role| (role, as_party(served, &self.story.contract, role)));
        let staff = ["mediator", "arbitrator", "operator", "service"].map(|duty| (duty, served.staff(duty)));
        parties.into_iter().chain(staff).chain([("owner", owner), ("stranger", served.party("stranger"))]).collect()
    }
}

/// Every operation of the description: its method, and its path with parameters.
fn operations() -> Vec<(Method, String)> {
    let description = description::description();
    let paths = description["paths"].as_object().unwrap();
    let of = |(path, methods): (&String, &Value)| {
        let methods: Vec<String> = methods.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        methods.into_iter().map(|method| (method.parse().unwrap(), path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

fn filled(path: &str, names: &[(&str, String)]) -> String {
    let mut filled = path.to_owned();
    for (parameter, name) in names {
        filled = filled.replace(parameter, &name.replace('/', "%2F"));
    }
    filled
}

/// Whether this person may read this path of a contract in dispute, as a party or by a duty. The test fails for an endpoint
/// that is missing here: each must state who reads it.
fn reads(who: &str, path: &str, case: &str) -> bool {
    match path {
        "/v1/cases" | "/v1/contracts" | "/v1/notices" | "/v1/policy" => true,
        "/v1/contracts/{contract}" | "/v1/contracts/{contract}/ledger" | "/v1/contracts/{contract}/evidence" => {
            who != "stranger"
        }
        // The backend does not need evidence.
        "/v1/contracts/{contract}/evidence/{sha256}" => who != "stranger" && who != "service",
        // An arbitrator sees disputes only.
        "/v1/cases/{case}" | "/v1/cases/{case}/events" => {
            who != "stranger" && (who != "arbitrator" || case.starts_with("dispute:"))
        }
        "/v1/events" | "/v1/webhooks" => matches!(who, "service" | "operator"),
        // This endpoint does not exist: the answer must not differ from that for another's endpoint.
        "/v1/webhooks/{endpoint}/deliveries" => false,
        "/v1/refunds" => who == "operator",
        other => panic!("{other}: say who reads it"),
    }
}

/// Everybody reads exactly their own data.
#[test]
fn everybody_reads_only_their_own_data() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let disputed = Disputed::new(served, world, "matrix").await;
        let senders = disputed.everybody(served);
        let mut wrong = Vec::new();
        for (_, path) in operations().into_iter().filter(|(method, _)| method == Method::GET) {
            for names in disputed.names() {
                for (who, sender) in &senders {
                    let (asked, case) = (filled(&path, &names), &names[1].1);
                    let status = sender.request(Method::GET, &asked).send().await.unwrap().status();
                    let refused = matches!(status.as_u16(), 403 | 404);
                    if !(refused || status == StatusCode::OK) || reads(who, &path, case) == refused {
                        wrong.push(format!("{who}: {asked}: {status}"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

/// The API answers a request for another's data exactly as for an id that does not exist, word for word.
#[test]
fn anothers_data_looks_like_missing_data() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let (theirs, mine) = (Disputed::new(served, world, "theirs").await, Disputed::new(served, world, "mine").await);
        let (id, nobodys) = (theirs.story.id().to_string(), unique("nobodys"));
        let outsiders = ["client", "freelancer", "owner", "stranger"];
        let mut senders = mine.everybody(served);
        senders.retain(|who, _| outsiders.contains(who));
        let of_commands = vec![json!({}), json!({"as": "mediator", "amount": 1, "hours": 24, "reason": "x"})];
        let of_starts = vec![
            json!({}),
            json!({"pay_now": 0}),
            json!({"payment": format!("refund-request:{id}/pay_now"), "amount": 1}),
            json!({"grounds": "refund_request", "claim": {"amount": 1, "reason": "other", "details": "x"}}),
        ];
        let mut wrong = Vec::new();
        for (method, path, names) in theirs.addressed() {
            let bodies = match &method {
                &Method::GET => &vec![Value::Null],
                _ if path.contains("/commands/") => &of_commands,
                _ => &of_starts,
            };
            let asked = filled(&path, &names);
            for ((who, sender), body) in senders.iter().flat_map(|sender| bodies.iter().map(move |body| (sender, body)))
            {
                let mut answers = Vec::new();
                for asked in [asked.clone(), asked.replace(&id, &nobodys)] {
                    let sent = (!body.is_null()).then(|| body.to_string());
                    let key = unique("key");
                    let (status, answer) =
                        sender.send(method.clone(), &asked, sent, &[("idempotency-key", &key)]).await;
                    answers.push((status, answer.to_string().replace(&id, &nobodys)));
                }
                let refused = matches!(answers[0].0.as_u16(), 400 | 403 | 404 | 422);
                if !refused || answers[0] != answers[1] {
                    wrong.push(format!("{who}: {method} {asked} {body}: {answers:?}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

/// A list has exactly the cases that its reader can read one by one, and the stored answer to one sender goes to no other.
#[test]
fn lists_and_stored_answers_show_only_readable_cases() {
    run(async {
        let (served, world) = (Served::shared().await, World::shared().await);
        let (theirs, mine) =
            (Disputed::new(served, world, "lists").await, Disputed::new(served, world, "beside").await);
        let id = theirs.story.id();
        let cases = [&theirs.story.refund_request, &theirs.story.dispute];
        let outside = mine.everybody(served).into_iter().filter(|(who, _)| ["client", "owner"].contains(who));
        for (who, sender) in theirs.everybody(served).into_iter().chain(outside) {
            let (mut listed, mut read) = (BTreeSet::new(), BTreeSet::new());
            for list in [format!("/v1/cases?contract={id}"), "/v1/cases?limit=200".to_owned()] {
                let (status, page) = sender.get(&list).await;
                assert_eq!(status, StatusCode::OK, "{who}: {page}");
                let items = page["items"].as_array().unwrap().iter();
                listed.extend(
                    items
                        .map(|row| row["case"].as_str().unwrap().to_owned())
                        .filter(|case| case.ends_with(id.as_str())),
                );
            }
            for case in cases {
                if sender.get(&format!("/v1/cases/{case}")).await.0 == StatusCode::OK {
                    read.insert(case.clone());
                }
            }
            assert_eq!(listed, read, "{who}");
        }
        // Another sender makes the same request under the same key.
        let (path, key) = (format!("/v1/cases/{}/commands/offer", theirs.story.dispute), unique("key"));
        let offer = json!({"to_freelancer": 100, "message": "Between us."});
        for role in ["client", "freelancer"] {
            let (status, answer) = as_party(served, &theirs.story.contract, role).post_as(&path, &offer, &key).await;
            let by = answer["offers"].as_array().and_then(|offers| offers.last()).map(|offer| offer["by"].clone());
            assert_eq!((status, by), (StatusCode::OK, Some(json!(role))), "{answer}");
        }
        for (who, sender) in mine.everybody(served) {
            let (status, answer) = sender.post_as(&path, &offer, &key).await;
            let expected = if ["client", "freelancer", "owner", "stranger"].contains(&who) { 404 } else { 403 };
            assert_eq!(status.as_u16(), expected, "{who}: {answer}");
        }
    });
}
