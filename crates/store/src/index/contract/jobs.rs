//! Jobs are leased once, and ended by who has them.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use super::*;
use crate::index::{EvidenceOf, Holding, Retry, State};

fn fill(bed: &Bed, count: u32) {
    for n in 1..=count {
        bed.add(new_instance("1.1", "1.2", &format!("1.3.{n}")));
    }
}

fn sops(jobs: &[Job]) -> Vec<&str> {
    jobs.iter().map(|job| job.key.sop.as_str()).collect()
}

fn kept(reason: &str) -> JobEnd {
    JobEnd::Kept { rule: "keep".into(), reason: reason.into(), levels: None, figures: vec![figure("kept", 1)] }
}

fn failed(may_pass: bool) -> JobEnd {
    JobEnd::Failed { reason: "no".into(), may_pass, figures: vec![figure("failed", 1)] }
}

pub fn leased_in_order_and_given_back(bed: Bed) {
    fill(&bed, 5);
    let first = bed.lease("run/1", 2).unwrap();
    assert_eq!(sops(&first), ["1.3.1", "1.3.2"]);
    assert_eq!((first[0].bytes, first[0].modality.as_str()), (1000, "CT"));
    assert_eq!(first[0].received, new_instance("1.1", "1.2", "1.3.1").object.key);
    let second = bed.lease("run/2", 9).unwrap();
    assert_eq!(sops(&second), ["1.3.3", "1.3.4", "1.3.5"]);
    assert!(bed.lease("run/3", 9).unwrap().is_empty());
    bed.renew("run/1").unwrap();
    bed.give_back("run/1").unwrap();
    let waiting = bed.decisions(State::Waits, 0, 9).unwrap();
    assert_eq!(waiting.iter().map(|d| d.attempts).collect::<Vec<_>>(), [0, 0]);
    assert_eq!(bed.decisions(State::Leased, 0, 9).unwrap().len(), 3);
    assert_eq!(sops(&bed.lease("run/3", 9).unwrap()), ["1.3.1", "1.3.2"]);
}

pub fn one_is_leased_by_its_uids(bed: Bed) {
    fill(&bed, 2);
    let key = instance_key("1.1", "1.2", "1.3.2");
    assert!(!bed.is_leased(&key).unwrap());
    assert_eq!(bed.lease_one("run/1", &key).unwrap().unwrap().key, key);
    assert!(bed.is_leased(&key).unwrap());
    assert!(bed.lease_one("run/2", &key).unwrap().is_none());
    assert!(bed.lease_one("run/2", &instance_key("1.1", "1.2", "1.9")).unwrap().is_none());
    assert!(!bed.is_leased(&instance_key("1.1", "1.2", "1.9")).unwrap());
}

pub fn what_is_handed_out_is_counted(bed: Bed) {
    fill(&bed, 1);
    // An engine that can't tell it says so.
    let Some(before) = bed.handed_out().unwrap() else { return };
    fill(&bed, 2);
    assert_eq!(bed.handed_out().unwrap(), Some(before), "what is new changes nothing");
    bed.convert_next("p");
    let converted = bed.handed_out().unwrap();
    assert_ne!(converted, Some(before));
    let job = bed.lease_next("run/1");
    let frames = vec![FrameEntry { offset: 500, len: 99, ..FrameEntry::default() }];
    let levels = Some(encode_frames(&frames));
    let end = JobEnd::Kept { rule: "keep".into(), reason: "r".into(), levels, figures: Vec::new() };
    assert!(bed.finish("run/1", "p", &job, end).unwrap());
    assert_ne!(bed.handed_out().unwrap(), converted);
}

