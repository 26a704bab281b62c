//! Conversion jobs: one pointer moves, nothing that was received goes, readers see the old or the new.

mod common;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use archive::{Archive, Event, Ingested, Options, Query, QueryLevel, State, Summary};
use common::*;
use sha2::{Digest, Sha256};
use transcode::{Decode, Policy};

const HTJ2K: &str = "1.2.840.10008.1.2.4.202";
const JPEG_LS: &str = "1.2.840.10008.1.2.4.80";
const EXPLICIT: &str = "1.2.840.10008.1.2.1";

fn run(archive: &Archive, policy: &Policy) -> (Summary, Vec<Event>) {
    let events = RefCell::new(Vec::new());
    let summary =
        archive.convert_pending(policy, 2, &AtomicBool::new(false), &|e| events.borrow_mut().push(e)).unwrap();
    (summary, events.into_inner())
}

fn all_htj2k() -> Policy {
    Policy::shipped("htj2k-all").expect("a shipped policy")
}

fn fill(archive: &Archive, count: u32) -> BTreeMap<String, Vec<u8>> {
    let file = |n: u32| {
        let sop = format!("1.3.{n}");
        let bytes = made("1.1", "1.2", &sop).image(90, 120, n).file();
        archive.ingest_bytes(&bytes).unwrap();
        (sop, bytes)
    };
    (0..count).map(file).collect()
}

/// The samples that a file made by [`made`] holds.
fn samples(file: &[u8]) -> &[u8] {
    &file[file.len() - 90 * 120 * 2..]
}

#[test]
fn a_conversion_swaps_one_pointer_and_keeps_what_came() {
    let (archive, folder) = archive();
    let files_in = fill(&archive, 5);
    let before = archive.series_metadata("1.1", "1.2", "").unwrap().unwrap();
    let old = archive.instance("1.1", "1.2", "1.3.0").unwrap().unwrap();

    let (summary, events) = run(&archive, &all_htj2k());
    assert_eq!((summary.converted, summary.kept, summary.failed), (5, 0, 0), "{events:?}");
    assert_eq!(summary.bytes_in, files_in.values().map(|f| f.len() as u64).sum::<u64>());

    for (sop, file) in &files_in {
        let instance = archive.instance("1.1", "1.2", sop).unwrap().unwrap();
        assert_eq!(instance.transfer_syntax, HTJ2K);
        assert_eq!(instance.facts.transfer_syntax.uid(), HTJ2K);
        let bytes = stored(&archive, "1.1", "1.2", sop);
        assert_eq!(instance.size, bytes.len() as u64);
        assert_eq!(instance.object_id, format!("{:x}", Sha256::digest(&bytes)));
        let mut decoded = Vec::new();
        archive.source(&instance).unwrap().decode_frame(0, &mut decoded).unwrap();
        assert!(decoded == samples(file), "{sop}");
        let frame = &instance.frames[0];
        assert!(frame.levels.len() > 1);
        assert_eq!(frame.levels.last().map(|l| (l.level, l.width, l.height, l.end)), Some((0, 120, 90, frame.len)));
        assert!(frame.levels.windows(2).all(|pair| pair[0].end < pair[1].end && pair[0].level > pair[1].level));
        let codestream = archive.object(&instance).unwrap().read_frame(frame).unwrap();
        assert_eq!(codestream[..2], [0xFF, 0x4F]);
    }
    // What was received is where it was.
    let on_disk: Vec<_> = files(&folder.path().join("objects")).iter().map(|f| fs::read(f).unwrap()).collect();
    assert_eq!(on_disk.len(), 10);
    assert!(files_in.values().all(|file| on_disk.contains(file)));
    // A reader that looked the instance up before still reads what it looked up.
    let mut held = vec![0; old.size as usize];
    archive.object(&old).unwrap().read_at(0, &mut held).unwrap();
    assert_eq!(held, files_in["1.3.0"]);
    assert_eq!(old.transfer_syntax, EXPLICIT);

    let after = archive.series_metadata("1.1", "1.2", "").unwrap().unwrap();
    assert_ne!(after.etag, before.etag);
    let listed = archive.find(QueryLevel::Instance, &Query::default()).unwrap();
    assert!(listed.rows.iter().all(|row| value(row, "00083002") == HTJ2K));
    let stats = archive.stats().unwrap();
    assert_eq!((stats.converted, stats.pending, stats.failed), (5, 0, 0));
}

