//! What may be reduced before it is looked up, and what may not.
//!
//! A resolution level holds sums of neighbours, weighted: it means something where the sum of two samples does. Everything else is
//! looked up at full resolution, and what is then shown is scaled.

use super::tone::{Colour, Modality, Tone, Voi};

/// May the samples be taken from a reduced level? Not so
/// - where they are indices: between red (0) and blue (200) a palette has any colour (PS3.3 C.7.6.3.1.5);
/// - where they are labels: between segment 1 and segment 3 lies another organ (C.8.20, C.8.31);
/// - where a table maps them, Modality or VOI: its order may be scrambled, and a steep table shows a mean where there was none.
///   A monotone table would do little harm, but which one is monotone over the values of a frame is known only when it is decoded;
/// - where some are padding: a mean of padding and image is a value that the image does not have, and it moves the least and the
///   greatest value (C.7.5.1.1.2).
pub fn may_be_reduced(tone: &Tone) -> bool {
    let index = matches!(tone.colour, Colour::Palette(_));
    let table = matches!(tone.modality, Modality::Table(_)) || matches!(tone.voi, Voi::Table(_));
    !(index || tone.labels || table || tone.padding.is_some())
}

#[cfg(test)]
mod tests {
    use super::super::lut::{Lut, Palette};
    use super::super::tone::{Function, Window};
    use super::*;

    fn intensities() -> Tone {
        let window = Window { center: 40.0, width: 400.0, function: Function::Linear };
        Tone {
            modality: Modality::Linear { slope: 1.0, intercept: -1024.0 },
            voi: Voi::Window(window),
            inverted: false,
            padding: None,
            labels: false,
            colour: Colour::Grey,
        }
    }

    #[test]
    fn only_intensities_are() {
        let lut = || Lut::new([2, 0, 8], &[0, 255]).unwrap();
        let palette = Palette::new([lut(), lut(), lut()], 8);
        assert!(may_be_reduced(&intensities()));
        assert!(may_be_reduced(&Tone { voi: Voi::Extent, inverted: true, ..intensities() }));
        assert!(may_be_reduced(&Tone { colour: Colour::Samples, ..intensities() }));
        for tone in [
            Tone { colour: Colour::Palette(Box::new(palette)), ..intensities() },
            Tone { modality: Modality::Table(lut()), ..intensities() },
            Tone { voi: Voi::Table(lut()), ..intensities() },
            Tone { padding: Some((-2000.0, -2000.0)), ..intensities() },
            Tone { labels: true, ..intensities() },
        ] {
            assert!(!may_be_reduced(&tone), "{tone:?}");
        }
    }
}
