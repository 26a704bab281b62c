//! One object by the parameters of a query (WADO-URI, PS3.18 chapter 9).

use super::rendered::{self, annotation, quality};
use super::{instances, target::Target};
use crate::accept;
use crate::error::{Answered, Problem};
use crate::query::Parameters;
use crate::render::Wish;
use crate::render::encode::Coding;
use crate::render::region::Region;
use crate::render::tone::{Function, Window};
use crate::state::App;
use archive::Instance;
use axum::body::Body;
use axum::extract::State;
use axum::http::Response;
use dicom::{TransferSyntax, Uid};
use std::sync::Arc;

/// Longest side of an image.
const LARGEST: u32 = 16384;
const IMAGES: [Coding; 4] = [Coding::Jpeg, Coding::Png, Coding::Gif, Coding::JpegXl];

/// The object that the query names: as an image, or as the DICOM file it is.
pub async fn retrieve(State(app): State<Arc<App>>, mut target: Target) -> Answered<Response<Body>> {
    if target.parameters.get("requestType") != Some("WADO") {
        return Err(Problem::bad_request("requestType is WADO"));
    }
    for name in ["anonymize", "presentationUID", "presentationSeriesUID"] {
        if target.parameters.get(name).is_some() {
            return Err(Problem::bad_request(format!("{name} is not supported")));
        }
    }
    let uid = |name: &str| {
        let text = target.parameters.get(name).ok_or_else(|| Problem::bad_request(format!("{name} is missing")))?;
        Uid::parse(text)
            .filter(|uid| uid.as_str() == text)
            .ok_or_else(|| Problem::bad_request(format!("{name} is no UID")))
    };
    let uids = (uid("studyUID")?, uid("seriesUID")?, uid("objectUID")?);
    (target.study, target.series, target.instance) = (Some(uids.0), Some(uids.1), Some(uids.2));
    let (target, instance) = app.read(move |app| target.find_instance(app).map(|found| (target, found))).await?;
    match wanted(&target, &instance)? {
        Wanted::Image(coding) => image(app, target, instance, coding).await,
        Wanted::Dicom => instances::retrieve(State(app), dicom(target)).await,
    }
}

#[derive(Debug, PartialEq)]
enum Wanted {
    Image(Coding),
    Dicom,
}

/// What contentType asks for, best first; without it, or where Accept alone speaks, an image where there is one to show at once.
fn wanted(target: &Target, instance: &Instance) -> Answered<Wanted> {
    let one = instance.facts.frames == 1 || target.parameters.get("frameNumber").is_some();
    let shown = instance.facts.rows > 0 && one && !TransferSyntax::new(&instance.transfer_syntax).is_video();
    let named = target.parameters.get("contentType").map(str::to_owned).or_else(|| target.accept());
    choose(named.as_deref(), shown)
}

fn choose(named: Option<&str>, shown: bool) -> Answered<Wanted> {
    let default = if shown { Wanted::Image(Coding::Jpeg) } else { Wanted::Dicom };
    let Some(named) = named.filter(|text| text.contains('/')) else { return Ok(default) };
    let offer = |range: &accept::MediaRange| match range.essence.as_str() {
        "*/*" => Some(if shown { Wanted::Image(Coding::Jpeg) } else { Wanted::Dicom }),
        "application/dicom" | "application/*" => Some(Wanted::Dicom),
        _ => IMAGES.into_iter().find(|coding| range.covers(coding.media_type())).map(Wanted::Image),
    };
    let found = accept::parse(named).iter().find_map(offer);
    found.ok_or_else(|| {
        Problem::not_acceptable("given as application/dicom, image/jpeg, image/png, image/gif or image/jxl")
    })
}

/// The request for the file: Explicit VR Little Endian unless another syntax is named (PS3.18 9.4.2.2), and as it is stored where that
/// can't be.
fn dicom(mut target: Target) -> Target {
    let syntax = target.parameters.get("transferSyntax").map(str::to_owned);
    let accept = match syntax {
        Some(syntax) => format!("application/dicom;transfer-syntax={syntax}"),
        None => {
            let little = TransferSyntax::EXPLICIT_LITTLE;
            format!("application/dicom;transfer-syntax={little}, application/dicom;transfer-syntax=*;q=0.5")
        }
    };
    target.parameters = Parameters::of([("accept", accept)]);
    target
}

async fn image(app: Arc<App>, target: Target, instance: Arc<Instance>, coding: Coding) -> Answered<Response<Body>> {
    let parameters = &target.parameters;
    let full = (instance.facts.columns, instance.facts.rows);
    let wish = Wish {
        viewport: viewport(parameters, full)?,
        region: region(parameters, full)?,
        window: window(parameters)?,
        quality: quality(parameters, "imageQuality")?,
        annotation: annotation(parameters)?,
        enlarge: true,
        coding,
        ..Wish::default()
    };
    let frame = match parameters.get("frameNumber") {
        None => instance.frame_to_show(0),
        Some(text) => {
            let number = text.parse::<u32>().ok().filter(|number| *number >= 1);
            number.ok_or_else(|| Problem::bad_request("frameNumber is a number from 1 on"))? - 1
        }
    };
    rendered::respond(app, target, instance, frame, wish, None).await
}