#[test]
fn what_was_done_is_not_done_again() {
    let (archive, _folder) = archive();
    let files = fill(&archive, 3);
    assert_eq!(run(&archive, &all_htj2k()).0.converted, 3);
    assert_eq!(run(&archive, &all_htj2k()).0, Summary::default());
    // What came is known, and so is what it became.
    for (sop, file) in &files {
        assert!(matches!(archive.ingest_bytes(file).unwrap(), Ingested::Duplicate(_)));
        let converted = stored(&archive, "1.1", "1.2", sop);
        assert!(matches!(archive.ingest_bytes(&converted).unwrap(), Ingested::Duplicate(_)));
    }
    assert_eq!(run(&archive, &all_htj2k()).0, Summary::default());
}

#[test]
fn every_conversion_has_its_evidence() {
    let (archive, _folder) = archive();
    let files = fill(&archive, 1);
    let (_, events) = run(&archive, &all_htj2k());
    let Event::Converted { key, rule, from, to, bytes_in, bytes_out, frames } = &events[0] else {
        panic!("{events:?}")
    };
    let evidence = &archive.evidence(key).unwrap()[0].proof;
    assert_eq!(evidence.source_sha256, format!("{:x}", Sha256::digest(&files["1.3.0"])));
    assert_eq!(evidence.file_sha256, archive.instance("1.1", "1.2", "1.3.0").unwrap().unwrap().object_id);
    assert_eq!(evidence.samples_sha256, format!("{:x}", Sha256::digest(samples(&files["1.3.0"]))));
    assert_eq!(evidence.policy, all_htj2k().hash());
    assert_eq!((&evidence.rule, from.as_str(), to.as_str()), (rule, EXPLICIT, HTJ2K));
    assert_eq!(evidence.frames.len(), 1);
    assert_eq!(evidence.frames[0].sha256_before, evidence.frames[0].sha256_after);
    assert_eq!((*bytes_in, *frames), (files["1.3.0"].len() as u64, 1));
    assert!(*bytes_out < *bytes_in && !evidence.codec.is_empty());
}

#[test]
fn the_policy_decides_and_its_change_is_followed() {
    let (archive, _folder) = archive();
    fill(&archive, 2);
    archive.ingest_bytes(&made("1.1", "1.2", "1.4").file()).unwrap();
    let keep = Policy::parse("[[rule]]\nname = \"as-is\"\nwhen = {}\nthen = { keep = \"asked to\" }\n").unwrap();
    let (summary, events) = run(&archive, &keep);
    assert_eq!((summary.converted, summary.kept, summary.failed), (0, 3, 0), "{events:?}");
    assert!(events.iter().all(|e| matches!(e, Event::Kept { reason, .. } if !reason.is_empty())));
    let kept = archive.decisions(State::Kept, 0, 10).unwrap();
    assert_eq!(kept.len(), 3);
    assert!(kept.iter().all(|d| d.rule == "as-is" && d.reason == "asked to" && d.attempts == 1), "{kept:?}");
    assert_eq!(archive.decisions(State::Kept, 2, 10).unwrap(), kept[2..]);
    assert_eq!(run(&archive, &keep).0, Summary::default());
    // Small and grey: JPEG-LS by the default policy. Nothing can be done for one without pixels.
    let (summary, events) = run(&archive, &Policy::default());
    assert_eq!((summary.converted, summary.kept, summary.failed), (2, 1, 0), "{events:?}");
    assert_eq!(archive.instance("1.1", "1.2", "1.3.1").unwrap().unwrap().transfer_syntax, JPEG_LS);
    assert_eq!(archive.instance("1.1", "1.2", "1.4").unwrap().unwrap().transfer_syntax, EXPLICIT);
}

