//! What every engine of [`Index`] must do: one suite, run on each by [`index_contract!`](crate::index_contract).
//!
//! Everything here fails by a panic, as tests do.
#![allow(missing_docs)]

pub mod access;
pub mod amend;
pub mod backup;
pub mod changes;
pub mod copying;
pub mod jobs;
pub mod metadata;
pub mod register;
pub mod removal;
pub mod scheduling;
pub mod scrub;
pub mod search;
pub mod ways_back;

use std::any::Any;
use std::ops::Deref;

use dicom::Tag;
use sha2::{Digest, Sha256};

use super::frames::{FrameEntry, encode_frames};
use super::{
    Conversion, Figure, Index, Ingested, InstanceKey, InstanceRow, Job, JobEnd, NewInstance, NewObject, Opinions,
    PersonName, Scope, SeriesTexts, Shown, StudyTexts, fold, groups,
};
use crate::objects::Key;

/// An empty index to be tested, and what must live as long (a folder, a database).
pub struct Bed {
    pub index: Box<dyn Index>,
    pub holds: Box<dyn Any>,
}

impl Deref for Bed {
    type Target = dyn Index;

    fn deref(&self) -> &Self::Target {
        &*self.index
    }
}

/// Makes a test of each case, in the module where it stands. The argument is a function that makes a [`Bed`] with an
/// empty index, or `None` where the machine has no such engine.
#[macro_export]
macro_rules! index_contract {
    ($bed:path) => {
        $crate::index_contract!(@ $bed: register::what_is_new_is_listed, register::the_same_bytes_are_a_duplicate,
            register::other_bytes_are_kept_beside, register::what_came_first_stays_shown, register::many_come_at_once,
            register::what_is_not_served_is_listed_until_it_is, register::a_study_is_shown_by_its_pictures,
            register::instances_that_the_caller_has_are_not_read, register::uids_name_instances);
        $crate::index_contract!(@ $bed: search::keys_match, search::what_is_told_matches, search::names_match, search::levels_and_orders,
            search::pages, search::what_is_asked_for_is_returned, search::who_gives_up_is_told_so,
            search::what_cannot_be_matched_is_said);
        $crate::index_contract!(@ $bed: jobs::leased_in_order_and_given_back, jobs::one_is_leased_by_its_uids,
            jobs::a_conversion_is_one_commit, jobs::what_is_handed_out_is_counted, jobs::who_lost_its_lease_ends_nothing, jobs::what_is_kept_may_gain_levels,
            jobs::failures_wait_again, jobs::another_policy_looks_again, jobs::the_dead_hand_on,
            jobs::the_backlog_is_listed_page_by_page, jobs::commits_wake_up, jobs::many_lease_each_job_once);
        $crate::index_contract!(@ $bed: ways_back::the_way_back_is_kept, ways_back::released_once_and_for_all,
            ways_back::what_comes_again_leaves_again, ways_back::what_may_be_all_that_is_left_stays,
            ways_back::a_way_back_is_never_given_up_for_none);
        $crate::index_contract!(@ $bed: access::users_are_made_and_removed, access::secrets_are_known_by_their_hash,
            access::uses_are_counted, access::secrets_go_with_their_owner, access::studies_have_facts_and_labels,
            access::searches_stay_within);
        $crate::index_contract!(@ $bed: scheduling::steps_are_scheduled_and_removed,
            scheduling::what_is_performed_is_changed_by_one_at_a_time);
        $crate::index_contract!(@ $bed: metadata::prepared_until_it_is_stale, metadata::the_later_version_stays,
            metadata::another_root_takes_its_place);
        $crate::index_contract!(@ $bed: scrub::a_pass_goes_on_where_it_was_stopped, scrub::faults_stay_until_they_heal,
            scrub::whole_bytes_heal, scrub::rows_are_whole_and_agree, scrub::objects_and_their_evidence);
        $crate::index_contract!(@ $bed: removal::what_is_deleted_is_out_of_every_list, removal::what_is_left_is_counted_anew,
            removal::what_was_deleted_comes_back, removal::what_is_told_is_of_the_first_that_is_left, removal::parts_come_back_in_any_order, removal::what_came_again_stays,
            removal::numbers_and_versions_never_come_again, removal::a_purge_forgets_what_nobody_needs,
            removal::a_purge_is_ended_by_who_has_it, removal::what_is_being_deleted_is_not_listed,
            removal::what_was_never_listed_goes, removal::a_held_study_stays, removal::lessees_of_purges_may_die,
            removal::the_engine_is_made_anew);
        $crate::index_contract!(@ $bed: amend::what_failed_is_tried_again, amend::a_conflict_is_settled_and_loses_neither,
            amend::the_other_object_is_handed_out);
        $crate::index_contract!(@ $bed: changes::each_is_told_in_its_commit, changes::what_is_gone_is_told_as_gone,
            changes::numbers_only_grow);
        $crate::index_contract!(@ $bed: backup::every_object_is_named_once_in_order, backup::a_copy_is_the_index_at_one_moment);
        $crate::index_contract!(@ $bed: copying::all_rows_go, copying::all_rows_come, copying::a_snapshot_is_of_one_moment,
            copying::rows_are_as_they_would_be_kept);
    };
    (@ $bed:path: $($part:ident::$case:ident),*) => {
        $(#[test] fn $case() {
            // Where an engine is not there, its tests are skipped.
            if let Some(bed) = Option::<$crate::index::contract::Bed>::from($bed()) {
                $crate::index::contract::$part::$case(bed)
            }
        })*
    };
}