pub fn a_conversion_is_one_commit(bed: Bed) {
    fill(&bed, 1);
    let (key, before) = (instance_key("1.1", "1.2", "1.3.1"), bed.version("1.1", Some("1.2")).unwrap());
    let job = bed.convert_next("p");
    let row = bed.row(&key).unwrap();
    assert_eq!(
        (row.object, row.bytes, row.syntax.as_str()),
        (key_of("1.3.1 converted"), 400, "1.2.840.10008.1.2.4.202")
    );
    assert_ne!(bed.version("1.1", Some("1.2")).unwrap(), before);
    assert_eq!(bed.received(&key).unwrap(), Some((job.received, 1000)));
    let became = bed.became(&key).unwrap().unwrap();
    assert_eq!(
        (became.state, became.rule.as_str(), became.received.0, became.current.0),
        (State::Converted, "ct", 1000, 400)
    );
    assert_eq!(bed.holding(&job.received).unwrap(), Some(Holding::Converted { released: false }));
    let evidence = bed.evidence(EvidenceOf::Instance(&key)).unwrap();
    assert_eq!(evidence.len(), 1);
    assert_eq!((evidence[0].from.key, evidence[0].to.key), (job.received, key_of("1.3.1 converted")));
    assert_eq!((evidence[0].frames.as_slice(), evidence[0].milliseconds), (&[1, 2, 3, 0][..], 12));
    assert_eq!((evidence[0].policy.as_str(), evidence[0].modality.as_str()), ("p", "CT"));
    assert_eq!(bed.evidence(EvidenceOf::Sop("1.3.1")).unwrap().len(), 1);
    assert_eq!(bed.evidence(EvidenceOf::After(0, 9)).unwrap()[0].id, evidence[0].id);
    assert!(bed.evidence(EvidenceOf::After(evidence[0].id, 9)).unwrap().is_empty());
    let opinions = Opinions { class: "{}".into(), agreed: 1, disagreed: 2, ..Opinions::default() };
    bed.add_opinions(&opinions).unwrap();
    assert_eq!(bed.opinions().unwrap(), [Opinions { agreed: 4, ..opinions }]);
    let mut figures = bed.figures().unwrap();
    figures.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(figures, [figure("converted", 1), figure("frames", 20)]);
    let stats = bed.stats().unwrap();
    assert_eq!(
        (stats.converted, stats.pending, stats.converted_bytes, stats.ways_back, stats.residue_bytes),
        (1, 0, 400, 1, 3)
    );
    let holdings = bed.holdings().unwrap();
    assert_eq!((holdings.converted, holdings.waiting, holdings.released), (1, 0, 0));
}

pub fn who_lost_its_lease_ends_nothing(bed: Bed) {
    fill(&bed, 1);
    let job = bed.lease_next("one/1");
    bed.release_dead(&["one".into()]).unwrap();
    let again = bed.lease_next("two/1");
    assert_eq!(again.key, job.key);
    for end in [conversion("late"), kept("late"), failed(false)] {
        assert!(!bed.finish("one/1", "p", &job, end).unwrap());
    }
    assert_eq!(bed.row(&job.key).unwrap().bytes, 1000);
    assert!(!bed.lists(&key_of("late")).unwrap() && bed.figures().unwrap().is_empty());
    assert!(bed.finish("two/1", "p", &again, kept("in time")).unwrap());
    assert!(!bed.finish("two/1", "p", &again, kept("twice")).unwrap());
    assert_eq!(bed.became(&job.key).unwrap().unwrap().reason, "in time");
}

pub fn what_is_kept_may_gain_levels(bed: Bed) {
    fill(&bed, 2);
    let (first, second) = (bed.lease_next("run/1"), bed.lease_next("run/1"));
    let state = |job: &Job| bed.instances(Scope::Instance(&job.key), &mut |_| true).unwrap()[0].version;
    let (before, of_second) = (state(&first), state(&second));
    let end =
        JobEnd::Kept { rule: "keep".into(), reason: String::new(), levels: Some(vec![9; 99]), figures: Vec::new() };
    assert!(bed.finish("run/1", "p", &first, end).unwrap());
    assert!(bed.finish("run/1", "p", &second, kept("as it is")).unwrap());
    assert_eq!(bed.row(&first.key).unwrap().frames, [9; 99]);
    assert_ne!(state(&first), before);
    assert_eq!(state(&second), of_second);
    let decisions = bed.decisions(State::Kept, 1, 9).unwrap();
    assert_eq!(decisions.len(), 1);
    assert_eq!(
        (decisions[0].rule.as_str(), decisions[0].reason.as_str(), decisions[0].attempts),
        ("keep", "as it is", 1)
    );
    assert_eq!(bed.holding(&second.received).unwrap(), Some(Holding::Kept { reason: "as it is".into() }));
    assert_eq!(bed.stats().unwrap().kept, 2);
}