/// `rows` and `columns`: the most there may be of each.
fn viewport(parameters: &Parameters, full: (u32, u32)) -> Answered<Option<(u32, u32)>> {
    let side = |name: &str| match parameters.get(name) {
        None => Ok(None),
        Some(text) => {
            let side = text.parse().ok().filter(|side| (1..=LARGEST).contains(side));
            side.map(Some).ok_or_else(|| Problem::bad_request(format!("{name} is a number from 1 to {LARGEST}")))
        }
    };
    let of = |side: u32, this: u32, other: u32| {
        (u64::from(side) * u64::from(other)).div_ceil(u64::from(this.max(1))).clamp(1, LARGEST.into()) as u32
    };
    Ok(match (side("columns")?, side("rows")?) {
        (None, None) => None,
        (Some(columns), Some(rows)) => Some((columns, rows)),
        (Some(columns), None) => Some((columns, of(columns, full.0, full.1))),
        (None, Some(rows)) => Some((of(rows, full.1, full.0), rows)),
    })
}

/// `region=left,top,right,bottom`, as shares of the image.
fn region(parameters: &Parameters, full: (u32, u32)) -> Answered<Option<Region>> {
    let Some(text) = parameters.get("region") else { return Ok(None) };
    let bad = || Problem::bad_request("region is left, top, right and bottom as shares from 0 to 1, joined by commas");
    let shares: Vec<f64> = text.split(',').filter_map(|share| share.trim().parse().ok()).collect();
    let [left, top, right, bottom] = shares[..] else { return Err(bad()) };
    if shares.iter().any(|share| !(0.0..=1.0).contains(share)) || left >= right || top >= bottom {
        return Err(bad());
    }
    let (width, height) = (f64::from(full.0), f64::from(full.1));
    Ok(Some(Region {
        x: left * width,
        y: top * height,
        width: Some((right - left) * width),
        height: Some((bottom - top) * height),
        mirrored: false,
        flipped: false,
    }))
}

/// `windowCenter` and `windowWidth`, which come together.
fn window(parameters: &Parameters) -> Answered<Option<Window>> {
    let number = |name: &str| match parameters.get(name) {
        None => Ok(None),
        Some(text) => {
            let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
            number.map(Some).ok_or_else(|| Problem::bad_request(format!("{name} is a number")))
        }
    };
    match (number("windowCenter")?, number("windowWidth")?) {
        (None, None) => Ok(None),
        (Some(center), Some(width)) if width > 0.0 => Ok(Some(Window { center, width, function: Function::Linear })),
        _ => Err(Problem::bad_request("windowCenter and windowWidth come together, and the width is above 0")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::parse(Some(query))
    }

    #[test]
    fn content_types() {
        assert_eq!(choose(None, true).unwrap(), Wanted::Image(Coding::Jpeg));
        assert_eq!(choose(None, false).unwrap(), Wanted::Dicom);
        assert_eq!(choose(Some("image/png"), true).unwrap(), Wanted::Image(Coding::Png));
        assert_eq!(choose(Some("video/mp4, application/dicom;q=0.5"), true).unwrap(), Wanted::Dicom);
        assert_eq!(choose(Some("text/html,*/*;q=0.8"), false).unwrap(), Wanted::Dicom);
        assert!(choose(Some("text/html"), true).is_err());
    }

    #[test]
    fn sizes_keep_the_proportions() {
        let of = |query| viewport(&parameters(query), (200, 100)).ok();
        assert_eq!(of(""), Some(None));
        assert_eq!(of("rows=50"), Some(Some((100, 50))));
        assert_eq!(of("columns=50"), Some(Some((50, 25))));
        assert_eq!(of("columns=50&rows=50"), Some(Some((50, 50))));
        assert_eq!((of("rows=0"), of("rows=x"), of("columns=99999")), (None, None, None));
    }

    #[test]
    fn regions_and_windows() {
        let region = |query| region(&parameters(query), (200, 100)).ok();
        let half = region("region=0.5,0,1,0.5").flatten().unwrap();
        assert_eq!((half.x, half.y, half.width, half.height), (100.0, 0.0, Some(100.0), Some(50.0)));
        for query in ["region=0,0,1", "region=0,0,1,2", "region=1,0,0,1", "region=a,b,c,d"] {
            assert!(region(query).is_none(), "{query}");
        }
        let window = |query| window(&parameters(query)).ok().flatten().map(|window| (window.center, window.width));
        assert_eq!(window("windowCenter=40&windowWidth=400"), Some((40.0, 400.0)));
        assert_eq!((window("windowCenter=40"), window("windowCenter=40&windowWidth=0")), (None, None));
    }
}
