//! Greyscale softcopy presentation states (PS3.3 A.33.1, PS3.4 N.2): an image as somebody left it, with its window, shutter, graphics,
//! words, displayed area, rotation and flip.

use super::Rows;
use super::annotate;
use super::tone::{Attributes, Imposed};
use dicom::{Element, Item, Source, Tag, Vr};

/// Segments that a circle is drawn with.
const SEGMENTS: u32 = 96;
/// Points of one state that are drawn.
const MOST_POINTS: usize = 20_000;
/// Lines of text of one state that are drawn.
const MOST_LINES: usize = 1000;
/// Pixels that the lines of one state are drawn with; one that is drawn over counts again.
const MOST_INK: u64 = 64 << 20;
/// Corners of a shutter; of one that has more, some are left out all along it.
const MOST_CORNERS: usize = 4096;
/// Bytes of a value that is looked at.
const LARGEST: u64 = 1 << 20;

/// What a state says of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// Modality, VOI and polarity.
    pub tone: Imposed,
    /// Quarters of a turn, clockwise.
    turns: u8,
    /// Left is right, after the turn.
    mirrored: bool,
    /// First column and row of the displayed area, columns, rows.
    area: (u32, u32, u32, u32),
    shutter: Option<Shutter>,
    lines: Vec<Vec<Point>>,
    words: Vec<(Point, Vec<String>)>,
}

/// Column and row in the image; the middle of its first pixel is 0, 0.
type Point = (f64, f64);

#[derive(Debug, Clone, PartialEq)]
struct Shutter {
    /// Left, right, upper and lower edge: what is beyond them is hidden.
    rectangle: Option<[f64; 4]>,
    /// Middle and radius.
    circle: Option<(Point, f64)>,
    polygon: Vec<Point>,
    grey: u8,
}

/// The first image that a state is about: its series, its UID and its frame (from 0).
pub fn first_image(state: &Source) -> Option<(String, String, u32)> {
    let set = state.data_set();
    let of = Reader { source: state };
    set.get(Tag(0x0008, 0x1115))?.items()?.iter().find_map(|series| {
        let image = series.get(Tag(0x0008, 0x1140))?.items()?.first()?;
        let frame =
            of.numbers(image, Tag(0x0008, 0x1160)).first().map_or(0, |number| (*number as u32).saturating_sub(1));
        Some((of.text(series, Tag(0x0020, 0x000E))?, of.text(image, Tag(0x0008, 0x1155))?, frame))
    })
}

impl State {
    /// What `state` says of `image`.
    pub fn of(state: &Source, image: &Source) -> State {
        let of = Reader { source: state };
        let facts = image.facts();
        let full = (facts.columns, facts.rows);
        let sop = facts.sop_instance_uid.as_str();
        let top = |tag| state.data_set().get(tag);
        let turns = top(Tag(0x0070, 0x0042)).map_or(0.0, |element| of.all(element).first().copied().unwrap_or(0.0));
        let flip = top(Tag(0x0070, 0x0041)).is_some_and(|e| state.data_set().text(e).first().is_some_and(|v| v == "Y"));
        let area = of.area(sop, full);
        let mut out = State {
            tone: Attributes::imposed(state, image),
            turns: (turns / 90.0).rem_euclid(4.0) as u8,
            mirrored: flip,
            area,
            shutter: of.shutter(),
            lines: Vec::new(),
            words: Vec::new(),
        };
        out.take_annotations(&of, sop);
        out
    }

    /// The graphics and words about an image, until there are as many as one state may have.
    fn take_annotations(&mut self, of: &Reader, sop: &str) {
        let (mut points, mut lines) = (MOST_POINTS, MOST_LINES);
        for annotation in of.items(Tag(0x0070, 0x0001)) {
            if points == 0 && lines == 0 {
                return;
            }
            if !of.is_about(annotation, sop) {
                continue;
            }
            for graphic in nested(annotation, Tag(0x0070, 0x0009)) {
                if points == 0 {
                    break;
                }
                for mut line in of.graphic(graphic, self.area) {
                    line.truncate(points);
                    // One without a point counts too, so that there is an end to them.
                    points = points.saturating_sub(line.len().max(1));
                    self.lines.push(line);
                }
            }
            for text in nested(annotation, Tag(0x0070, 0x0008)) {
                if lines == 0 {
                    break;
                }
                if let Some((place, mut text)) = of.words(text, self.area) {
                    text.truncate(lines);
                    lines = lines.saturating_sub(text.len().max(1));
                    self.words.push((place, text));
                }
            }
        }
    }

