//! What participants may say, and its shape. What is not of it is refused; what is, is written anew from these types.

use dicom::Uid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Points of a mark.
const POINTS: usize = 64;
/// Coordinates and other numbers go no further.
const FARTHEST: f64 = 1e7;

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// What is shown, and how.
    View(View),
    /// Where somebody points.
    Pointer(Pointer),
    /// A mark that is drawn, or drawn anew.
    Mark(Mark),
    /// A mark that goes.
    Unmark(Unmark),
    /// Who leads.
    Presenter(Presenter),
}

/// What is shown, and how.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct View {
    study: String,
    series: String,
    instance: String,
    frame: u32,
    zoom: f64,
    pan: [f64; 2],
    window: [f64; 2],
    inverted: bool,
}

/// A place in an image, in its pixels; none: the pointer is nowhere.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Pointer {
    instance: String,
    frame: u32,
    at: Option<[f64; 2]>,
}

/// Something drawn on an image.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    pub(super) id: String,
    instance: String,
    frame: u32,
    kind: Kind,
    points: Vec<[f64; 2]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Line,
    Arrow,
    Ellipse,
    Point,
}

/// The mark that goes.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Unmark {
    pub(super) id: String,
}

/// The participant whose view is everybody's; none: everybody's is.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Presenter {
    pub(super) presenter: Option<u32>,
}

/// An event as it is posted; it is heard by the same name, with the same data.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    event: String,
    data: Value,
}

/// Reads a posted event: `{"event": "pointer", "data": {"instance": …}}`.
pub fn parse(text: &[u8]) -> Result<Event, String> {
    let Posted { event: name, data } = serde_json::from_slice(text)
        .map_err(|_| "an event is an object in JSON: its name as event, and its data".to_owned())?;
    // What serde says of an unknown field or a wrong value would repeat it.
    let said = |_| format!("the data of a {name} is not of its shape");
    let mut event = match name.as_str() {
        "view" => Event::View(serde_json::from_value(data).map_err(said)?),
        "pointer" => Event::Pointer(serde_json::from_value(data).map_err(said)?),
        "mark" => Event::Mark(serde_json::from_value(data).map_err(said)?),
        "unmark" => Event::Unmark(serde_json::from_value(data).map_err(said)?),
        "presenter" => Event::Presenter(serde_json::from_value(data).map_err(said)?),
        _ => return Err("an event is a view, pointer, mark, unmark or presenter".to_owned()),
    };
    event.check()?;
    Ok(event)
}

impl Event {
    /// The name that clients listen for.
    pub fn name(&self) -> &'static str {
        match self {
            Event::View(_) => "view",
            Event::Pointer(_) => "pointer",
            Event::Mark(_) => "mark",
            Event::Unmark(_) => "unmark",
            Event::Presenter(_) => "presenter",
        }
    }

    /// What is told of it.
    pub fn body(&self) -> Value {
        let body = match self {
            Event::View(view) => serde_json::to_value(view),
            Event::Pointer(pointer) => serde_json::to_value(pointer),
            Event::Mark(mark) => serde_json::to_value(mark),
            Event::Unmark(unmark) => serde_json::to_value(unmark),
            Event::Presenter(presenter) => serde_json::to_value(presenter),
        };
        body.unwrap_or_default()
    }

    /// UIDs are UIDs, names of marks are short, numbers are finite; a hundredth of a pixel is enough for everyone.
    fn check(&mut self) -> Result<(), String> {
        match self {
            Event::View(view) => {
                [&view.study, &view.series, &view.instance].into_iter().try_for_each(uid)?;
                number(&mut view.zoom, 1e4)?;
                view.pan.iter_mut().try_for_each(|n| number(n, 1e2))?;
                view.window.iter_mut().try_for_each(|n| number(n, 1e4))?;
                frame(view.frame)
            }
            Event::Pointer(pointer) => {
                uid(&pointer.instance)?;
                pointer.at.iter_mut().flatten().try_for_each(|n| number(n, 1e2))?;
                frame(pointer.frame)
            }
            Event::Mark(mark) => {
                uid(&mark.instance)?;
                id(&mark.id)?;
                if mark.points.is_empty() || mark.points.len() > POINTS {
                    return Err(format!("a mark has 1 to {POINTS} points"));
                }
                mark.points.iter_mut().flatten().try_for_each(|n| number(n, 1e2))?;
                frame(mark.frame)
            }
            Event::Unmark(unmark) => id(&unmark.id),
            Event::Presenter(_) => Ok(()),
        }
    }
}

