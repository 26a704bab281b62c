//! Attributes of instances that a search is asked for and the index does not have (`includefield`, PS3.18 8.3.4.3): read from what is
//! stored, row by row, as long as somebody waits.

use crate::error::{Answered, Problem};
use crate::state::App;
use archive::{Fields, Patience, Query};
use serde_json::{Map, Value};

/// Adds to the rows of a search for instances what was asked for. Bulk data is left out.
pub fn add(app: &App, patience: &Patience, rows: &mut [Map<String, Value>], query: &Query, root: &str) -> Answered<()> {
    let asked: Vec<String> = match &query.include {
        Fields::Default => return Ok(()),
        Fields::Some(tags) => tags.iter().map(|tag| format!("{:04X}{:04X}", tag.0, tag.1)).collect(),
        Fields::All => Vec::new(),
    };
    for row in rows {
        if query.include != Fields::All && asked.iter().all(|tag| row.contains_key(tag)) {
            continue;
        }
        if patience.is_over() {
            return Err(Problem::search_took_too_long());
        }
        let Some(stored) = attributes(app, row, query, root)? else { continue };
        for (tag, attribute) in stored {
            let wanted = query.include == Fields::All || asked.contains(&tag);
            if wanted && !is_bulk(&attribute) {
                row.entry(tag).or_insert(attribute);
            }
        }
    }
    Ok(())
}

/// All attributes of the instance of a row; `None` where it is gone, or can't be read any more.
fn attributes(app: &App, row: &Map<String, Value>, query: &Query, root: &str) -> Answered<Option<Map<String, Value>>> {
    let own = |tag: &str| row.get(tag)?.get("Value")?.get(0)?.as_str();
    let study = own("0020000D").or(query.study.as_deref());
    let series = own("0020000E").or(query.series.as_deref());
    let (Some(study), Some(series), Some(sop)) = (study, series, own("00080018")) else { return Ok(None) };
    let Some(instance) = app.archive.instance(study, series, sop)? else { return Ok(None) };
    Ok(match app.archive.attributes(&instance, root) {
        Ok(attributes) => Some(attributes),
        Err(error) => {
            tracing::warn!(%error, %sop, "a row of a search lacks what is stored");
            None
        }
    })
}

fn is_bulk(attribute: &Value) -> bool {
    attribute.get("BulkDataURI").is_some() || attribute.get("InlineBinary").is_some()
}