    /// Columns and rows of what is shown.
    pub fn size(&self) -> (u32, u32) {
        let (_, _, width, height) = self.area;
        if self.turns % 2 == 1 { (height, width) } else { (width, height) }
    }

    /// The image as the state shows it.
    pub fn show(&self, rows: &mut dyn Rows) -> Picture {
        let mut picture = Picture::of(rows);
        if let Some(shutter) = &self.shutter {
            picture.hide(shutter);
        }
        let mut ink = MOST_INK;
        for line in &self.lines {
            line.windows(2).for_each(|ends| picture.line(ends[0], ends[1], &mut ink));
            if let [point] = line[..] {
                picture.line(point, point, &mut ink);
            }
        }
        let mut shown = picture.cut(self.area).turned(self.turns, self.mirrored);
        let scale = (shown.width as usize / 384).clamp(1, 8);
        for (place, lines) in &self.words {
            let (x, y) = self.place(*place);
            let (x, y) = (x.max(0.0) as usize, y.max(0.0) as usize);
            annotate::stamp(&mut shown.pixels, shown.width as usize, shown.channels, (x, y), scale, lines);
        }
        shown
    }

    /// Where a point of the image is in what is shown.
    fn place(&self, (x, y): Point) -> Point {
        let (left, top, width, height) = self.area;
        let (x, y) = (x - f64::from(left), y - f64::from(top));
        let (right, bottom) = (f64::from(width) - 1.0, f64::from(height) - 1.0);
        let (x, y) = match self.turns {
            1 => (bottom - y, x),
            2 => (right - x, bottom - y),
            3 => (y, right - x),
            _ => (x, y),
        };
        let last = f64::from(self.size().0) - 1.0;
        (if self.mirrored { last - x } else { x }, y)
    }
}

/// An image in memory: 8 bits a sample, interleaved.
pub struct Picture {
    width: u32,
    height: u32,
    channels: usize,
    pixels: Vec<u8>,
}

impl Picture {
    fn of(rows: &mut dyn Rows) -> Picture {
        let (width, height, channels, line) = (rows.width(), rows.height(), rows.channels(), rows.row_len());
        let mut pixels = vec![0; line * height as usize];
        (0..).zip(pixels.chunks_exact_mut(line.max(1))).for_each(|(y, line)| rows.row(y, line));
        Picture { width, height, channels, pixels }
    }

    fn pixel(&mut self, x: i64, y: i64) -> Option<&mut [u8]> {
        let inside = (0..i64::from(self.width)).contains(&x) && (0..i64::from(self.height)).contains(&y);
        let at = inside.then(|| (y as usize * self.width as usize + x as usize) * self.channels)?;
        self.pixels.get_mut(at..at + self.channels)
    }

    fn hide(&mut self, shutter: &Shutter) {
        let line = self.width as usize * self.channels;
        for (y, row) in self.pixels.chunks_exact_mut(line.max(1)).enumerate() {
            let y = y as f64;
            let edges = (shutter.polygon.len() > 2).then(|| crossings(&shutter.polygon, y));
            let mut passed = 0;
            for (x, pixel) in row.chunks_exact_mut(self.channels.max(1)).enumerate() {
                let x = x as f64;
                let within = edges.as_ref().is_none_or(|edges| {
                    passed += edges[passed..].iter().take_while(|edge| **edge <= x).count();
                    (edges.len() - passed) % 2 == 1
                });
                if !within || !shutter.shows((x, y)) {
                    pixel.fill(shutter.grey);
                }
            }
        }
    }