#[test]
fn rules_on_an_element_match_what_is_in_the_archive() {
    let (archive, _folder) = archive();
    fill(&archive, 2);
    let rule = |uid: &str| {
        let when = format!("when = {{ element = {{ SOPInstanceUID = \"{uid}\" }} }}");
        format!("[[rule]]\nname = \"one\"\n{when}\nthen = {{ transfer_syntax = \"htj2k-lossless\" }}\n")
    };
    let (summary, events) = run(&archive, &Policy::parse(&rule("1.3.1")).unwrap());
    assert_eq!((summary.converted, summary.kept), (1, 1), "{events:?}");
    let syntax = archive.instance("1.1", "1.2", "1.3.1").unwrap().unwrap().transfer_syntax.clone();
    assert_eq!(syntax, "1.2.840.10008.1.2.4.201");
}

#[test]
fn an_archive_makes_no_lossy_copies() {
    let (archive, _folder) = archive();
    fill(&archive, 1);
    let rule = "[[rule]]\nname = \"small\"\nthen = { transfer_syntax = \"htj2k\", max_error = 2 }\n";
    let (summary, events) = run(&archive, &Policy::parse(rule).unwrap());
    assert_eq!((summary.converted, summary.kept), (0, 1), "{events:?}");
    assert!(archive.decisions(State::Kept, 0, 1).unwrap()[0].reason.contains("no lossy copies"));
    assert_eq!(archive.instance("1.1", "1.2", "1.3.0").unwrap().unwrap().transfer_syntax, EXPLICIT);
}

#[test]
fn one_that_fails_does_not_stop_the_rest() {
    let (archive, folder) = archive();
    fill(&archive, 4);
    let id = archive.instance("1.1", "1.2", "1.3.2").unwrap().unwrap().object_id.clone();
    let path = folder.path().join("objects").join(&id[..2]).join(&id[2..]);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..600]).unwrap();
    let (summary, events) = run(&archive, &all_htj2k());
    assert_eq!((summary.converted, summary.failed), (3, 1));
    let failed: Vec<_> = events
        .iter()
        .filter_map(|e| if let Event::Failed { key, error } = e { Some((key, error)) } else { None })
        .collect();
    assert_eq!(failed[0].0.sop, "1.3.2");
    assert!(!failed[0].1.to_string().is_empty());
    assert_eq!(archive.stats().unwrap().failed, 1);
    let recorded = archive.decisions(State::Failed, 0, 10).unwrap();
    assert_eq!((recorded.len(), &recorded[0].key, recorded[0].attempts), (1, failed[0].0, 1));
    assert_eq!(recorded[0].reason, failed[0].1.to_string());
    assert_eq!(archive.decisions(State::Converted, 0, 10).unwrap().len(), 3);
    assert!(archive.instance("1.1", "1.2", "1.3.2").unwrap().is_some());
}

#[test]
fn what_the_storage_failed_is_tried_again_whenever_somebody_asks() {
    let (archive, folder) = archive();
    fill(&archive, 1);
    let key = archive.backlog(&all_htj2k(), 0, 10).unwrap()[0].key.clone();
    let id = archive.instance("1.1", "1.2", "1.3.0").unwrap().unwrap().object_id.clone();
    let path = folder.path().join("objects").join(&id[..2]).join(&id[2..]);
    fs::rename(&path, folder.path().join("away")).unwrap();
    let ask = || {
        let policy = all_htj2k();
        let converter = archive.converter(&policy).unwrap();
        let event = converter.convert(&key, &mut converter.context()).unwrap();
        converter.finish().unwrap();
        event
    };
    for n in 1..=8 {
        assert_eq!(archive.backlog(&all_htj2k(), 0, 10).unwrap().len(), 1, "before try {n} it is in the backlog");
        let event = ask();
        assert!(matches!(&event, Some(Event::Failed { error, .. }) if error.may_pass()), "try {n}: {event:?}");
        let became = archive.became(&key).unwrap().unwrap();
        assert!(became.state == State::Failed && became.may_pass, "try {n}: {became:?}");
    }
    fs::rename(folder.path().join("away"), &path).unwrap();
    assert!(matches!(ask(), Some(Event::Converted { .. })));
    assert!(archive.backlog(&all_htj2k(), 0, 10).unwrap().is_empty() && ask().is_none());
}

