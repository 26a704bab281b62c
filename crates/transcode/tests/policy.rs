//! The shipped policies at their borders, and policies that are wrong.

mod common;

use common::{Form, Made};
use transcode::{Action, Policy, Source, Target};

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
fn a_target_that_is_not_there_yet_is_kept_with_a_reason() {
    let mut made = Made::image(Form::Explicit, 2, 2, 8, 8, false);
    made.element(0x7FE0, 0x0010, "OB", &[0; 4]);
    let policy = Policy::parse("[[rule]]\nname = \"x\"\nthen = { transfer_syntax = \"jpeg-xl-lossless\" }").unwrap();
    let decision = policy.decide(made.source().facts());
    assert_eq!(decision.then, Action::Keep { reason: "JPEG XL Lossless can't be written by this version".into() });
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
        let error = Policy::parse(text).unwrap_err().to_string();
        assert!(error.contains(word) && !error.contains('\n'), "{error:?} should name {word}");
    }
}

#[test]
fn every_shipped_policy_parses() {
    for name in Policy::SHIPPED {
        assert!(Policy::shipped(name).is_some(), "{name}");
    }
    assert_eq!(Policy::default().hash(), Policy::shipped("default").unwrap().hash());
}