    /// A straight line, white, as wide as can be seen, as long as there is `ink`.
    fn line(&mut self, from: Point, to: Point, ink: &mut u64) {
        // What lies far outside is drawn no further than that.
        let limit = |(x, y): Point| (x.clamp(-1e5, 1e5), y.clamp(-1e5, 1e5));
        let (from, to) = (limit(from), limit(to));
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0) as u32;
        let wide = i64::from(self.width / 512).clamp(0, 8);
        let Some((first, last)) = self.part_within(from, to, wide as f64 + 1.0) else { return };
        let step = |share: f64| share * f64::from(steps);
        for step in step(first).floor() as u32..=step(last).ceil() as u32 {
            let cost = (wide as u64 + 1).pow(2);
            let Some(left) = ink.checked_sub(cost) else { return };
            *ink = left;
            let share = f64::from(step) / f64::from(steps);
            let at = |from: f64, to: f64| (from + (to - from) * share).round() as i64;
            let (x, y) = (at(from.0, to.0), at(from.1, to.1));
            for (dx, dy) in (0..=wide).flat_map(|dy| (0..=wide).map(move |dx| (dx, dy))) {
                if let Some(pixel) = self.pixel(x + dx, y + dy) {
                    pixel.fill(255);
                }
            }
        }
    }

    /// From where to where, as shares of its length, a line is in the image or no more than `margin` beyond its edges.
    fn part_within(&self, from: Point, to: Point, margin: f64) -> Option<(f64, f64)> {
        let sides = [(from.0, to.0, self.width), (from.1, to.1, self.height)];
        sides.into_iter().try_fold((0.0f64, 1.0f64), |(first, last), (from, to, side)| {
            let (low, high) = (-margin, f64::from(side) + margin);
            let (a, b) = ((low - from) / (to - from), (high - from) / (to - from));
            let part = match from == to {
                true if (low..=high).contains(&from) => (first, last),
                true => return None,
                false => (first.max(a.min(b)), last.min(a.max(b))),
            };
            (part.0 <= part.1).then_some(part)
        })
    }

    fn cut(self, (left, top, width, height): (u32, u32, u32, u32)) -> Picture {
        if (left, top, width, height) == (0, 0, self.width, self.height) {
            return self;
        }
        let (line, part) = (self.width as usize * self.channels, width as usize * self.channels);
        let from = left as usize * self.channels;
        let rows = self.pixels.chunks_exact(line.max(1)).skip(top as usize).take(height as usize);
        let pixels = rows.flat_map(|row| &row[from..from + part]).copied().collect();
        Picture { width, height, pixels, ..self }
    }

    fn turned(self, turns: u8, mirrored: bool) -> Picture {
        if turns == 0 && !mirrored {
            return self;
        }
        let (width, height) = if turns % 2 == 1 { (self.height, self.width) } else { (self.width, self.height) };
        let mut pixels = Vec::with_capacity(self.pixels.len());
        for y in 0..height as usize {
            for x in 0..width as usize {
                let x = if mirrored { width as usize - 1 - x } else { x };
                let (right, bottom) = (self.width as usize - 1, self.height as usize - 1);
                let (from_x, from_y) = match turns {
                    1 => (y, bottom - x),
                    2 => (right - x, bottom - y),
                    3 => (right - y, x),
                    _ => (x, y),
                };
                let at = (from_y * self.width as usize + from_x) * self.channels;
                pixels.extend_from_slice(&self.pixels[at..at + self.channels]);
            }
        }
        Picture { width, height, pixels, ..self }
    }
}

impl Rows for Picture {
    fn width(&self) -> u32 {
        self.width
    }

    fn height(&self) -> u32 {
        self.height
    }

    fn channels(&self) -> usize {
        self.channels
    }

    fn row(&mut self, y: u32, out: &mut [u8]) {
        let line = self.row_len();
        out.copy_from_slice(&self.pixels[y as usize * line..][..line]);
    }
}

impl Shutter {
    /// Is a point within the rectangle and the circle?
    fn shows(&self, (x, y): Point) -> bool {
        let within = self
            .rectangle
            .is_none_or(|[left, right, upper, lower]| (left..=right).contains(&x) && (upper..=lower).contains(&y));
        let round = self.circle.is_none_or(|((cx, cy), radius)| (x - cx).powi(2) + (y - cy).powi(2) <= radius.powi(2));
        within && round
    }
}

