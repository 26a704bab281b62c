//! The shipped policies at their borders, and policies that are wrong.

mod common;

use common::{Form, Made};
use dicom::Source;
use transcode::{Action, Outcome, Policy, Target};

fn grey(rows: u16, columns: u16) -> Source {
    let mut made = Made::image(Form::Explicit, rows, columns, 8, 8, false);
    made.element(0x7FE0, 0x0010, "OB", &vec![0; usize::from(rows) * usize::from(columns)]);
    made.source()
}

#[test]
fn the_size_rule_at_999_1000_and_1001_on_each_side() {
    let policy = Policy::default();
    for (rows, columns, target) in [
        (999, 10, Target::JpegLsLossless),
        (1000, 10, Target::JpegLsLossless),
        (1001, 10, Target::Htj2kLosslessRpcl),
        (10, 999, Target::JpegLsLossless),
        (10, 1000, Target::JpegLsLossless),
        (10, 1001, Target::Htj2kLosslessRpcl),
        (1000, 1000, Target::JpegLsLossless),
        (1001, 1001, Target::Htj2kLosslessRpcl),
    ] {
        let decision = policy.decide(grey(rows, columns).facts());
        assert_eq!(decision.then, Action::Convert(target), "{rows} x {columns}: {:?}", decision.why);
    }
    let all = Policy::shipped("htj2k-all").unwrap().decide(grey(10, 10).facts());
    assert_eq!(all.then, Action::Convert(Target::Htj2kLosslessRpcl));
}

#[test]
fn explanations_name_the_rule_and_the_field_that_decided() {
    let decision = Policy::default().decide(grey(1001, 10).facts());
    assert_eq!(decision.rule, "grey-large");
    assert!(
        decision.why.contains(&"grey-small: no, longest side is 1001, not up to 1000".to_owned()),
        "{:?}",
        decision.why
    );
    assert_eq!(decision.why.last().unwrap(), "grey-large: yes");
}

#[test]
fn what_a_target_can_not_carry_is_kept_with_a_reason() {
    let mut made = Made::image(Form::Explicit, 2, 2, 8, 8, true);
    made.element(0x7FE0, 0x0010, "OB", &[0; 4]);
    let decide = |then: &str| {
        let policy = Policy::parse(&format!("[[rule]]\nname = \"x\"\nthen = {{ transfer_syntax = {then} }}")).unwrap();
        policy.decide(made.source().facts()).then
    };
    let keep = |reason: &str| Action::Keep { reason: reason.into() };
    let signed = "signed samples under JPEG XL: the standard names no way to code them with loss";
    assert_eq!(decide("\"jpeg-xl\", max_error = 2"), keep(signed));
    let jpeg = "only JPEG Baseline becomes JPEG XL JPEG Recompression";
    assert_eq!(decide("\"jpeg-xl-recompression\""), keep(jpeg));
}

#[test]
fn rules_match_on_any_element_and_on_ranges() {
    let text = r#"
[[rule]]
name = "by element"
when = { modality = ["CT", "OT"], element = { PatientName = "A*", "0008,0060" = "OT" }, rows = { at_least = 2, under = 3 } }
then = { keep = "asked for" }
"#;
    let policy = Policy::parse(text).unwrap();
    assert_eq!(policy.decide(grey(2, 2).facts()).rule, "by element");
    assert_eq!(policy.decide(grey(3, 2).facts()).rule, "none");
    let other = Policy::parse(&text.replace("A*", "B*")).unwrap();
    assert_eq!(other.decide(grey(2, 2).facts()).rule, "none");
    assert_ne!(policy.hash(), other.hash());
}

