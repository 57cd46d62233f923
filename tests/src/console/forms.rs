//! Forms that none of our pages has sent, and texts that contain code.

use reqwest::{Client, StatusCode, header, redirect::Policy};
use serde_json::{Value, json};

use crate::{
    api::Served,
    harness::{Story, World, run},
};

fn visitor() -> Client {
    Client::builder().redirect(Policy::none()).build().unwrap()
}

const FORM: &str = "application/x-www-form-urlencoded";

/// A filled form. Nothing in it needs encoding.
fn filled(fields: &[(&str, &str)]) -> String {
    fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// A session of a persona: the cookie.
async fn session(served: &Served, persona: &str) -> String {
    let form = filled(&[("persona", persona)]);
    let request = visitor().post(format!("{}/session", served.url)).header(header::CONTENT_TYPE, FORM);
    let answer = request.body(form).send().await.unwrap();
    let cookie = answer.headers()[header::SET_COOKIE].to_str().unwrap().to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    cookie.split(';').next().unwrap().to_owned()
}

/// A form without our pages' secret, or from another site, changes nothing.
#[test]
fn a_form_of_another_site_is_refused() {
    run(async {
        let world = World::apart("forged", &[]).await;
        let served = Served::played(&world).await;
        let cookie = session(&served, "cl-1").await;
        let path = format!("{}/sandbox", served.url);
        let page = visitor().get(&path).header(header::COOKIE, &cookie).send().await.unwrap().text().await.unwrap();
        let csrf = page.split("name=\"csrf\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        let post = |csrf: &str, site: &str| {
            let form =
                filled(&[("csrf", csrf), ("key", "0197b2a0-0000-7000-8000-000000000001"), ("example", "contract")]);
            let request = visitor().post(&path).header(header::COOKIE, &cookie).header("sec-fetch-site", site);
            request.header(header::CONTENT_TYPE, FORM).body(form).send()
        };
        for (csrf, site) in [("", "same-origin"), ("00", "same-origin"), (csrf, "cross-site"), (csrf, "same-site")] {
            assert_eq!(post(csrf, site).await.unwrap().status(), StatusCode::FORBIDDEN, "{site}");
        }
        let ours = post(csrf, "same-origin").await.unwrap();
        assert!(ours.status().is_redirection(), "{}", ours.text().await.unwrap());
        let nobody = visitor().get(format!("{}/operator", served.url)).send().await.unwrap();
        assert!(nobody.headers()[header::LOCATION].to_str().unwrap().starts_with("/sign-in"), "{nobody:?}");
    });
}

/// A page shows what people wrote as text, and runs none of it.
#[test]
fn pages_show_what_people_write_as_text() {
    run(async {
        const SCRIPT: &str = "<script>alert(1)</script>\"'<img src=x onerror=alert(1)>";
        let world = World::apart("script", &[]).await;
        let served = Served::played(&world).await;
        let mut story = Story::new(&world, "script");
        story.contract["title"] = json!(SCRIPT);
        story.contract["client"] = json!({"id": "cl-1", "name": SCRIPT});
        story.contract["freelancer"] = json!({"id": "fl-1", "name": SCRIPT});
        story.deposit("d-1", 30_000, "card-1").await;
        story.end(0, Value::Null).await;
        let (command_kind, mut claim) = story.command("freelancer", "claim 20000");
        claim.insert("details".into(), json!(SCRIPT));
        world.client.command(&story.refund_request, command_kind, claim).await.unwrap();
        let dispute = format!("dispute:{}", story.id());
        world.opened(&dispute).await;
        let id = story.id();
        for (persona, paths) in [
            (
                "cl-1",
                vec![
                    "/".to_owned(),
                    format!("/contracts/{id}"),
                    format!("/cases/{dispute}"),
                    format!("/cases/{dispute}/commands/reject?of=claim"),
                ],
            ),
            ("fl-1", vec!["/".to_owned(), format!("/cases/{}", story.refund_request)]),
            ("med-1", vec!["/desk".to_owned(), format!("/cases/{dispute}")]),
            ("ops-1", vec!["/operator".to_owned()]),
        ] {
            let cookie = session(&served, persona).await;
            for path in paths {
                let answer = visitor()
                    .get(format!("{}{path}", served.url))
                    .header(header::COOKIE, &cookie)
                    .send()
                    .await
                    .unwrap();
                assert_eq!(answer.status(), StatusCode::OK, "{path}");
                let policy = answer.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
                assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
                let page = answer.text().await.unwrap();
                assert!(!page.contains("<script>") && !page.contains("<img src=x"), "{path}");
            }
        }
    });
}

/// Somebody may make a name of their own lead to a sandbox on another person's machine; the sandbox gives no token under that
/// name. And no page of another site can sign anybody in.
#[test]
fn a_sandbox_answers_only_its_own_machine_and_no_other_site_signs_in() {
    run(async {
        let served = Served::played(World::shared().await).await;
        for path in ["/dev/tokens/ops-1", "/session"] {
            let request = visitor().post(format!("{}{path}", served.url)).header(header::CONTENT_TYPE, FORM);
            let answer = request.header(header::HOST, "rebound.example").body("persona=ops-1").send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::MISDIRECTED_REQUEST, "{path}");
            assert!(answer.headers().get(header::SET_COOKIE).is_none());
        }
        let token = visitor().post(format!("{}/dev/tokens/cl-1", served.url)).send().await.unwrap();
        let token: serde_json::Value = token.json().await.unwrap();
        let form = format!("token={}", token["token"].as_str().unwrap());
        for (site, status) in [("cross-site", StatusCode::FORBIDDEN), ("same-origin", StatusCode::OK)] {
            let request = visitor().post(format!("{}/session", served.url)).header(header::CONTENT_TYPE, FORM);
            let request = request.header("sec-fetch-site", site).header(header::ORIGIN, "https://elsewhere.example");
            let answer = request.body(form.clone()).send().await.unwrap();
            assert_eq!(answer.status(), status, "{site}");
            assert_eq!(answer.headers().contains_key(header::SET_COOKIE), status == StatusCode::OK, "{site}");
        }
    });
}