/// Where the edges of a polygon cross a row, from left to right: a point lies in it that has an odd number of them to its right.
fn crossings(polygon: &[Point], y: f64) -> Vec<f64> {
    let edges = polygon.iter().zip(polygon.iter().cycle().skip(1));
    let crossed = edges.filter(|((_, ay), (_, by))| (*ay > y) != (*by > y));
    let mut places: Vec<f64> = crossed.map(|((ax, ay), (bx, by))| (bx - ax) * (y - ay) / (by - ay) + ax).collect();
    places.sort_by(f64::total_cmp);
    places
}

/// Reads the elements of a state.
struct Reader<'a> {
    source: &'a Source,
}

impl<'a> Reader<'a> {
    fn items(&self, tag: Tag) -> &'a [Item] {
        self.source.data_set().get(tag).and_then(Element::items).unwrap_or_default()
    }

    fn text(&self, item: &Item, tag: Tag) -> Option<String> {
        self.source
            .data_set()
            .text(item.get(tag).filter(|element| is_small(element))?)
            .into_iter()
            .next()
            .map(|text| text.trim_end_matches(['\0', ' ']).to_owned())
    }

    fn numbers(&self, item: &Item, tag: Tag) -> Vec<f64> {
        item.get(tag).map(|element| self.all(element)).unwrap_or_default()
    }

    fn all(&self, element: &Element) -> Vec<f64> {
        let set = self.source.data_set();
        let Some(bytes) = is_small(element).then(|| set.bytes_le(element).ok()).flatten() else { return Vec::new() };
        let numbers: Vec<f64> = match element.known_vr() {
            Vr::US => bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b).into()).collect(),
            Vr::UL => bytes.as_chunks().0.iter().map(|b| u32::from_le_bytes(*b).into()).collect(),
            Vr::SL => bytes.as_chunks().0.iter().map(|b| i32::from_le_bytes(*b).into()).collect(),
            Vr::FL => bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b).into()).collect(),
            _ => set.text(element).iter().filter_map(|text| text.trim().parse().ok()).collect(),
        };
        numbers.into_iter().filter(|number| number.is_finite()).take(2 * MOST_POINTS).collect()
    }

    fn points(&self, item: &Item, tag: Tag) -> Vec<Point> {
        self.numbers(item, tag).as_chunks().0.iter().map(|[x, y]| (*x, *y)).collect()
    }

    /// Is an item about an image: named, or no image is?
    fn is_about(&self, item: &Item, sop: &str) -> bool {
        let named = nested(item, Tag(0x0008, 0x1140));
        named.is_empty() || named.iter().any(|image| self.text(image, Tag(0x0008, 0x1155)).as_deref() == Some(sop))
    }

    /// The displayed area (PS3.3 C.10.4), within the image.
    fn area(&self, sop: &str, full: (u32, u32)) -> (u32, u32, u32, u32) {
        let whole = (0, 0, full.0, full.1);
        let Some(item) = self.items(Tag(0x0070, 0x005A)).iter().find(|item| self.is_about(item, sop)) else {
            return whole;
        };
        let corners = [Tag(0x0070, 0x0052), Tag(0x0070, 0x0053)].map(|tag| self.points(item, tag).first().copied());
        let [Some(first), Some(second)] = corners else { return whole };
        let side = |a: f64, b: f64, most: u32| {
            let (from, to) = ((a.min(b) - 1.0).max(0.0) as u32, a.max(b).clamp(0.0, most.into()) as u32);
            (from < to).then(|| (from, to - from))
        };
        match (side(first.0, second.0, full.0), side(first.1, second.1, full.1)) {
            (Some((left, width)), Some((top, height))) => (left, top, width, height),
            _ => whole,
        }
    }

    /// The display shutter (PS3.3 C.7.6.11).
    fn shutter(&self) -> Option<Shutter> {
        let set = self.source.data_set();
        let shapes = set.strings(Tag(0x0018, 0x1600));
        let numbers = |element: u16| set.get(Tag(0x0018, element)).map(|element| self.all(element)).unwrap_or_default();
        let edge = |element: u16| numbers(element).first().map(|edge| edge - 1.0);
        let has = |shape: &str| shapes.iter().any(|told| told.trim() == shape);
        // Rows come before columns here.
        let points =
            |element: u16| numbers(element).as_chunks().0.iter().map(|[y, x]| (x - 1.0, y - 1.0)).collect::<Vec<_>>();
        let rectangle =
            has("RECTANGULAR").then(|| Some([edge(0x1602)?, edge(0x1604)?, edge(0x1606)?, edge(0x1608)?])).flatten();
        let circle = has("CIRCULAR").then(|| Some((*points(0x1610).first()?, *numbers(0x1612).first()?))).flatten();
        let corners = if has("POLYGONAL") { points(0x1620) } else { Vec::new() };
        let every = corners.len().div_ceil(MOST_CORNERS).max(1);
        let polygon: Vec<Point> = corners.into_iter().step_by(every).collect();
        let grey = (numbers(0x1622).first().map_or(0.0, |grey| grey / 257.0)).clamp(0.0, 255.0) as u8;
        (rectangle.is_some() || circle.is_some() || polygon.len() > 2).then_some(Shutter {
            rectangle,
            circle,
            polygon,
            grey,
        })
    }

    /// The lines of a graphic object (PS3.3 C.10.5.1.2).
    fn graphic(&self, item: &Item, area: (u32, u32, u32, u32)) -> Vec<Vec<Point>> {
        let place = placer(self.text(item, Tag(0x0070, 0x0005)).as_deref(), area);
        let points: Vec<Point> = self.points(item, Tag(0x0070, 0x0022)).into_iter().map(place).collect();
        match (self.text(item, Tag(0x0070, 0x0023)).as_deref(), &points[..]) {
            (Some("POINT"), _) => points.into_iter().map(|point| vec![point]).collect(),
            (Some("CIRCLE"), [middle, edge, ..]) => {
                let radius = (edge.0 - middle.0).hypot(edge.1 - middle.1);
                vec![ring(*middle, (radius, 0.0), (0.0, radius))]
            }
            (Some("ELLIPSE"), [a, b, c, d, ..]) => {
                let half = |from: &Point, to: &Point| ((to.0 - from.0) / 2.0, (to.1 - from.1) / 2.0);
                vec![ring(((a.0 + b.0) / 2.0, (a.1 + b.1) / 2.0), half(a, b), half(c, d))]
            }
            _ => vec![points],
        }
    }

    /// The words of a text object, and where they begin.
    fn words(&self, item: &Item, area: (u32, u32, u32, u32)) -> Option<(Point, Vec<String>)> {
        let text = self.text(item, Tag(0x0070, 0x0006))?;
        let lines = text.lines().take(annotate::MOST_LINES);
        let lines = lines.map(|line| line.chars().take(annotate::LONGEST).collect()).collect();
        let at = |point, units| {
            let place = placer(self.text(item, units).as_deref(), area);
            self.points(item, point).first().map(|point| place(*point))
        };
        let place =
            at(Tag(0x0070, 0x0010), Tag(0x0070, 0x0003)).or_else(|| at(Tag(0x0070, 0x0014), Tag(0x0070, 0x0004)));
        Some((place?, lines))
    }
}