/// A hash that nothing else has.
pub fn key_of(text: &str) -> Key {
    Key::new(Sha256::digest(text).into())
}

pub fn instance_key(study: &str, series: &str, sop: &str) -> InstanceKey {
    InstanceKey { study: study.into(), series: series.into(), sop: sop.into() }
}

pub fn object(name: &str, bytes: u64) -> NewObject {
    NewObject {
        key: key_of(name),
        bytes,
        syntax: "1.2.840.10008.1.2.1".into(),
        facts: "{}".into(),
        frames: encode_frames(&[FrameEntry { offset: 500, len: 100, ..FrameEntry::default() }]),
        since: 0,
    }
}

/// An instance with an object of 1,000 bytes named by its SOP Instance UID.
pub fn new_instance(study: &str, series: &str, sop: &str) -> NewInstance {
    let shown = |level: &str| Shown {
        common: format!("{{\"00080005\":{{\"vr\":\"CS\",\"Value\":[\"{level}\"]}}}}"),
        more: "{}".into(),
    };
    NewInstance {
        key: instance_key(study, series, sop),
        class: "1.2.840.10008.5.1.4.1.1.2".into(),
        modality: "CT".into(),
        instance_number: Some(1),
        series_number: Some(1),
        study: StudyTexts::default(),
        series: SeriesTexts::default(),
        names: Vec::new(),
        study_shown: shown("study"),
        series_shown: shown("series"),
        instance_shown: shown("instance"),
        object: object(&format!("{study}/{series}/{sop}"), 1000),
    }
}

pub fn person(tag: Tag, name: &str) -> Vec<PersonName> {
    groups(name).into_iter().map(|(place, text)| PersonName { tag, place, text }).collect()
}

pub fn description(text: &str) -> String {
    fold(text)
}

impl Bed {
    pub fn add(&self, new: NewInstance) -> Ingested {
        self.register(new).wait().unwrap()
    }

    /// The row of one instance.
    pub fn row(&self, key: &InstanceKey) -> Option<InstanceRow> {
        let found = self.instances(Scope::Instance(key), &mut |_| false).unwrap().pop();
        found.map(|current| *current.row.unwrap())
    }

    /// Leases the oldest job that waits.
    pub fn lease_next(&self, run: &str) -> Job {
        self.lease(run, 1).unwrap().pop().unwrap()
    }

    /// Converts the oldest that waits to an object of 400 bytes, with a way back of 3 bytes.
    pub fn convert_next(&self, policy: &str) -> Job {
        let job = self.lease_next("run/1");
        assert!(self.finish("run/1", policy, &job, conversion(&format!("{} converted", job.key.sop))).unwrap());
        job
    }
}

/// The end of a conversion to an object of this name.
pub fn conversion(name: &str) -> JobEnd {
    let mut converted = object(name, 400);
    converted.syntax = "1.2.840.10008.1.2.4.202".into();
    JobEnd::Converted(Box::new(Conversion {
        object: converted,
        rule: "ct".into(),
        codec: "codec".into(),
        samples_sha256: "ab".into(),
        evidence: vec![1, 2, 3, 0],
        way_back: Ok(vec![7, 0, 7]),
        host: "host".into(),
        milliseconds: 12,
        opinions: Opinions { class: "{}".into(), agreed: 3, ..Opinions::default() },
        figures: vec![figure("converted", 1), figure("frames", 20)],
    }))
}

pub fn figure(name: &str, value: u64) -> Figure {
    Figure { name: name.into(), modality: "CT".into(), detail: "x".into(), value }
}
