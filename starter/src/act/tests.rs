use super::*;

/// The options as people type them.
fn typed(options: &str) -> Fields {
    let matches = Fields::augment_args(clap::Command::new("act").no_binary_name(true))
        .try_get_matches_from(options.split_whitespace())
        .unwrap_or_else(|error| panic!("{options}: {error}"));
    Fields::from_arg_matches(&matches).unwrap()
}

fn check(kind: CaseKind, verb: Verb, options: &str) -> Result<(), Failure> {
    typed(options).check(kind, verb).map(drop)
}

#[test]
fn a_missing_or_surplus_option_is_named() {
    use CaseKind::{Dispute, MilestoneReview, PaymentRefund, RefundRequest};
    for (kind, verb, options, expected) in [
        (RefundRequest, Verb::Dispute, "--amount 1", "dispute needs --reason, --details"),
        (RefundRequest, Verb::Approve, "--amount 1", "approve takes no --amount"),
        (RefundRequest, Verb::Approve, "--hours 1", "approve takes no --hours"),
        (Dispute, Verb::Accept, "", "accept needs --of"),
        (Dispute, Verb::Accept, "--of offer", "accept needs --number"),
        (Dispute, Verb::Accept, "--of money", "--of: \"money\" is none of"),
        (Dispute, Verb::Reject, "", "reject needs --of"),
        (Dispute, Verb::Reject, "--of claim", "reject needs --reason, --details"),
        (MilestoneReview, Verb::Submit, "--file a.pdf", "submit needs --note"),
        (MilestoneReview, Verb::RequestChanges, "", "request_changes needs --message"),
        (MilestoneReview, Verb::Approve, "--text Fine", "approve takes no --text"),
        (MilestoneReview, Verb::Dispute, "--amount 1 --reason other --details x", "dispute needs --contacted-client"),
        (
            RefundRequest,
            Verb::Dispute,
            "--amount 1 --reason other --details x --contacted-client",
            "dispute takes no --contacted-client",
        ),
        (Dispute, Verb::Accept, "--of resolution --amount 1", "accept takes no --amount"),
        (RefundRequest, Verb::Approve, "--submission 1", "approve takes no --submission"),
        (Dispute, Verb::Withdraw, "--source card-1", "withdraw takes no --source"),
        (PaymentRefund, Verb::Reject, "--of claim", "reject takes no --of"),
        (PaymentRefund, Verb::RequestMediation, "", "request_mediation needs --message"),
        (PaymentRefund, Verb::Opinion, "--message x", "opinion needs --text"),
    ] {
        let failure = check(kind, verb, options).unwrap_err();
        assert!(failure.message.starts_with(expected), "{}", failure.message);
        assert_eq!(failure.exit, 2);
    }
    for (kind, verb, options) in [
        (Dispute, Verb::Reject, "--of resolution"),
        (PaymentRefund, Verb::Reject, ""),
        (PaymentRefund, Verb::Approve, "--amount 50.00"),
        (MilestoneReview, Verb::Approve, ""),
        (MilestoneReview, Verb::Approve, "--submission 2"),
        (Dispute, Verb::Accept, "--of claim"),
        (Dispute, Verb::Accept, "--of claim --amount 150.00"),
        (Dispute, Verb::Reject, "--of claim --amount 150.00 --reason late --details x"),
        (Dispute, Verb::DemandArbitration, "--source card-9"),
        (MilestoneReview, Verb::Supersede, ""),
    ] {
        assert!(check(kind, verb, options).is_ok(), "{verb} {options}");
    }
}

#[test]
fn options_become_the_wire_contracts_fields() {
    use CaseKind::{Dispute, MilestoneReview, PaymentRefund, RefundRequest};
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.pdf");
    std::fs::write(&path, "abc").unwrap();
    let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let file = json!([{"sha256": sha256, "name": "a.pdf", "size": 3, "media_type": "application/pdf"}]);
    let submit = format!("--note Again --file {}", path.display());
    for (kind, verb, options, expected) in [
        (
            Dispute,
            Verb::Offer,
            "--to-freelancer 90.00 --message Half?",
            json!({"to_freelancer": 9_000, "message": "Half?"}),
        ),
        (PaymentRefund, Verb::Approve, "--amount 200.00", json!({"amount": 20_000})),
        (RefundRequest, Verb::Approve, "", json!({})),
        (MilestoneReview, Verb::Approve, "--submission 2", json!({"submission": 2})),
        (Dispute, Verb::Accept, "--of claim --amount 150.00", json!({"of": "claim", "amount": 15_000})),
        (Dispute, Verb::DemandArbitration, "--source pm_1", json!({"source": "pm_1"})),
        (MilestoneReview, Verb::Submit, &submit, json!({"note": "Again", "files": file})),
        (MilestoneReview, Verb::RequestChanges, "--message Bluer", json!({"message": "Bluer"})),
        (PaymentRefund, Verb::Opinion, "--text Half", json!({"text": "Half"})),
        (
            MilestoneReview,
            Verb::Dispute,
            "--amount 1 --reason work_delivered --details x --contacted-client",
            json!({"amount": 100, "reason": "work_delivered", "details": "x", "contacted_client": true}),
        ),
    ] {
        let mut body = Map::new();
        let fields = typed(options);
        let asked = fields.check(kind, verb).unwrap();
        fields.add_to(&mut body, &asked, Currency::from_code("USD").ok()).unwrap();
        assert_eq!(Value::from(body), expected, "{verb} {options}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_with_the_option() {
    for (verb, options, told) in [
        (Verb::Reject, "--of claim --details x --reason because", "--reason: \"because\" is none of not_delivered"),
        (Verb::Retract, "--number two", "--number: invalid digit"),
        (Verb::DemandArbitration, "--source a/b", "--source: \"a/b\" is not an id"),
        (Verb::Offer, "--to-freelancer much", "--to-freelancer: "),
    ] {
        let fields = typed(options);
        let asked = fields.check(CaseKind::Dispute, verb).unwrap();
        let failure = fields.add_to(&mut Map::new(), &asked, Currency::from_code("USD").ok()).unwrap_err();
        assert!(failure.message.starts_with(told), "{options}: {}", failure.message);
        assert_eq!(failure.exit, 2);
    }
}

/// An option is typed in one way, whichever command it is for.
#[test]
fn options_of_one_name_are_typed_alike() {
    for (name, fields) in options() {
        let way = |kind: FieldKind| (kind == FieldKind::Flag, kind == FieldKind::Files);
        assert!(fields.iter().all(|(_, field)| way(field.kind) == way(fields[0].1.kind)), "--{name}");
    }
}

/// The help of a command names each option that it can need, whatever the case is about.
#[test]
fn the_help_of_a_command_names_its_options() {
    use clap::ValueEnum as _;

    for value in VerbArg::value_variants() {
        let shown = value.to_possible_value().unwrap();
        let help = shown.get_help().map(ToString::to_string).unwrap_or_default();
        for field in value.0.fields() {
            let option = format!("--{}", values::option_of(field));
            assert!(help.contains(&option), "{} has no {option}: {help}", shown.get_name());
        }
    }
}