#[test]
fn what_the_storage_failed_rests_longer_each_time_and_is_never_given_up() {
    let (archive, folder) = archive();
    fill(&archive, 1);
    let id = archive.instance("1.1", "1.2", "1.3.0").unwrap().unwrap().object_id.clone();
    let path = folder.path().join("objects").join(&id[..2]).join(&id[2..]);
    fs::rename(&path, folder.path().join("away")).unwrap();
    // So many seconds after the last try, as a server that looks for work again and again sees it.
    let after = |seconds: i64| {
        let index = unsealed(folder.path());
        index.execute("UPDATE jobs SET changed = unixepoch() - ?", [seconds]).unwrap();
        run(&archive, &all_htj2k()).0
    };
    let (none, failed) = (Summary::default(), Summary { failed: 1, ..Summary::default() });
    assert_eq!(after(0), failed);
    for (n, pause) in [60, 120, 240, 480, 960, 1920, 3840, 3840, 3840].into_iter().enumerate() {
        assert_eq!((after(pause - 5), after(pause)), (none, failed), "after {} tries", n + 1);
    }
    fs::rename(folder.path().join("away"), &path).unwrap();
    assert_eq!(after(0), none);
    // Started again, it does not rest.
    let again = Archive::open(folder.path(), Options::default()).unwrap();
    assert_eq!(run(&again, &all_htj2k()).0.converted, 1);
}

#[test]
fn a_stopped_run_goes_on_later() {
    let (archive, _folder) = archive();
    fill(&archive, 30);
    let (stop, seen) = (AtomicBool::new(false), AtomicU64::new(0));
    let first = archive
        .convert_pending(&all_htj2k(), 1, &stop, &|_| {
            if seen.fetch_add(1, Ordering::Relaxed) == 3 {
                stop.store(true, Ordering::Relaxed);
            }
        })
        .unwrap();
    assert!((4..30).contains(&first.converted), "{first:?}");
    assert_eq!(archive.stats().unwrap().pending, 30 - first.converted);
    let rest = run(&archive, &all_htj2k()).0;
    assert_eq!(first.converted + rest.converted, 30);
}

#[test]
fn two_runs_at_once_share_the_work() {
    let (archive, folder) = archive();
    fill(&archive, 24);
    let other = Archive::open(folder.path(), Options::default()).unwrap();
    let done: Vec<Summary> = thread::scope(|scope| {
        let runs = [&archive, &other].map(|archive| scope.spawn(|| run(archive, &all_htj2k()).0));
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    assert_eq!(done.iter().map(|s| s.converted).sum::<u64>(), 24, "{done:?}");
    assert!(done.iter().all(|s| s.failed == 0));
    assert_eq!(archive.stats().unwrap().converted, 24);
}

#[test]
fn what_another_machine_has_is_left_to_it_until_its_lease_ends() {
    let (archive, folder) = archive();
    fill(&archive, 1);
    drop(archive);
    let leased = |run: &str, until: i64| {
        let sql = "UPDATE jobs SET state = 1, run = ?, until = ?";
        assert_eq!(unsealed(folder.path()).execute(sql, (run, until)).unwrap(), 1);
    };
    // A run of this folder that is no more, as an earlier version named it: its work goes on at once.
    leased("18a-2-0/0", i64::MAX);
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    assert!(archive.decisions(State::Leased, 0, 9).unwrap().is_empty());
    drop(archive);
    let elsewhere = format!("{}-18a-2-0/0", "7".repeat(32));
    leased(&elsewhere, i64::MAX);
    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    assert_eq!(run(&archive, &all_htj2k()).0, Summary::default());
    assert_eq!(archive.decisions(State::Leased, 0, 9).unwrap().len(), 1);
    leased(&elsewhere, 1);
    assert_eq!(run(&archive, &all_htj2k()).0.converted, 1);
}

#[test]
fn readers_see_the_old_or_the_new_while_it_is_swapped() {
    let (archive, _folder) = archive();
    let files = fill(&archive, 20);
    let done = AtomicBool::new(false);
    let seen: Vec<(u64, u64)> = thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let (mut old, mut new) = (0, 0);
                    while !done.load(Ordering::Relaxed) {
                        for (sop, file) in &files {
                            let instance = archive.instance("1.1", "1.2", sop).unwrap().unwrap();
                            let object = archive.object(&instance).unwrap();
                            let mut bytes = vec![0; instance.size as usize];
                            object.read_at(0, &mut bytes).unwrap();
                            assert_eq!(format!("{:x}", Sha256::digest(&bytes)), instance.object_id);
                            let frame = object.read_frame(&instance.frames[0]).unwrap();
                            if instance.transfer_syntax == EXPLICIT {
                                assert!(frame == samples(file));
                                old += 1;
                            } else {
                                assert_eq!(frame[..2], [0xFF, 0x4F]);
                                new += 1;
                            }
                        }
                    }
                    (old, new)
                })
            })
            .collect();
        let summary = run(&archive, &all_htj2k()).0;
        thread::sleep(std::time::Duration::from_millis(50));
        done.store(true, Ordering::Relaxed);
        assert_eq!(summary.converted, 20);
        readers.into_iter().map(|reader| reader.join().unwrap()).collect()
    });
    assert!(seen.iter().all(|(old, new)| *old > 0 && *new > 0), "{seen:?}");
}