pub fn failures_wait_again(bed: Bed) {
    fill(&bed, 2);
    bed.requeue("p", Retry::Now).unwrap();
    let (passes, stays) = (bed.lease_next("run/1"), bed.lease_next("run/1"));
    assert!(bed.finish("run/1", "p", &passes, failed(true)).unwrap());
    assert!(bed.finish("run/1", "p", &stays, failed(false)).unwrap());
    assert!(bed.became(&passes.key).unwrap().unwrap().may_pass);
    assert!(!bed.became(&stays.key).unwrap().unwrap().may_pass);
    assert!(!bed.waits("p").unwrap(), "it rests");
    bed.requeue("p", Retry::Rested).unwrap();
    assert!(bed.lease("run/1", 9).unwrap().is_empty());
    bed.requeue("p", Retry::Now).unwrap();
    assert!(bed.waits("p").unwrap());
    assert_eq!(bed.lease_next("run/1").key, passes.key);
    assert_eq!(bed.stats().unwrap().failed, 1);
}

pub fn another_policy_looks_again(bed: Bed) {
    fill(&bed, 3);
    bed.requeue("p", Retry::Now).unwrap();
    bed.convert_next("p");
    for end in [kept("p says so"), failed(false)] {
        let job = bed.lease_next("run/1");
        assert!(bed.finish("run/1", "p", &job, end).unwrap());
    }
    assert!(!bed.waits("p").unwrap());
    assert!(bed.waits("q").unwrap());
    let backlog = |policy| bed.backlog(policy, 0, 9).unwrap().len();
    assert_eq!([backlog("p"), backlog("q")], [0, 2]);
    bed.requeue("q", Retry::Rested).unwrap();
    assert_eq!(bed.lease("run/1", 9).unwrap().len(), 2);
    bed.give_back("run/1").unwrap();
    // What one policy decides while another is settled is noticed.
    let job = bed.lease_next("run/1");
    assert!(bed.finish("run/1", "p", &job, kept("p again")).unwrap());
    bed.lease("run/1", 9).unwrap();
    assert!(bed.waits("q").unwrap());
}

pub fn the_dead_hand_on(bed: Bed) {
    fill(&bed, 3);
    bed.lease_next("one/1");
    bed.lease_next("one/2");
    bed.lease_next("two/1");
    let mut lessees = bed.lessees().unwrap();
    lessees.sort();
    assert_eq!(lessees, ["one", "two"]);
    bed.release_dead(&["one".into(), "three".into()]).unwrap();
    assert_eq!(bed.lessees().unwrap(), ["two"]);
    assert_eq!(sops(&bed.lease("four/1", 9).unwrap()), ["1.3.1", "1.3.2"]);
}

pub fn the_backlog_is_listed_page_by_page(bed: Bed) {
    fill(&bed, 7);
    bed.convert_next("p");
    let (mut found, mut after) = (Vec::new(), 0);
    loop {
        let page = bed.backlog("p", after, 2).unwrap();
        let Some(last) = page.last() else { break };
        after = last.id;
        found.extend(page.into_iter().map(|waiting| (waiting.key.sop, waiting.bytes, waiting.modality)));
    }
    let expected: Vec<_> = (2..=7).map(|n| (format!("1.3.{n}"), 1000, "CT".to_owned())).collect();
    assert_eq!(found, expected);
}

pub fn commits_wake_up(bed: Bed) {
    let seen = bed.commits();
    bed.wait_for_commit(seen, Duration::from_millis(1));
    thread::scope(|scope| {
        scope.spawn(|| bed.index.register(new_instance("1.1", "1.2", "1.3")).wait().unwrap());
        while bed.index.commits() == seen {
            bed.index.wait_for_commit(seen, Duration::from_secs(10));
        }
    });
    assert!(bed.waits("p").unwrap());
}

pub fn many_lease_each_job_once(bed: Bed) {
    fill(&bed, 120);
    let index = &*bed.index;
    let leased: Vec<String> = thread::scope(|scope| {
        let lease = |worker: usize| {
            let (run, mut mine) = (format!("run/{worker}"), Vec::new());
            loop {
                let jobs = index.lease(&run, 3).unwrap();
                if jobs.is_empty() {
                    return mine;
                }
                for job in jobs {
                    assert!(index.finish(&run, "p", &job, kept("seen")).unwrap());
                    mine.push(job.key.sop);
                }
            }
        };
        let workers: Vec<_> = (0..4).map(|worker| scope.spawn(move || lease(worker))).collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(leased.len(), 120);
    assert_eq!(leased.iter().collect::<BTreeSet<_>>().len(), 120);
}
