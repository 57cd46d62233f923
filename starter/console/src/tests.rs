//! Tests of pages without a server: who may post, where sign-in leads, which buttons exist, and that no browser executes a text
//! that somebody wrote.

use std::collections::BTreeSet;

use axum::http::{HeaderMap, HeaderValue};
use recourse_api::{identity::Identity, lists::Page, problem::Problem, reading::ShownNotice, site::Site};
use recourse_client::Money;
use recourse_domain::{
    command::CommandKind,
    fee::ShareState,
    ids::Id,
    messages::Status,
    money::Amount,
    party::{Contract, Role},
};
use serde_json::{Value, json};

use super::{
    acts::{self, Act},
    case,
    case_view::CaseView,
    command_form, contract, contract_view, fields,
    forms::{Fields, check_csrf, check_origin},
    guard,
    page::told,
    pages::Pages,
    parts::People,
    place::{Done, Place},
    query::in_query,
    session::{Session, Visit, local_path, set_cookie},
    told,
};

/// A script that somebody could write into any text.
const SCRIPT: &str = "<script>alert(1)</script>\" onload='x'";

fn session() -> Session {
    let subject = Id::new("cl-1").unwrap();
    let who = Identity { parties: BTreeSet::from([subject.clone()]), subject, duties: BTreeSet::new() };
    Session::new(who, "the.token.of-ada".to_owned())
}

fn visit() -> Visit {
    Visit { session: session(), place: Place { sandbox: true, path: "/".to_owned(), done: None } }
}

fn contract() -> Contract {
    serde_json::from_value(json!({
        "id": "c-1", "title": "Logo", "kind": "fixed_price", "currency": "USD", "client": {"id": "cl-1", "name": "Ada"},
        "freelancer": {"id": "fl-1", "name": "Ben"},
    }))
    .unwrap()
}

fn dispute(more: Value) -> Status {
    let mut status = json!({
        "case": "dispute:c-1", "kind": "dispute", "contract": "c-1", "currency": "USD", "stage": "awaiting_client",
        "waiting_on": ["client"], "held": 20_000, "deadline": "2026-12-03T10:00:00Z",
        "if_silent": "release_claimed_amount", "overdue": false,
        "allowed": {"client": ["accept", "reject", "offer"], "freelancer": ["amend", "withdraw", "offer"], "mediator": ["extend"]},
        "claim": {"amount": 15_000, "reason": "work_delivered", "details": "All of it", "evidence": []},
        "rejection": null, "offers": [], "resolution": null, "answers": {},
        "timeline": [{"at": "2026-12-01T10:00:00Z", "by": "freelancer", "what": "claim_filed", "rule": "R6", "note": "150.00 USD"}],
        "outcome": null,
    });
    let (Value::Object(fields), Value::Object(more)) = (&mut status, more) else { panic!() };
    fields.extend(more);
    serde_json::from_value(status).unwrap()
}

fn looked(status: Status, role: Role) -> CaseView {
    CaseView {
        status,
        money: Money::default(),
        roles: BTreeSet::from([role]),
        now: "2026-12-01T12:00:00Z".parse().unwrap(),
        people: People::of(Some(&contract())),
        title: "Logo".to_owned(),
        history: None,
        files: Vec::new(),
    }
}

fn page(looked: &CaseView) -> String {
    case::body(looked, &visit(), None).into_string()
}

fn labels(status: &Status, role: Role) -> Vec<String> {
    Act::all(status, role).iter().map(|act| act.label(status)).collect()
}