#[test]
fn received_htj2k_that_is_kept_has_levels_too() {
    let (first, _folder) = archive();
    fill(&first, 1);
    run(&first, &all_htj2k());
    let converted = stored(&first, "1.1", "1.2", "1.3.0");
    let levels = first.instance("1.1", "1.2", "1.3.0").unwrap().unwrap().frames[0].levels.clone();

    let (second, _folder) = archive();
    second.ingest_bytes(&converted).unwrap();
    assert!(second.instance("1.1", "1.2", "1.3.0").unwrap().unwrap().frames[0].levels.is_empty());
    let (summary, events) = run(&second, &all_htj2k());
    assert_eq!((summary.kept, summary.failed), (1, 0), "{events:?}");
    let kept = second.instance("1.1", "1.2", "1.3.0").unwrap().unwrap();
    let place = |l: &archive::LevelEntry| (l.level, l.width, l.height, l.end);
    assert_eq!(
        kept.frames[0].levels.iter().map(place).collect::<Vec<_>>(),
        levels.iter().map(place).collect::<Vec<_>>()
    );
    assert_eq!(stored(&second, "1.1", "1.2", "1.3.0"), converted);
}

#[test]
fn the_real_files_are_converted_and_stay_what_they_were() {
    let folders = std::env::var("ARCHIVE_TEST_FOLDERS").unwrap_or_else(|_| "dicomdir,ct,mr,enhanced".into());
    for folder in folders.split(',') {
        let Some(folder) = corpus(folder) else { continue };
        let (archive, data) = archive();
        let mut received = BTreeMap::new();
        for path in files(&folder) {
            if let Ok(Ingested::Stored(key)) = archive.ingest(&path) {
                received.insert(key, path);
            }
        }
        let (summary, events) = run(&archive, &Policy::default());
        let failed: Vec<_> = events.iter().filter(|e| matches!(e, Event::Failed { .. })).collect();
        eprintln!("{}: {summary:?}", folder.display());
        let mut reasons = BTreeMap::<_, u32>::new();
        for event in &events {
            if let Event::Kept { rule, reason, .. } = event {
                *reasons.entry((rule, reason)).or_default() += 1;
            }
        }
        reasons.iter().for_each(|((rule, reason), count)| eprintln!("  {count} kept by {rule}: {reason}"));
        assert_eq!(summary.converted + summary.kept + summary.failed, received.len() as u64);
        assert!(failed.is_empty(), "{failed:#?}");
        for (key, path) in &received {
            let instance = archive.instance(&key.study, &key.series, &key.sop).unwrap().unwrap();
            let id = format!("{:x}", Sha256::digest(fs::read(path).unwrap()));
            assert!(data.path().join("objects").join(&id[..2]).join(&id[2..]).exists(), "{}", path.display());
            let (before, after) = (dicom::Source::open(path).unwrap(), archive.source(&instance).unwrap());
            let (mut samples, mut now) = (Vec::new(), Vec::new());
            for frame in 0..before.frames().len() as u32 {
                samples.clear();
                now.clear();
                // What nothing here can decode is kept, byte for byte.
                match before.decode_frame(frame, &mut samples) {
                    Ok(()) => after.decode_frame(frame, &mut now).unwrap(),
                    Err(_) => assert_eq!(instance.object_id, id),
                }
                assert!(samples == now, "{}: frame {frame}", path.display());
            }
        }
        let stats = archive.stats().unwrap();
        assert_eq!((stats.pending, stats.converted, stats.kept), (0, summary.converted, summary.kept));
    }
}

