//! Modality Performed Procedure Step, answered (PS3.4 F.7): N-CREATE begins a step, N-SET changes and ends it.

use crate::association::{Association, Context};
use crate::command::{Command, element, field};
use crate::error::Error;
use crate::identifier::Identifier;
use crate::server::Config;
use crate::status;
use ::access::Right;
use archive::{Attributes, NotPerformed, StudyFacts};
use serde_json::Value;

/// Error ID of a step that has ended (PS3.4 F.7.2.2.3).
const NO_LONGER_UPDATED: u16 = 0xA710;

/// Takes what is told of a step, and answers.
pub fn answer(
    association: &mut Association,
    config: &Config,
    context: &Context,
    request: &Command,
) -> Result<(), Error> {
    let bytes = association.short_data(context.id, request)?;
    let response = match kept(association, config, context, request, &bytes) {
        Ok(uid) => Command::response(request, status::SUCCESS).with_uid(element::AFFECTED_INSTANCE, &uid),
        Err(why) => {
            tracing::warn!(calling = ?association.calling, %why, "a performed procedure step was refused");
            refusal(Command::response(request, status_of(&why)), &why)
        }
    };
    association.send(context.id, response, None)
}

fn kept(
    association: &Association,
    config: &Config,
    context: &Context,
    request: &Command,
    bytes: &[u8],
) -> Result<String, NotPerformed> {
    let caller = config.access.identity(&association.calling);
    if !config.access.may_store || !caller.has(Right::Write) {
        return Err(NotPerformed::NotAllowed);
    }
    let may = |facts: &StudyFacts| caller.may(Right::Write, facts);
    let json = Identifier::json(bytes, &context.transfer_syntax);
    let told = json.map_err(|error| error.to_string()).and_then(|json| Attributes::read(&Value::Object(json)));
    let told = told.map_err(NotPerformed::Wrong)?;
    if request.field() == field::CREATE {
        return config.archive.begin_performed(&request.text(element::AFFECTED_INSTANCE), told, &may);
    }
    let uid = request.text(element::REQUESTED_INSTANCE);
    config.archive.change_performed(&uid, &told, &may)?;
    Ok(uid)
}

fn status_of(why: &NotPerformed) -> u16 {
    match why {
        NotPerformed::Duplicate => status::DUPLICATE_INSTANCE,
        NotPerformed::NotThere => status::NO_SUCH_INSTANCE,
        NotPerformed::Missing(_) => status::MISSING_ATTRIBUTE,
        NotPerformed::Wrong(_) => status::INVALID_VALUE,
        NotPerformed::NotAllowed => status::NOT_AUTHORIZED,
        NotPerformed::Ended | NotPerformed::Failed(_) => status::PROCESSING_FAILURE,
    }
}

fn refusal(response: Command, why: &NotPerformed) -> Command {
    match why {
        NotPerformed::Ended => response.with(element::ERROR_ID, NO_LONGER_UPDATED),
        // What the index says is for our own log.
        NotPerformed::Failed(_) => response,
        why => response.with_text(element::COMMENT, &why.to_string()),
    }
}