fn typed(fields: &[(&str, &str)]) -> Fields {
    Fields::new(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

#[test]
fn forms_of_another_session_or_site_are_refused() {
    let session = session();
    assert!(check_csrf(&session, &typed(&[("csrf", &session.csrf())])).is_ok());
    let other = Session::new(session.who.clone(), "another.token".to_owned());
    for csrf in ["", "csrf", &other.csrf()] {
        assert_eq!(check_csrf(&session, &typed(&[("csrf", csrf)])).unwrap_err().status, 403, "{csrf:?}");
    }
    for (site, good) in [
        (None, true),
        (Some("same-origin"), true),
        (Some("none"), true),
        (Some("same-site"), false),
        (Some("cross-site"), false),
        (Some(""), false),
    ] {
        let mut headers = HeaderMap::new();
        if let Some(site) = site {
            headers.insert("sec-fetch-site", HeaderValue::from_static(site));
        }
        assert_eq!(check_origin(&headers).is_ok(), good, "{site:?}");
    }
}

#[test]
fn the_cookie_is_for_this_site_and_hidden_from_scripts() {
    for (site, name, secure) in
        [(Site::default(), "__Host-recourse_session", "; Secure"), (Site::loopback(), "recourse_session", "")]
    {
        let cookie = set_cookie("a.b.c", &site);
        assert_eq!(cookie, format!("{name}=a.b.c; HttpOnly; SameSite=Strict; Path=/{secure}"));
        assert!(set_cookie("", &site).ends_with("; Max-Age=0"));
    }
}

#[test]
fn sign_in_redirects_only_within_this_site() {
    for path in ["/", "/cases/dispute:c-1%232", "/contracts/c-1/end?x=1"] {
        assert_eq!(local_path(path), path);
    }
    for path in [
        "",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "evil",
        "/a\r\nSet-Cookie: x",
        "/a b",
        "/session/end",
    ] {
        assert_eq!(local_path(path), "/", "{path:?}");
    }
    assert_eq!(in_query("/cases/a:b%23?x=1&y"), "/cases/a%3Ab%2523%3Fx%3D1%26y");
    let place = Place::of(false, &"/cases/x?done=taken".parse().unwrap());
    assert_eq!(place.done, Some(Done::Taken));
    assert_eq!(Place::of(false, &"/?done=<b>".parse().unwrap_or_default()).done, None);
}

#[test]
fn buttons_follow_what_the_status_allows_the_role() {
    let offers = json!([
        {"number": 1, "by": "client", "to_freelancer": 5_000, "to_client": 15_000, "state": "replaced"},
        {"number": 2, "by": "client", "to_freelancer": 6_000, "to_client": 14_000, "state": "open"},
    ]);
    let status = dispute(json!({"offers": offers, "allowed": {
        "client": ["accept", "reject", "offer", "retract"], "freelancer": ["accept", "reject", "amend", "withdraw", "offer"],
        "mediator": ["extend"], "operator": ["extend"],
    }}));
    assert_eq!(
        labels(&status, Role::Client),
        ["Accept the claim", "Reject the claim", "Offer a split", "Take back offer 2"]
    );
    assert_eq!(
        labels(&status, Role::Freelancer),
        ["Accept offer 2", "Reject offer 2", "Change the claim", "Withdraw the claim", "Offer a split"]
    );
    assert_eq!(labels(&status, Role::Mediator), ["Extend the window"]);
    assert!(labels(&status, Role::Arbitrator).is_empty());
    let shown = page(&looked(status.clone(), Role::Client));
    assert!(shown.contains("/cases/dispute:c-1/commands/accept?as=client&amp;of=claim"), "{shown}");
    assert!(!shown.contains("/commands/withdraw") && !shown.contains("/commands/extend"), "{shown}");
    assert!(!page(&looked(dispute(json!({"allowed": {}})), Role::Client)).contains("What you can do"));
}

#[test]
fn each_party_answers_a_resolution_once_and_mediators_get_a_form() {
    let resolution = json!({"to_freelancer": 9_000, "to_client": 11_000, "rationale": "Half"});
    let status =
        dispute(json!({"stage": "awaiting_parties", "resolution": resolution, "answers": {"freelancer": "accepted"},
        "allowed": {"client": ["accept", "reject", "offer"], "freelancer": ["offer"]}}));
    assert_eq!(labels(&status, Role::Client), ["Accept the resolution", "Reject the resolution", "Offer a split"]);
    assert_eq!(labels(&status, Role::Freelancer), ["Offer a split"]);
    let act = Act::all(&status, Role::Client)[0];
    let people = People::of(Some(&contract()));
    assert_eq!(
        act.consequence(&status, &people, None),
        "90.00 USD goes to Ben, 110.00 USD goes back to Ada. This is final."
    );
    let mediated = dispute(json!({"stage": "in_mediation", "allowed": {"mediator": ["propose", "close", "extend"]}}));
    let shown = page(&looked(mediated, Role::Mediator));
    assert!(shown.contains("name=\"to_freelancer\"") && shown.contains("name=\"rationale\""), "{shown}");
    assert!(shown.contains("type=\"range\"") && shown.contains("data-total=\"20000\""), "{shown}");
}

#[test]
fn buttons_show_their_effect_on_the_money() {
    let people = People::of(Some(&contract()));
    let told = |status: &Status, role, amount: Option<i64>| {
        let amount = amount.map(|minor| Amount::new(minor).unwrap());
        Act::all(status, role).iter().map(|act| act.consequence(status, &people, amount)).collect::<Vec<_>>()
    };
    let status = dispute(json!({}));
    let client = told(&status, Role::Client, None);
    assert_eq!(client[0], "150.00 USD goes to Ben, 50.00 USD goes back to Ada. This is final.");
    assert_eq!(client[1], "No money moves now: a mediator reviews both sides. This is final.");
    assert_eq!(told(&status, Role::Freelancer, None)[1], "200.00 USD goes back to Ada. This is final.");
    let offer = told(&status, Role::Client, Some(5_000));
    assert_eq!(
        offer[2],
        "If Ben accepts it: 50.00 USD goes to Ben, 150.00 USD goes back to Ada. No money moves until then."
    );
    let milestone = dispute(json!({"case": "dispute:c-1:m-1"}));
    assert!(told(&milestone, Role::Client, None)[0].contains("50.00 USD stays in escrow for the next milestone"));
}

/// A1: nobody confirms a charge that the form did not show, and the form asks for a billing method only if there is a charge.
#[test]
fn a_demand_shows_its_charge_and_asks_for_a_billing_method() {
    let people = People::of(Some(&contract()));
    let demanding = |share: i64| {
        dispute(json!({"stage": "awaiting_arbitration_demand", "arbitration": {"fee_share": share, "shares": {}},
            "allowed": {"client": ["demand_arbitration"], "freelancer": ["demand_arbitration"]}}))
    };
    let status = demanding(33_750);
    for (role, told, required) in [
        (
            Role::Client,
            "If Ben demands it too, the arbitrator divides what is held. If not, your share is returned, and: 200.00 USD goes back to Ada.",
            false,
        ),
        (
            Role::Freelancer,
            "If Ada demands it too, the arbitrator divides what is held. If not, your share is returned, and: 200.00 USD goes to Ben.",
            true,
        ),
    ] {
        let act = Act::all(&status, role)[0];
        let charged = "Your share of the arbitration fee, 337.50 USD, is charged now.";
        assert_eq!(act.consequence(&status, &people, None), format!("{charged} {told}"));
        let asked = fields::of(&act, &status, &people, &[]);
        assert_eq!(asked.iter().map(|field| field.name).collect::<Vec<_>>(), ["source"]);
        assert_eq!(fields::read(&asked, &typed(&[]), status.currency).is_err(), required, "{role}");
        let read = fields::read(&asked, &typed(&[("source", " pm_1 ")]), status.currency).unwrap();
        assert_eq!(read["source"], "pm_1");
        let shown = command_form::form(&looked(status.clone(), role), &session(), &act, &typed(&[]), &[]).into_string();
        assert!(shown.contains("Billing method that pays your share of 337.50 USD"), "{shown}");
    }
    let mut other_paid = demanding(33_750);
    other_paid.particulars.arbitration.as_mut().unwrap().shares.insert(Role::Freelancer, ShareState::Paid);
    let told = Act::all(&other_paid, Role::Client)[0].consequence(&other_paid, &people, None);
    assert!(
        told.ends_with(
            "Ben has demanded it already, so the case goes to arbitration then: the arbitrator divides what is held."
        ),
        "{told}"
    );
    let free = demanding(0);
    let act = Act::all(&free, Role::Client)[0];
    assert!(act.consequence(&free, &people, None).starts_with("Nothing is charged for arbitration."));
    assert!(fields::of(&act, &free, &people, &[]).is_empty());
}

/// A party accepts what it saw: the form carries it, and the command names it.
#[test]
fn forms_pass_what_the_page_showed_to_the_command() {
    use recourse_domain::command::CommandKind;
    let status = dispute(json!({}));
    let form = typed(&[("stage", "awaiting_client"), ("seen", "1"), ("named", "15000"), ("submission", "2")]);
    for (act, seen) in
        Act::all(&status, Role::Client).iter().zip([json!({"amount": 15_000}), json!({"amount": 15_000}), json!({})])
    {
        assert_eq!(json!(guard::seen(&status, act, &form)), seen, "{act:?}");
    }
    let review = json!({"milestone": {"id": "m-1", "ordinal": 1, "name": "Sketches", "amount": 20_000}, "submissions": 2,
        "latest": {"note": "Again", "files": []}, "changes": null});
    let status = dispute(
        json!({"case": "milestone-review:c-1:m-1", "kind": "milestone_review", "claim": null, "review": review,
        "allowed": {"client": ["approve", "request_changes"]}}),
    );
    let approve = Act::all(&status, Role::Client)[0];
    assert_eq!(approve.command_kind, CommandKind::Approve);
    let shown =
        command_form::form(&looked(status.clone(), Role::Client), &session(), &approve, &typed(&[]), &[]).into_string();
    assert!(shown.contains("name=\"submission\" value=\"2\""), "{shown}");
    let form =
        |submission: &str| typed(&[("stage", "awaiting_client"), ("named", "20000"), ("submission", submission)]);
    assert_eq!(json!(guard::seen(&status, &approve, &form("2"))), json!({"submission": 2}));
    assert_eq!(guard::moved_on(&status, &approve, &form("2")), None);
    assert!(guard::moved_on(&status, &approve, &form("1")).is_some(), "the freelancer has submitted it again");
}

#[test]
fn a_split_always_adds_up() {
    let people = People::of(Some(&contract()));
    let status = dispute(json!({"held": 20_001}));
    for minor in [0, 1, 9_999, 20_000, 20_001] {
        let text = acts::split(&status, &people, Amount::new(minor).unwrap());
        let amounts = text.split(" USD").filter_map(|part| part.rsplit(' ').next());
        let total: i64 = amounts.filter_map(|number| number.replace('.', "").parse::<i64>().ok()).sum();
        assert_eq!(total, 20_001, "{text}");
    }
    assert_eq!(acts::split(&status, &people, Amount::new(20_002).unwrap()), "Only 200.01 USD are held.");
}

#[test]
fn outdated_buttons_do_nothing() {
    let status = dispute(json!({}));
    let accept = Act::all(&status, Role::Client)[0];
    let form = typed(&[("stage", "awaiting_client"), ("seen", "1"), ("named", "15000")]);
    assert_eq!(guard::moved_on(&status, &accept, &form), None);
    let amended = json!([{"at": "2026-12-01T10:00:00Z", "by": "freelancer", "what": "claim_filed", "rule": "R6"},
        {"at": "2026-12-01T11:00:00Z", "by": "freelancer", "what": "claim_amended", "rule": "D5", "note": "180.00 USD"}]);
    let claim = json!({"amount": 18_000, "reason": "other", "details": "More"});
    let changed = dispute(json!({"timeline": amended.clone(), "claim": claim}));
    assert_eq!(
        guard::moved_on(&changed, &accept, &form).as_deref(),
        Some("The case has moved on: freelancer: claim amended (180.00 USD). Nothing was done.")
    );
    assert_eq!(
        guard::moved_on(&dispute(json!({"timeline": amended})), &accept, &form),
        None,
        "the same amount is the same claim"
    );
    let later = dispute(json!({"stage": "in_mediation"}));
    assert!(guard::moved_on(&later, &accept, &form).unwrap().contains("it is now in mediation"));
}

#[test]
fn typed_values_are_read_and_mistakes_name_their_field() {
    let status = dispute(json!({}));
    let act = Act::read(recourse_domain::command::CommandKind::Reject, Role::Client, &typed(&[("of", "claim")]));
    let asked = fields::of(&act, &status, &People::of(Some(&contract())), &[]);
    let hash = "ab".repeat(32);
    let form = typed(&[
        ("reason", "late"),
        ("details", " Too late "),
        ("evidence", &format!("{hash} 12 text/plain the chat.txt")),
    ]);
    let read = fields::read(&asked, &form, status.currency).unwrap();
    assert_eq!(
        read["evidence"],
        json!([{"sha256": hash, "name": "the chat.txt", "size": 12, "media_type": "text/plain"}])
    );
    assert_eq!((&read["reason"], &read["details"]), (&json!("late"), &json!("Too late")));
    let wrong =
        fields::read(&asked, &typed(&[("reason", "never"), ("evidence", "chat.txt")]), status.currency).unwrap_err();
    assert_eq!(wrong.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["reason", "details", "evidence"]);
    let shown = command_form::form(&looked(status, Role::Client), &session(), &act, &form, &wrong).into_string();
    assert!(
        shown.contains("aria-describedby=\"reject-details-error\"") && shown.contains("id=\"reject-details-error\""),
        "{shown}"
    );
    assert!(shown.contains("aria-invalid=\"true\""), "{shown}");
}

#[test]
fn refusals_are_in_words_and_excess_amounts_name_their_field() {
    let refused = "Invalid: amount: 3.00 USD is more than the 2.00 USD in dispute (rule R5); the freelancer can now: approve, dispute";
    let shown = told(&Problem::invalid(refused)).into_string();
    assert!(shown.contains("<p>Amount: 3.00 USD is more than the 2.00 USD in dispute (rule R5).</p>"), "{shown}");
    let status = dispute(json!({"stage": "in_mediation", "allowed": {"mediator": ["propose"]}}));
    let act = Act::all(&status, Role::Mediator)[0];
    let asked = fields::of(&act, &status, &People::of(Some(&contract())), &[]);
    for (text, wrong) in [("200", None), ("200.01", Some("to_freelancer"))] {
        let read =
            fields::read(&asked, &typed(&[("to_freelancer", text), ("rationale", "x")]), status.currency).unwrap();
        assert_eq!(fields::too_much(&asked, &read, status.currency).map(|(name, _)| name), wrong, "{text}");
    }
    assert_eq!(fields::named_in(&asked, "Invalid: to_freelancer: too much"), Some("to_freelancer"));
}

#[test]
fn user_text_is_shown_and_never_executed() {
    let mut named = contract();
    named.title = SCRIPT.to_owned();
    named.client.name = Some(SCRIPT.to_owned());
    named.freelancer.name = Some(SCRIPT.to_owned());
    let evidence = json!([{"sha256": "ab", "name": SCRIPT, "size": 3, "media_type": SCRIPT}]);
    let status = dispute(json!({
        "claim": {"amount": 15_000, "reason": "other", "details": SCRIPT, "evidence": evidence},
        "rejection": {"reason": "other", "details": SCRIPT, "evidence": evidence},
        "offers": [{"number": 1, "by": "client", "to_freelancer": 1, "to_client": 2, "state": "open", "message": SCRIPT}],
        "resolution": {"to_freelancer": 9_000, "to_client": 11_000, "rationale": SCRIPT},
        "review": {"milestone": {"id": "m-1", "ordinal": 1, "name": SCRIPT, "amount": 1, "description": SCRIPT},
                   "submissions": 1, "latest": {"note": SCRIPT, "files": evidence}, "changes": SCRIPT},
        "payment": {"id": "dispute:c-1/release", "released_at": "2026-12-01T10:00:00Z", "left": 1, "asked": 1, "message": SCRIPT,
                    "mediation_until": "2026-12-01T10:00:00Z", "mediation": SCRIPT, "opinion": SCRIPT},
        "timeline": [{"at": "2026-12-01T10:00:00Z", "by": "client", "what": "offer_made", "note": SCRIPT}],
        "outcome": {"result": "on_hold", "decided_by": "rule", "rule": "E10", "to_freelancer": 0, "to_client": 0,
                    "kept_in_escrow": 0, "message": SCRIPT},
    }));
    let people = People::of(Some(&named));
    let mut pages = Vec::new();
    for role in Role::ALL {
        let looked = CaseView { people: people.clone(), title: SCRIPT.to_owned(), ..looked(status.clone(), role) };
        pages.push(page(&looked));
        let form = typed(&["reason", "details", "evidence", "message", "amount"].map(|name| (name, SCRIPT)));
        pages.extend(
            looked.acts().iter().map(|act| command_form::form(&looked, &session(), act, &form, &[]).into_string()),
        );
    }
    let seen = contract_view::ContractView {
        grounds: recourse_ledger::Grounded::default(),
        people,
        contract: named,
        roles: BTreeSet::from([Role::Client]),
        history: None,
        money: Money::default(),
        holds: Vec::new(),
        unheld: Vec::new(),
    };
    pages.push(contract::body(&seen, &Page { items: Vec::new(), next: None }, &visit()).into_string());
    pages.push(told(&Problem::invalid(SCRIPT).hint(SCRIPT)).into_string());
    let notice: ShownNotice = serde_json::from_value(json!({
        "number": "1", "case": "dispute:c-1", "contract": "c-1", "to": "client", "event": "x", "rule": "N1", "at": SCRIPT,
        "deadline": null, "subject": SCRIPT, "text": SCRIPT,
    }))
    .unwrap();
    pages.push(told::notices(&Page { items: vec![notice], next: None }, &Pages::default()).into_string());
    for page in pages {
        assert!(!page.contains("<script") && !page.contains("\" onload"), "{page}");
    }
}

/// Every button says what it does before somebody confirms it, also for a new command.
#[test]
fn every_button_says_what_it_does() {
    let people = People::of(Some(&contract()));
    for command_kind in CommandKind::ALL {
        for used in command_kind.uses() {
            let status = dispute(json!({"kind": used.kind}));
            for role in used.by {
                let act = Act { command_kind, of: acts::Of::Case, role: *role };
                assert_eq!(act.label(&status), used.called);
                let subjects = command_kind.fields().iter().any(|field| field.name == "of") && !used.takes.is_empty();
                let acts = if subjects { vec![acts::Of::Claim, acts::Of::Resolution] } else { vec![acts::Of::Case] };
                for of in acts {
                    let said = Act { of, ..act }.consequence(&status, &people, None);
                    assert!(
                        said.trim().len() > 20 && !said.trim().starts_with("No money moves."),
                        "{command_kind} {role}: {said}"
                    );
                }
            }
        }
    }
}