#[test]
fn a_conversion_to_bytes_that_were_received_beside_uses_them() {
    let (first, _folder) = archive();
    fill(&first, 1);
    run(&first, &all_htj2k());
    let converted = stored(&first, "1.1", "1.2", "1.3.0");

    let (second, _folder) = archive();
    fill(&second, 1);
    assert!(matches!(second.ingest_bytes(&converted).unwrap(), Ingested::Conflict(_)));
    let (summary, events) = run(&second, &all_htj2k());
    assert_eq!((summary.converted, summary.failed), (1, 0), "{events:?}");
    assert_eq!(stored(&second, "1.1", "1.2", "1.3.0"), converted);
    assert!(second.instance("1.1", "1.2", "1.3.0").unwrap().unwrap().frames[0].levels.len() > 1);
}

#[test]
fn who_waits_for_work_is_told_of_it() {
    let (archive, folder) = archive();
    let (policy, long) = (all_htj2k(), Duration::from_secs(60));
    // The first run of a program looks once, whatever there is.
    assert!(archive.wait_for_work(&policy, Duration::ZERO).unwrap());
    run(&archive, &policy);
    assert!(!archive.wait_for_work(&policy, Duration::from_millis(1)).unwrap());
    thread::scope(|scope| {
        let waiter = scope.spawn(|| archive.wait_for_work(&policy, long).unwrap());
        fill(&archive, 1);
        let began = Instant::now();
        assert!(waiter.join().unwrap());
        assert!(began.elapsed() < long / 2);
    });
    run(&archive, &policy);
    assert!(!archive.wait_for_work(&policy, Duration::ZERO).unwrap());
    // What another program keeps under another policy is to be looked at again, once.
    let keep_all = Policy::parse("[[rule]]\nname = \"all\"\nthen = { keep = \"asked for\" }").unwrap();
    let other = Archive::open(folder.path(), Options::default()).unwrap();
    fill(&other, 2);
    run(&other, &keep_all);
    assert!(!other.wait_for_work(&keep_all, Duration::ZERO).unwrap());
    assert!(archive.wait_for_work(&policy, Duration::ZERO).unwrap());
    let (summary, _) = run(&archive, &policy);
    assert_eq!((summary.converted, summary.kept), (1, 0), "what the other policy kept");
    assert!(!archive.wait_for_work(&policy, Duration::ZERO).unwrap());
}

#[test]
fn a_received_object_that_was_damaged_is_not_converted() {
    // In the pixels, in a value of the header, and where nobody looks.
    for what in ["pixels", "header", "preamble"] {
        for policy in [all_htj2k(), Policy::default()] {
            let (archive, folder) = archive();
            let bytes = made("1.1", "1.2", "1.3").set(0x0010_0010, "PN", "Doe^Jane").image(90, 120, 1).file();
            archive.ingest_bytes(&bytes).unwrap();
            let id = format!("{:x}", Sha256::digest(&bytes));
            let mut damaged = bytes.clone();
            let at = match what {
                "pixels" => bytes.len() - 90 * 120,
                "header" => bytes.windows(8).position(|value| value == b"Doe^Jane").unwrap(),
                _ => 0,
            };
            damaged[at] ^= 1;
            let object = folder.path().join("objects").join(&id[..2]).join(&id[2..]);
            fs::remove_file(&object).unwrap();
            fs::write(&object, &damaged).unwrap();
            let (summary, events) = run(&archive, &policy);
            assert_eq!((summary.converted, summary.kept, summary.failed), (0, 0, 1), "{what}: {events:?}");
            let Event::Failed { error, .. } = &events[0] else { panic!("{what}: {events:?}") };
            assert_eq!(error.to_string(), "damaged: the received object is not what was stored", "{what}");
            let listed = archive.instance("1.1", "1.2", "1.3").unwrap().unwrap();
            assert_eq!(listed.object_id, id, "{what}: nothing is swapped");
            assert!(archive.evidence_of("1.3").unwrap().is_empty() && fs::read(&object).unwrap() == damaged);
            assert!(archive.quarantine().list().unwrap().is_empty(), "{what}");
        }
    }
}

