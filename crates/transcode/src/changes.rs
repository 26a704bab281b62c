//! Elements that a re-encoded instance has anew (PS3.3 C.7.6.1.1.2, C.7.6.1.1.5); everything else is carried as it is.

use crate::change::{Change, RATIO_WIDTH, even, ratio_text};
use crate::derived;
use crate::overlay::Overlay;
use crate::policy::Target;
use dicom::data_set::{Tag, Vr};
use dicom::error::Result;
use dicom::source::Source;

pub(crate) const PHOTOMETRIC: Tag = Tag(0x0028, 0x0004);
pub(crate) const PLANAR: Tag = Tag(0x0028, 0x0006);
const RATIO: Tag = Tag(0x0028, 0x2112);

/// What is written anew, in the order of the tags.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    list: Vec<Change>,
    /// Lossy Image Compression Ratio of the steps before, when this one adds to it.
    earlier_ratios: Option<String>,
    /// The new SOP Instance UID of a lossy conversion.
    pub(crate) uid: Option<String>,
}

impl Changes {
    /// What this source has anew when `codec` writes the target; `photometric` is what its samples are then.
    pub(crate) fn new(
        source: &Source,
        target: Target,
        codec: &str,
        photometric: &str,
        overlays: &[Overlay],
    ) -> Result<Changes> {
        let planar = (source.facts().samples > 1).then(|| (Vr::US, vec![0, 0]));
        let mut list = vec![(PHOTOMETRIC, Some((Vr::CS, even(photometric.to_owned(), b' ')))), (PLANAR, planar)];
        overlays.iter().for_each(|overlay| list.extend(overlay.changes()));
        let mut changes = Changes::default();
        if let Some(bound) = target.bound() {
            let uid = derived::uid(source, target, codec)?;
            let (derived, ratios) = derived::changes(source, target, bound, &uid)?;
            list.extend(derived);
            list.push((RATIO, Some((Vr::DS, ratio(&ratios, "")))));
            (changes.earlier_ratios, changes.uid) = (Some(ratios), Some(uid));
        } else if target != Target::JpegXlRecompression {
            list.extend(derived::unmarked(source)?);
        }
        list.sort_by_key(|change| change.0);
        changes.list = list;
        Ok(changes)
    }

    /// The elements as they are first written: with a gap where the ratio will be.
    pub(crate) fn list(&self) -> &[Change] {
        &self.list
    }

    /// Is the element written anew, or taken out?
    pub(crate) fn has(&self, tag: Tag) -> bool {
        self.list.iter().any(|change| change.0 == tag)
    }

    /// The elements as they are when all frames are written.
    pub(crate) fn complete(&self, bytes_before: u64, bytes_after: u64) -> Vec<Change> {
        let mut list = self.list.clone();
        if let Some((tag, value)) = self.ratio(bytes_before, bytes_after)
            && let Some(change) = list.iter_mut().find(|change| change.0 == tag)
        {
            change.1 = Some((Vr::DS, value));
        }
        list
    }

    /// What goes into the gap.
    pub(crate) fn ratio(&self, bytes_before: u64, bytes_after: u64) -> Option<(Tag, Vec<u8>)> {
        let earlier = self.earlier_ratios.as_deref()?;
        Some((RATIO, ratio(earlier, &ratio_text(bytes_before, bytes_after))))
    }
}

fn ratio(earlier: &str, this: &str) -> Vec<u8> {
    let separator = if earlier.is_empty() { "" } else { "\\" };
    even(format!("{earlier}{separator}{this:<RATIO_WIDTH$}"), b' ')
}
