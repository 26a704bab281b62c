//! What an answer lacks of what was asked for, and how that is told (PS3.18 8.5 has 206 for an answer that is not all).

use crate::error::Problem;
use axum::http::{HeaderValue, Response, StatusCode, header};

/// What an answer lacks.
pub struct Holes {
    /// What it lacks some of.
    what: &'static str,
    /// How many of them it lacks.
    pub count: usize,
    /// Why the first of them is not there.
    pub first: Option<Problem>,
}

impl Default for Holes {
    fn default() -> Holes {
        Holes { what: "instances", count: 0, first: None }
    }
}

impl Holes {
    /// None, of an answer that is made of parts.
    pub fn of_parts() -> Holes {
        Holes { what: "parts", ..Holes::default() }
    }

    /// One more is left out.
    pub fn add(&mut self, problem: Problem) {
        self.add_many(1, problem);
    }

    /// So many more are left out.
    pub fn add_many(&mut self, count: usize, problem: Problem) {
        if count > 0 {
            self.count = self.count.saturating_add(count);
            self.first.get_or_insert(problem);
        }
    }

    /// In words; `None`: nothing is lacking. `of`: how many there should be, where that is known.
    pub fn text(&self, of: Option<usize>) -> Option<String> {
        let reason = self.first.as_ref()?.message();
        let safe: String =
            reason.chars().filter(|c| (' '..='~').contains(c) && !"\"\\".contains(*c)).take(300).collect();
        let of = of.map_or_else(String::new, |of| format!(" of {of}"));
        Some(format!("{}{of} {} are not in this answer: {safe}", self.count, self.what))
    }

    /// The same as a warning (RFC 9111 5.5).
    pub fn warning(&self, of: Option<usize>) -> Option<HeaderValue> {
        self.text(of).and_then(|text| HeaderValue::try_from(format!("299 firstlight \"{text}\"")).ok())
    }

    /// Says it in the head of the answer, which would have had so many.
    pub fn tell<B>(&self, of: Option<usize>, response: &mut Response<B>) {
        let Some(warning) = self.warning(of) else { return };
        if response.status() == StatusCode::OK {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        response.headers_mut().append(header::WARNING, warning);
    }
}
