//! What an answer lacks of what was asked for, and how that is told (PS3.18 8.5 has 206 for an answer that is not all).

use crate::error::Problem;
use axum::http::{HeaderValue, Response, StatusCode, header};

/// What an answer lacks.
#[derive(Default)]
pub struct Holes {
    /// How many things it lacks.
    pub count: usize,
    /// Why the first of them is not there.
    pub first: Option<Problem>,
}

impl Holes {
    /// One more is left out.
    pub fn add(&mut self, problem: Problem) {
        self.count += 1;
        self.first.get_or_insert(problem);
    }

    /// In words; `None`: nothing is lacking.
    pub fn text(&self, of: usize) -> Option<String> {
        let reason = self.first.as_ref()?.message();
        let safe: String =
            reason.chars().filter(|c| (' '..='~').contains(c) && !"\"\\".contains(*c)).take(300).collect();
        Some(format!("{} of {of} instances are not in this answer: {safe}", self.count))
    }

    /// Says it in the head of the answer, which would have had so many.
    pub fn tell<B>(&self, of: usize, response: &mut Response<B>) {
        let warning = self.text(of).and_then(|text| HeaderValue::try_from(format!("299 firstlight \"{text}\"")).ok());
        let Some(warning) = warning else { return };
        if response.status() == StatusCode::OK {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        response.headers_mut().append(header::WARNING, warning);
    }
}
