//! The worklist of a modality, answered (PS3.4 Annex K): C-FIND of what is scheduled.

use crate::association::{Association, Context};
use crate::command::{Command, element};
use crate::error::Error;
use crate::identifier::{self, Identifier};
use crate::server::Config;
use crate::status;
use ::access::Right;

/// Answers with every item that matches, and then with how it ended.
pub fn answer(
    association: &mut Association,
    config: &Config,
    context: &Context,
    request: &Command,
) -> Result<(), Error> {
    let bytes = association.short_data(context.id, request)?;
    let syntax = &context.transfer_syntax;
    let read = Identifier::read(&bytes, syntax).and_then(|asked| Ok((asked.latin, Identifier::json(&bytes, syntax)?)));
    let (latin, keys) = match read {
        Ok(read) => read,
        Err(error) => return end(association, context, request, status::CANNOT_UNDERSTAND, Some(&error.to_string())),
    };
    let items = match config.archive.scheduled(&keys) {
        Ok(items) => items,
        Err(error) => {
            tracing::warn!(%error, "C-FIND of the worklist failed");
            return end(association, context, request, status::OUT_OF_RESOURCES, None);
        }
    };
    let caller = config.access.identity(&association.calling);
    let seen = |facts| caller.may(Right::Write, &facts) || caller.may(Right::Read, &facts);
    for item in items.iter().filter(|item| seen(item.facts())) {
        if association.is_cancelled(request.message())? {
            return end(association, context, request, status::CANCELLED, None);
        }
        let data = identifier::of_json(&item.answer(&keys), latin, syntax);
        association.send(context.id, Command::response(request, status::PENDING), Some(&data))?;
    }
    end(association, context, request, status::SUCCESS, None)
}

fn end(
    association: &mut Association,
    context: &Context,
    request: &Command,
    status: u16,
    comment: Option<&str>,
) -> Result<(), Error> {
    let last = Command::response(request, status);
    let last = comment.map_or(last.clone(), |comment| last.with_text(element::COMMENT, comment));
    association.send(context.id, last, None)
}