/// Three images where four are told: the object stays as it came, and its frames have their places.
#[test]
fn an_instance_with_a_frame_that_is_missing_is_kept_with_the_others() {
    let (archive, _folder) = archive();
    let mut four = made("1.1", "1.2", "1.3");
    four.image(4, 4, 1).set(0x0028_0008, "IS", "4").bytes(0x7FE0_0010, "OW", &[1; 3 * 32 + 10]);
    archive.ingest_bytes(&four.file()).unwrap();
    let (summary, events) = run(&archive, &all_htj2k());
    assert_eq!((summary.kept, summary.failed), (1, 0), "{events:?}");
    assert!(matches!(&events[0], Event::Kept { reason, .. } if reason.starts_with("truncated")), "{events:?}");
    let instance = archive.instance("1.1", "1.2", "1.3").unwrap().unwrap();
    assert!((0..3).all(|n| instance.frame(n).is_some_and(|frame| frame.len == 32)));
    assert_eq!((instance.frame(3), instance.frame_to_show(3), instance.frame_to_show(2)), (None, 0, 2));
}

/// A file that ends in the last of its frames is taken in: the others can be shown.
#[test]
fn a_file_that_ends_early_is_kept_with_the_frames_before() {
    let (archive, _folder) = archive();
    let mut four = made("1.1", "1.2", "1.3");
    let file = four.image(4, 4, 1).set(0x0028_0008, "IS", "4").bytes(0x7FE0_0010, "OW", &[1; 4 * 32]).file();
    archive.ingest_bytes(&file[..file.len() - 7]).unwrap();
    let (summary, events) = run(&archive, &all_htj2k());
    assert_eq!((summary.kept, summary.failed), (1, 0), "{events:?}");
    let instance = archive.instance("1.1", "1.2", "1.3").unwrap().unwrap();
    assert!((0..3).all(|n| instance.frame(n).is_some()) && instance.frame(3).is_none());
    assert_eq!(stored(&archive, "1.1", "1.2", "1.3"), file[..file.len() - 7]);
}

/// What a version before wrote, or took as right, with levels that halve no side waits again after an upgrade.
#[test]
fn tiny_images_with_levels_that_halve_nothing_are_written_anew() {
    let (archive, folder) = archive();
    let mut tiny = made("1.1", "1.2", "1.3");
    tiny.image(8, 6, 1);
    let samples: Vec<u16> = (0..48).map(|n| n * 83 % 4096).collect();
    let image = htj2k::Image {
        width: 6,
        height: 8,
        components: 1,
        precision: 12,
        signed: false,
        stride: 6,
        samples: htj2k::Samples::U16(&samples),
    };
    let mut old = Vec::new();
    let options = htj2k::EncodeOptions { decompositions: Some(5), ..Default::default() };
    htj2k::Encoder::new().encode(&image, &options, &mut old).unwrap();
    old.resize(old.len().next_multiple_of(2), 0);
    archive.ingest_bytes(&tiny.encapsulated("1.2.840.10008.1.2.4.202\0", &[&[], &old])).unwrap();
    drop(archive);
    // As the version before left it: looked at under this policy, and kept.
    let index = unsealed(folder.path());
    index.execute("UPDATE jobs SET state = 3, policy = ?", [all_htj2k().hash()]).unwrap();
    index.execute_batch("DROP TABLE settled; DROP INDEX jobs_next_try").unwrap();
    of_version(&index, 4);
    drop(index);

    let archive = Archive::open(folder.path(), Options::default()).unwrap();
    let (summary, events) = run(&archive, &all_htj2k());
    assert_eq!((summary.converted, summary.failed), (1, 0), "{events:?}");
    let instance = archive.instance("1.1", "1.2", "1.3").unwrap().unwrap();
    assert_eq!((instance.transfer_syntax.as_str(), instance.frames[0].levels.len()), (HTJ2K, 4));
    let mut decoded = Vec::new();
    archive.source(&instance).unwrap().decode_frame(0, &mut decoded).unwrap();
    assert!(decoded.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).eq(samples));
    assert_eq!(run(&archive, &all_htj2k()).0, Summary::default(), "once");
}