#[test]
fn wrong_policies_are_refused_in_one_line() {
    for (text, word) in [
        ("[[rule]]\nname = \"x\"\nwhen = { sample = 1 }\nthen = { keep = \"y\" }", "sample"),
        ("[[rule]]\nname = \"x\"\nthen = { transfer_syntax = \"jpeg-2001\" }", "jpeg-2001"),
        ("[[rule]]\nname = \"x\"\nthen = { }", "then"),
        ("[[rule]]\nname = \"x\"\nwhen = { rows = { above = 3 } }\nthen = { keep = \"y\" }", "over"),
        (
            "[[rule]]\nname = \"x\"\nwhen = { element = { NoSuchKeyword = \"1\" } }\nthen = { keep = \"y\" }",
            "NoSuchKeyword",
        ),
        ("[[rule]]\nname = \"x\"\nwhen = { pixels = \"some\" }\nthen = { keep = \"y\" }", "some"),
        ("", "no rules"),
        ("rule = 3", "line 1"),
    ] {
        let error = Policy::parse(text).unwrap_err();
        let error = format!("{error} {}", error.suggestion().unwrap_or_default());
        assert!(error.contains(word) && !error.contains('\n'), "{error:?} should name {word}");
    }
}

#[test]
fn an_unknown_name_comes_with_the_nearest() {
    let rule = |when: &str, then: &str| format!("[[rule]]\nname = \"x\"\nwhen = {{ {when} }}\nthen = {{ {then} }}");
    let keep = "keep = \"y\"";
    for (text, hint) in [
        (rule("modalty = \"CT\"", keep), "did you mean \"modality\"?"),
        (rule("", "transfer_syntax = \"htj2k-losless\""), "did you mean \"htj2k-lossless\"?"),
        (rule("element = { PatientNam = \"A\" }", keep), "did you mean \"PatientName\"?"),
        (rule("pixels = \"nativ\"", keep), "did you mean \"native\"?"),
        (rule("", "transfer_sintax = \"htj2k\""), "did you mean \"transfer_syntax\"?"),
        (rule("", "transfer_syntax = \"htj2k\""), "max_error"),
        (rule("", "transfer_syntax = \"htj2k-lossless\", max_error = 2"), "lossy target"),
        (rule("", "transfer_syntax = \"htj2k\", max_error = 0"), "lossless target"),
    ] {
        let error = Policy::parse(&text).unwrap_err();
        assert!(error.suggestion().is_some_and(|s| s.contains(hint)), "{text}: {error}, {:?}", error.suggestion());
    }
}

#[test]
fn elements_match_by_value_list_pattern_range_and_presence() {
    let mut made = Made::image(Form::Big, 2, 2, 8, 8, false);
    made.text(0x0028, 0x1050, "DS", "40.5\\80 ").element(0x7FE0, 0x0010, "OB", &[0; 4]);
    let source = made.source();
    for (element, holds) in [
        ("Rows = 2", true),
        ("Rows = 3", false),
        ("Rows = { at_least = 2, under = 2.5 }", true),
        ("WindowCenter = 40.5", true),
        ("WindowCenter = { over = 79 }", true),
        ("WindowCenter = { over = 80 }", false),
        ("PatientName = \"A?B*\"", true),
        ("PatientName = [\"C^D\", \"*B\"]", true),
        ("PatientName = { present = true }", true),
        ("PatientName = { present = false }", false),
        ("PatientID = { present = false }", true),
        ("\"0028,0100\" = [8, 16]", true),
        ("PatientID = \"*\"", false),
    ] {
        let text = format!("[[rule]]\nname = \"x\"\nwhen = {{ element = {{ {element} }} }}\nthen = {{ keep = \"y\" }}");
        let decision = Policy::parse(&text).unwrap().decide(source.facts());
        assert_eq!(decision.rule == "x", holds, "{element}: {:?}", decision.why);
    }
}

#[test]
fn the_source_ae_and_the_source_syntax_can_be_asked_for() {
    let mut made = Made::image(Form::Big, 2, 2, 8, 8, false);
    made.meta(0x0016, "AE", "CT_ROOM1").element(0x7FE0, 0x0010, "OB", &[0; 4]);
    let text = r#"
[[rule]]
name = "room"
when = { ae_title = "CT_ROOM?", transfer_syntax = "1.2.840.10008.1.2.2", sop_class = "*.7", bits_stored = { up_to = 8 }, frames = 1 }
then = { transfer_syntax = "htj2k-lossless" }
"#;
    let policy = Policy::parse(text).unwrap();
    assert_eq!(policy.decide(made.source().facts()).then, Action::Convert(Target::Htj2kLossless));
    assert_eq!(policy.decide(grey(2, 2).facts()).rule, "none");
}

