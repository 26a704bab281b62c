//! Colour spaces of rendered images (`iccprofile`, PS3.18 8.3.5.1.5): the profile of the image, or another that it is converted to.

use super::{Error, Rows};
use dicom::{Source, Tag};
use moxcms::{ColorProfile, Layout, Transform8BitExecutor, TransformOptions};
use std::sync::Arc;

/// Bytes of a profile that are read.
const LARGEST: u64 = 4 << 20;

/// What a client asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// That of the image, or sRGB where it has none.
    OfImage,
    /// sRGB (IEC 61966-2-1).
    Srgb,
    /// Adobe RGB (1998).
    AdobeRgb,
    /// ROMM RGB (ISO 22028-2).
    RommRgb,
    /// Display P3.
    DisplayP3,
}

impl Profile {
    /// By the words of the standard; `no` is `None`.
    pub fn parse(text: &str) -> Option<Option<Profile>> {
        Some(match text.to_ascii_lowercase().as_str() {
            "no" => None,
            "yes" => Some(Profile::OfImage),
            "srgb" => Some(Profile::Srgb),
            "adobergb" => Some(Profile::AdobeRgb),
            "rommrgb" => Some(Profile::RommRgb),
            "displayp3" => Some(Profile::DisplayP3),
            _ => return None,
        })
    }

    fn named(self) -> ColorProfile {
        match self {
            Profile::OfImage | Profile::Srgb => ColorProfile::new_srgb(),
            Profile::AdobeRgb => ColorProfile::new_adobe_rgb(),
            Profile::RommRgb => ColorProfile::new_pro_photo_rgb(),
            Profile::DisplayP3 => ColorProfile::new_display_p3(),
        }
    }
}

/// How an image is brought into a colour space.
pub struct Space {
    /// The profile that goes out with it.
    pub bytes: Vec<u8>,
    change: Option<Arc<Transform8BitExecutor>>,
}

impl Space {
    /// For an image whose display has so many channels. A grey one has the tone curve of its display, and no colours to convert.
    pub fn of(source: &Source, profile: Profile, channels: usize) -> Result<Space, Error> {
        let told = |_| Error::Mismatch("its colour profile cannot be used");
        if channels == 1 {
            let bytes = ColorProfile::new_gray_with_gamma(2.2).encode().map_err(told)?;
            return Ok(Space { bytes, change: None });
        }
        let own = own_profile(source);
        if let (Profile::OfImage, Some(bytes)) = (profile, &own) {
            return Ok(Space { bytes: bytes.clone(), change: None });
        }
        let from =
            own.as_deref().map_or_else(|| Ok(ColorProfile::new_srgb()), ColorProfile::new_from_slice).map_err(told)?;
        let to = profile.named();
        let as_it_is = own.is_none() && matches!(profile, Profile::OfImage | Profile::Srgb);
        let change = || from.create_transform_8bit(Layout::Rgb, &to, Layout::Rgb, TransformOptions::default());
        let change = if as_it_is { None } else { Some(change().map_err(told)?) };
        Ok(Space { bytes: to.encode().map_err(told)?, change })
    }
}

/// ICC Profile, of the image or of its optical path.
fn own_profile(source: &Source) -> Option<Vec<u8>> {
    const ICC_PROFILE: Tag = Tag(0x0028, 0x2000);
    let set = source.data_set();
    let of_path = || {
        let items = set.get(Tag(0x0048, 0x0105)).and_then(|element| element.items())?;
        items.iter().find_map(|item| item.get(ICC_PROFILE))
    };
    let element = set.get(ICC_PROFILE).or_else(of_path)?;
    let short = matches!(element.value, dicom::Value::Bytes { len, .. } if (128..=LARGEST).contains(&len));
    short.then(|| set.bytes(element).ok().map(|bytes| bytes.into_owned())).flatten()
}

/// Rows in another colour space.
pub struct Converted<'a> {
    of: &'a mut dyn Rows,
    space: &'a Space,
    line: Vec<u8>,
}

impl<'a> Converted<'a> {
    /// Rows in this space.
    pub fn new(of: &'a mut dyn Rows, space: &'a Space) -> Converted<'a> {
        let line = vec![0; of.row_len()];
        Converted { of, space, line }
    }
}

impl Rows for Converted<'_> {
    fn width(&self) -> u32 {
        self.of.width()
    }

    fn height(&self) -> u32 {
        self.of.height()
    }

    fn channels(&self) -> usize {
        self.of.channels()
    }

    fn row(&mut self, y: u32, out: &mut [u8]) {
        self.of.row(y, out);
        if let Some(change) = &self.space.change {
            self.line.copy_from_slice(out);
            // Lengths that do not fit are the one error there is, and these fit.
            if let Err(error) = change.transform(&self.line, out) {
                tracing::error!(%error, "colours stay as they are");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_standard() {
        assert_eq!(Profile::parse("no"), Some(None));
        assert_eq!(Profile::parse("sRGB"), Some(Some(Profile::Srgb)));
        assert_eq!(Profile::parse("rommrgb"), Some(Some(Profile::RommRgb)));
        assert_eq!(Profile::parse("cmyk"), None);
    }

    #[test]
    fn every_profile_can_be_read_by_others() {
        for profile in [Profile::Srgb, Profile::AdobeRgb, Profile::RommRgb, Profile::DisplayP3] {
            let bytes = profile.named().encode().unwrap();
            assert_eq!(&bytes[36..40], b"acsp", "{profile:?}");
            assert!(ColorProfile::new_from_slice(&bytes).is_ok(), "{profile:?}");
        }
    }
}