fn is_small(element: &Element) -> bool {
    element.end.saturating_sub(element.start) <= LARGEST
}

fn nested(item: &Item, tag: Tag) -> &[Item] {
    item.get(tag).and_then(Element::items).unwrap_or_default()
}

/// From PIXEL, whose first pixel is 1, or DISPLAY, a share of the displayed area, to columns and rows of the image.
fn placer(units: Option<&str>, (left, top, width, height): (u32, u32, u32, u32)) -> impl Fn(Point) -> Point + use<> {
    let display = units == Some("DISPLAY");
    move |(x, y)| match display {
        true => (f64::from(left) + x * f64::from(width), f64::from(top) + y * f64::from(height)),
        false => (x - 1.0, y - 1.0),
    }
}

/// An ellipse by its middle and half axes.
fn ring(middle: Point, a: Point, b: Point) -> Vec<Point> {
    let angle = |n: u32| f64::from(n) / f64::from(SEGMENTS) * std::f64::consts::TAU;
    let at = |n| (angle(n).cos(), angle(n).sin());
    let point = |(c, s): (f64, f64)| (middle.0 + a.0 * c + b.0 * s, middle.1 + a.1 * c + b.1 * s);
    (0..=SEGMENTS).map(|n| point(at(n))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered() -> Picture {
        Picture { width: 3, height: 2, channels: 1, pixels: vec![1, 2, 3, 4, 5, 6] }
    }

    #[test]
    fn turns_and_mirrors() {
        let of = |turns, mirrored| {
            let picture = numbered().turned(turns, mirrored);
            (picture.width, picture.pixels)
        };
        assert_eq!(of(0, true), (3, vec![3, 2, 1, 6, 5, 4]));
        assert_eq!(of(1, false), (2, vec![4, 1, 5, 2, 6, 3]), "clockwise");
        assert_eq!(of(2, false), (3, vec![6, 5, 4, 3, 2, 1]));
        assert_eq!(of(3, false), (2, vec![3, 6, 2, 5, 1, 4]));
        assert_eq!(of(1, true), (2, vec![1, 4, 2, 5, 3, 6]), "first the turn");
        assert_eq!(numbered().cut((1, 1, 2, 1)).pixels, [5, 6]);
    }

    #[test]
    fn shutters_hide_what_is_outside() {
        let shutter = |rectangle, circle, polygon| Shutter { rectangle, circle, polygon, grey: 9 };
        let mut picture = Picture { width: 4, height: 1, channels: 1, pixels: vec![1; 4] };
        picture.hide(&shutter(Some([1.0, 2.0, 0.0, 0.0]), None, Vec::new()));
        assert_eq!(picture.pixels, [9, 1, 1, 9]);
        let round = shutter(None, Some(((5.0, 5.0), 2.0)), Vec::new());
        assert!(round.shows((5.0, 7.0)) && !round.shows((7.0, 7.0)));
        let triangle = shutter(None, None, vec![(-1.0, -1.0), (10.0, -1.0), (-1.0, 10.0)]);
        let mut picture = Picture { width: 10, height: 3, channels: 1, pixels: vec![1; 30] };
        picture.hide(&triangle);
        let shown: Vec<usize> = picture.pixels.chunks(10).map(|row| row.iter().filter(|p| **p == 1).count()).collect();
        assert_eq!(shown, [9, 8, 7], "columns below the slope");
        let notched = vec![(-1.0, -1.0), (2.0, 5.0), (5.0, -1.0), (5.0, 9.0), (-1.0, 9.0)];
        let mut picture = Picture { width: 5, height: 3, channels: 1, pixels: vec![1; 15] };
        picture.hide(&shutter(None, None, notched));
        assert_eq!(picture.pixels[10..], [1, 9, 9, 9, 1], "two spans of one row");
    }

    #[test]
    fn lines_reach_both_ends_and_no_further() {
        let mut picture = Picture { width: 5, height: 5, channels: 1, pixels: vec![0; 25] };
        let mut ink = 1000;
        picture.line((0.0, 0.0), (4.0, 4.0), &mut ink);
        picture.line((f64::MAX, 2.0), (9.0, 2.0), &mut ink);
        let lit: Vec<usize> = (0..25).filter(|n| picture.pixels[*n] == 255).collect();
        assert_eq!(lit, [0, 6, 12, 18, 24]);
        let before = ink;
        picture.line((-9e4, 3.0), (9e4, 3.0), &mut ink);
        assert!(before - ink < 12, "what is outside costs nothing: {}", before - ink);
        assert_eq!(picture.pixels[15..20], [255; 5]);
        picture.line((-9e4, -9e4), (9e4, -8e4), &mut ink);
        ink = 2;
        picture.line((0.0, 1.0), (4.0, 1.0), &mut ink);
        assert_eq!((ink, &picture.pixels[5..10]), (0, &[255, 255, 0, 0, 0][..]), "no more than there is ink for");
    }
}