fn uid(text: &String) -> Result<(), String> {
    match Uid::parse(text) {
        Some(uid) if uid.as_str() == text => Ok(()),
        _ => Err("study, series and instance are UIDs".to_owned()),
    }
}

fn frame(frame: u32) -> Result<(), String> {
    if frame == 0 { Err("frames count from 1".to_owned()) } else { Ok(()) }
}

fn id(text: &str) -> Result<(), String> {
    let short = (1..=40).contains(&text.len());
    if short && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b)) {
        Ok(())
    } else {
        Err("the id of a mark is 1 to 40 letters, digits, '-', '_' or '.'".to_owned())
    }
}

fn number(number: &mut f64, steps: f64) -> Result<(), String> {
    if !number.is_finite() || number.abs() > FARTHEST {
        return Err(format!("numbers are within {FARTHEST} of 0"));
    }
    *number = (*number * steps).round() / steps;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(event: &Value) -> Result<Value, String> {
        parse(event.to_string().as_bytes()).map(|event| event.body())
    }

    #[test]
    fn what_is_of_the_shape_passes_as_it_is() {
        for body in [
            json!({"study": "1.2", "series": "1.3", "instance": "1.4", "frame": 1, "zoom": 1.25, "pan": [0.5, -3.0],
                "window": [40.0, 400.0], "inverted": false}),
            json!({"instance": "1.4", "frame": 2, "at": [10.5, 20.25]}),
            json!({"instance": "1.4", "frame": 2, "at": null}),
            json!({"id": "a-1", "instance": "1.4", "frame": 1, "kind": "arrow", "points": [[1.0, 2.0], [3.0, 4.0]]}),
            json!({"id": "a-1"}),
            json!({"presenter": 3}),
            json!({"presenter": null}),
        ] {
            let name = match &body {
                body if body.get("zoom").is_some() => "view",
                body if body.get("at").is_some() => "pointer",
                body if body.get("kind").is_some() => "mark",
                body if body.get("presenter").is_some() => "presenter",
                _ => "unmark",
            };
            assert_eq!(told(&json!({"event": name, "data": body})), Ok(body));
        }
    }

    #[test]
    fn nothing_else_passes() {
        let pointer = json!({"event": "pointer", "data": {"instance": "1.4", "frame": 1, "at": [1.0, 2.0]}});
        let with = |name: &str, value: Value| {
            let mut changed = pointer.clone();
            changed["data"][name] = value;
            changed
        };
        assert!(told(&pointer).is_ok());
        for bad in [
            json!([]),
            json!({}),
            json!({"event": "chat", "data": {"text": "Dawn^Aurora"}}),
            json!({"event": "pointer", "data": {"instance": "1.4", "frame": 1, "at": null}, "chat": "Dawn^Aurora"}),
            json!({"event": 7, "data": {}}),
            with("name", json!("Dawn^Aurora")),
            with("instance", json!("Dawn^Aurora")),
            with("instance", json!("1.4 ")),
            with("frame", json!(0)),
            with("frame", json!(-1)),
            with("frame", json!("1")),
            with("at", json!([1])),
            with("at", json!([1, 2, 3])),
            with("at", json!(["Dawn", "Aurora"])),
            with("at", json!([1e300, 0])),
            json!({"event": "unmark", "data": {"id": "Dawn Aurora"}}),
            json!({"event": "unmark", "data": {"id": ""}}),
            json!({"event": "unmark", "data": {"id": "x".repeat(41)}}),
            json!({"event": "mark", "data": {"id": "1", "instance": "1.4", "frame": 1, "kind": "text", "points": [[1, 2]]}}),
            json!({"event": "mark", "data": {"id": "1", "instance": "1.4", "frame": 1, "kind": "line", "points": []}}),
            json!({"event": "mark", "data": {"id": "1", "instance": "1.4", "frame": 1, "kind": "line", "points": vec![[1, 2]; 65]}}),
            json!({"event": "presenter", "data": {"presenter": "me"}}),
        ] {
            let why = told(&bad).expect_err(&bad.to_string());
            assert!(!why.contains("Dawn") && !why.contains("chat"), "{why}");
        }
        assert!(parse(b"\xff").is_err() && parse(b"{\"event\":\"pointer\"").is_err());
    }

    #[test]
    fn numbers_are_rounded() {
        let event = json!({"event": "pointer", "data": {"instance": "1.4", "frame": 1, "at": [1.23456, -0.0001]}});
        assert_eq!(told(&event).unwrap()["at"], json!([1.23, -0.0]));
    }
}
