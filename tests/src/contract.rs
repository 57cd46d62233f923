//! The wire contract from another language: Temporal's Python client, without our code.

use std::process::Stdio;

use serde_json::Value;

use crate::harness::{World, ledger_of, python, run, unique};

#[test]
fn a_python_program_needs_only_the_wire_contract() {
    run(async {
        let world = World::shared().await;
        let contract = unique("python");
        let output = python("contract_client.py")
            .args([world.client.address(), world.client.namespace(), &contract])
            .stdin(Stdio::null())
            .output()
            .await
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let got: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(
            (&got["deposited"]["result"], &got["deposited"]["charged"], &got["deposited"]["held"]),
            (&"deposited".into(), &30_000.into(), &30_000.into())
        );

        let disputed = &got["disputed"];
        assert_eq!(
            (&disputed["case"], &disputed["kind"]),
            (&format!("refund-request:{contract}").into(), &"refund_request".into())
        );
        let claimed = &got["claimed"];
        assert_eq!(
            (&claimed["held"], &claimed["waiting_on"], &claimed["if_silent"]),
            (&20_000.into(), &serde_json::json!(["client"]), &"release_claimed_amount".into())
        );
        assert_eq!(claimed["claim"]["amount"], 15_000);
        assert_eq!(claimed["claim"]["evidence"][0]["media_type"], "application/pdf");
        for field in [
            "contract",
            "currency",
            "stage",
            "deadline",
            "allowed",
            "rejection",
            "offers",
            "resolution",
            "answers",
            "timeline",
            "outcome",
        ] {
            assert!(claimed.get(field).is_some(), "{field} of {claimed}");
        }
        assert_eq!(claimed["allowed"]["client"], serde_json::json!(["accept", "reject", "offer"]));

        assert!(got["not_allowed"].as_str().unwrap().starts_with("NotAllowed: "), "{}", got["not_allowed"]);
        assert!(got["invalid"].as_str().unwrap().starts_with("Invalid: missing field `of`"), "{}", got["invalid"]);
        assert_eq!(got["updated"]["stage"], "in_mediation");
        let timeline = got["updated"]["timeline"].as_array().unwrap();
        assert!(
            timeline.iter().any(|entry| entry["what"] == "unreadable"),
            "the malformed signal is noted: {timeline:?}"
        );
        assert!(timeline.iter().all(|entry| entry["at"].is_string() && entry["by"].is_string()));
        assert_eq!(got["proposed"]["resolution"]["to_client"], 11_000);

        let outcome = &got["dispute_result"];
        assert_eq!(
            (&outcome["result"], &outcome["decided_by"], &outcome["rule"]),
            (&"settled".into(), &"resolution_accepted".into(), &"M5".into())
        );
        assert_eq!(
            (
                &outcome["to_freelancer"],
                &outcome["to_client"],
                &outcome["kept_in_escrow"],
                &outcome["bonus"],
                &outcome["bonus_failed"]
            ),
            (&9_000.into(), &11_000.into(), &0.into(), &0.into(), &false.into())
        );
        assert_eq!((&got["result"]["to_freelancer"], &got["result"]["to_client"]), (&19_000.into(), &11_000.into()));
        assert_eq!(&got["closed"]["outcome"], outcome);
        let id = recourse_domain::ids::Id::new(&contract).unwrap();
        assert_eq!(ledger_of(world, &id).await, "deposit 30000, release 10000, release 9000, refund 11000");
    });
}
