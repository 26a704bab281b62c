//! What a query means, whatever engine answers it: its conditions ([`Conditions`]), how texts are matched ([`Pattern`]), and what is
//! returned of a row ([`answer`]).

mod answer;
mod conditions;
mod row;
mod wild;

pub use answer::{Found, FoundInstance, FoundSeries, FoundStudy, Include, answer};
pub use conditions::{Column, Condition, Conditions, after};
pub use row::text_row;
pub use wild::{Pattern, wild, words};

/// Rows of one answer, unless the query asks for fewer.
pub const MOST: usize = 20_000;
