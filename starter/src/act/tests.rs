use super::*;

/// The options as people type them.
fn typed(options: &str) -> Fields {
    let matches = Fields::augment_args(clap::Command::new("act").no_binary_name(true))
        .try_get_matches_from(options.split_whitespace())
        .unwrap_or_else(|error| panic!("{options}: {error}"));
    Fields::from_arg_matches(&matches).unwrap()
}

fn check(kind: CaseKind, command_kind: CommandKind, options: &str) -> Result<(), Failure> {
    typed(options).check(kind, command_kind).map(drop)
}

#[test]
fn missing_and_surplus_options_are_named() {
    use CaseKind::{Dispute, MilestoneReview, PaymentRefund, RefundRequest};
    for (kind, command_kind, options, expected) in [
        (RefundRequest, CommandKind::Dispute, "--amount 1", "dispute needs --reason, --details"),
        (RefundRequest, CommandKind::Approve, "--amount 1", "approve takes no --amount"),
        (RefundRequest, CommandKind::Approve, "--hours 1", "approve takes no --hours"),
        (Dispute, CommandKind::Accept, "", "accept needs --of"),
        (Dispute, CommandKind::Accept, "--of offer", "accept needs --number"),
        (Dispute, CommandKind::Accept, "--of money", "--of: \"money\" is none of"),
        (Dispute, CommandKind::Reject, "", "reject needs --of"),
        (Dispute, CommandKind::Reject, "--of claim", "reject needs --reason, --details"),
        (MilestoneReview, CommandKind::Submit, "--file a.pdf", "submit needs --note"),
        (MilestoneReview, CommandKind::RequestChanges, "", "request_changes needs --message"),
        (MilestoneReview, CommandKind::Approve, "--text Fine", "approve takes no --text"),
        (
            MilestoneReview,
            CommandKind::Dispute,
            "--amount 1 --reason other --details x",
            "dispute needs --contacted-client",
        ),
        (
            RefundRequest,
            CommandKind::Dispute,
            "--amount 1 --reason other --details x --contacted-client",
            "dispute takes no --contacted-client",
        ),
        (Dispute, CommandKind::Accept, "--of resolution --amount 1", "accept takes no --amount"),
        (RefundRequest, CommandKind::Approve, "--submission 1", "approve takes no --submission"),
        (Dispute, CommandKind::Withdraw, "--source card-1", "withdraw takes no --source"),
        (PaymentRefund, CommandKind::Reject, "--of claim", "reject takes no --of"),
        (PaymentRefund, CommandKind::RequestMediation, "", "request_mediation needs --message"),
        (PaymentRefund, CommandKind::Opinion, "--message x", "opinion needs --text"),
    ] {
        let failure = check(kind, command_kind, options).unwrap_err();
        assert!(failure.message.starts_with(expected), "{}", failure.message);
        assert_eq!(failure.exit, 2);
    }
    for (kind, command_kind, options) in [
        (Dispute, CommandKind::Reject, "--of resolution"),
        (PaymentRefund, CommandKind::Reject, ""),
        (PaymentRefund, CommandKind::Approve, "--amount 50.00"),
        (MilestoneReview, CommandKind::Approve, ""),
        (MilestoneReview, CommandKind::Approve, "--submission 2"),
        (Dispute, CommandKind::Accept, "--of claim"),
        (Dispute, CommandKind::Accept, "--of claim --amount 150.00"),
        (Dispute, CommandKind::Reject, "--of claim --amount 150.00 --reason late --details x"),
        (Dispute, CommandKind::DemandArbitration, "--source card-9"),
        (MilestoneReview, CommandKind::Supersede, ""),
    ] {
        assert!(check(kind, command_kind, options).is_ok(), "{command_kind} {options}");
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
    for (kind, command_kind, options, expected) in [
        (
            Dispute,
            CommandKind::Offer,
            "--to-freelancer 90.00 --message Half?",
            json!({"to_freelancer": 9_000, "message": "Half?"}),
        ),
        (PaymentRefund, CommandKind::Approve, "--amount 200.00", json!({"amount": 20_000})),
        (RefundRequest, CommandKind::Approve, "", json!({})),
        (MilestoneReview, CommandKind::Approve, "--submission 2", json!({"submission": 2})),
        (Dispute, CommandKind::Accept, "--of claim --amount 150.00", json!({"of": "claim", "amount": 15_000})),
        (Dispute, CommandKind::DemandArbitration, "--source pm_1", json!({"source": "pm_1"})),
        (MilestoneReview, CommandKind::Submit, &submit, json!({"note": "Again", "files": file})),
        (MilestoneReview, CommandKind::RequestChanges, "--message Bluer", json!({"message": "Bluer"})),
        (PaymentRefund, CommandKind::Opinion, "--text Half", json!({"text": "Half"})),
        (
            MilestoneReview,
            CommandKind::Dispute,
            "--amount 1 --reason work_delivered --details x --contacted-client",
            json!({"amount": 100, "reason": "work_delivered", "details": "x", "contacted_client": true}),
        ),
    ] {
        let mut body = Map::new();
        let fields = typed(options);
        let asked = fields.check(kind, command_kind).unwrap();
        fields.add_to(&mut body, &asked, Currency::from_code("USD").ok()).unwrap();
        assert_eq!(Value::from(body), expected, "{command_kind} {options}");
    }
}

#[test]
fn impossible_values_are_refused_with_the_option() {
    for (command_kind, options, told) in [
        (
            CommandKind::Reject,
            "--of claim --details x --reason because",
            "--reason: \"because\" is none of not_delivered",
        ),
        (CommandKind::Retract, "--number two", "--number: invalid digit"),
        (CommandKind::DemandArbitration, "--source a/b", "--source: \"a/b\" is not an id"),
        (CommandKind::Offer, "--to-freelancer much", "--to-freelancer: "),
    ] {
        let fields = typed(options);
        let asked = fields.check(CaseKind::Dispute, command_kind).unwrap();
        let failure = fields.add_to(&mut Map::new(), &asked, Currency::from_code("USD").ok()).unwrap_err();
        assert!(failure.message.starts_with(told), "{options}: {}", failure.message);
        assert_eq!(failure.exit, 2);
    }
}

/// People type an option in the same way for every command.
#[test]
fn options_of_one_name_have_one_form() {
    for (name, fields) in options() {
        let way = |kind: FieldKind| (kind == FieldKind::Flag, kind == FieldKind::Files);
        assert!(fields.iter().all(|(_, field)| way(field.kind) == way(fields[0].1.kind)), "--{name}");
    }
}

/// The help of a command names each option that it can need, in cases of every kind.
#[test]
fn the_help_of_a_command_names_its_options() {
    use clap::ValueEnum as _;

    for value in CommandArg::value_variants() {
        let shown = value.to_possible_value().unwrap();
        let help = shown.get_help().map(ToString::to_string).unwrap_or_default();
        for field in value.0.fields() {
            let option = format!("--{}", values::option_of(field));
            assert!(help.contains(&option), "{} has no {option}: {help}", shown.get_name());
        }
    }
}