#[test]
fn what_is_hardly_meant_is_said() {
    let rule = |name: &str, when: &str| {
        format!("[[rule]]\nname = \"{name}\"\nwhen = {{ {when} }}\nthen = {{ keep = \"y\" }}\n")
    };
    let policy = Policy::parse(&[rule("a", "rows = 1"), rule("b", ""), rule("a", "rows = 2")].concat()).unwrap();
    assert_eq!(policy.rules().collect::<Vec<_>>(), ["a", "b", "a"]);
    assert_eq!(policy.doubts().len(), 2, "{:?}", policy.doubts());
    for name in Policy::SHIPPED {
        assert_eq!(Policy::shipped(name).unwrap().doubts(), [""; 0]);
    }
}

#[test]
fn what_is_lossy_already_is_coded_again_only_by_a_rule_that_says_so() {
    let mut made = Made::image(Form::Explicit, 2, 2, 8, 8, false);
    made.text(0x28, 0x2110, "CS", "01").element(0x7FE0, 0x0010, "OB", &[1, 2, 3, 4]);
    let decide = |when: &str| {
        let then = "{ transfer_syntax = \"htj2k-lossless-rpcl\" }";
        let text = format!("[[rule]]\nname = \"x\"\nwhen = {{ {when} }}\nthen = {then}");
        Policy::parse(&text).unwrap().decide(made.source().facts()).then
    };
    assert!(matches!(decide(""), Action::Keep { reason } if reason.contains("lossy already")));
    assert_eq!(decide("lossy = true"), Action::Convert(Target::Htj2kLosslessRpcl));
}

#[test]
fn every_shipped_policy_parses() {
    for name in Policy::SHIPPED {
        assert!(Policy::shipped(name).is_some(), "{name}");
    }
    assert_eq!(Policy::default().hash(), Policy::shipped("default").unwrap().hash());
}

#[test]
fn only_if_smaller_keeps_what_would_grow_and_says_why() {
    let policy = |smaller: &str| {
        let then = format!("then = {{ transfer_syntax = \"htj2k-lossless-rpcl\"{smaller} }}");
        Policy::parse(&format!("[[rule]]\nname = \"x\"\n{then}")).unwrap()
    };
    let (always, smaller) = (policy(""), policy(", only_if_smaller = true"));
    // Noise of all bits can't be made smaller; zeros can.
    let noisy = |bytes: &[u8]| {
        let mut made = Made::image(Form::Explicit, 64, 64, 8, 8, false);
        made.element(0x7FE0, 0x0010, "OB", bytes).source()
    };
    let bytes: Vec<u8> = common::noise(64 * 64, 8).iter().map(|v| *v as u8).collect();
    let (grows, shrinks) = (noisy(&bytes), noisy(&[0; 64 * 64]));
    assert!(smaller.decide(grows.facts()).only_if_smaller && !always.decide(grows.facts()).only_if_smaller);
    let outcome = |source: &Source, policy: &Policy| match common::run(source, policy) {
        (Outcome::Converted(verified), _) => Ok(verified.bytes_out < verified.bytes_in),
        (Outcome::Kept { reason, rule }, _) => Err((reason, rule)),
        (other, _) => panic!("{other:?}"),
    };
    assert_eq!(outcome(&grows, &always), Ok(false), "the image of this test grows");
    assert_eq!(outcome(&grows, &smaller), Err(("the new file would not be smaller".into(), "x".into())));
    assert_eq!(outcome(&shrinks, &smaller), Ok(true));
}

#[test]
fn only_if_smaller_belongs_to_a_target() {
    let error = Policy::parse("[[rule]]\nname = \"x\"\nthen = { keep = \"so\", only_if_smaller = true }").unwrap_err();
    assert_eq!(error.to_string(), "policy: rule \"x\": `only_if_smaller` is of no use with `keep`");
    assert!(error.suggestion().unwrap().contains("only_if_smaller = true"));
}
