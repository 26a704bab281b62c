//! The decision: who it is, and whether they may.

use super::needs::Needs;
use ::access::{Door, Error, Identity, Reach, Right, Shown, StudyFacts, Who};
use std::sync::{Arc, LazyLock};

/// What is asked, and what is shown.
#[derive(Debug, Clone)]
pub struct Asked {
    /// What the resource asks for.
    pub needs: Needs,
    /// What is to be done.
    pub right: Right,
    /// What is shown.
    pub shown: Showing,
    /// It is shown in the address of a link.
    pub is_link: bool,
    /// It is shown by a cookie.
    pub by_cookie: bool,
    /// It is asked on this machine, and by nobody else's leave.
    pub near: bool,
    /// The studies that are named.
    pub studies: Vec<String>,
}

impl Asked {
    /// Is anything shown?
    pub fn is_shown(&self) -> bool {
        !matches!(self.shown, Showing::Nothing)
    }
}

/// What is shown.
#[derive(Debug, Clone)]
pub enum Showing {
    /// Nothing.
    Nothing,
    /// Something that can't be a secret of ours.
    Wrong,
    /// This.
    This(Shown),
}

/// What becomes of it.
#[derive(Debug, Clone)]
pub enum Decision {
    /// Go on, for this one.
    Pass(Arc<Identity>),
    /// For this one, the study is not there.
    Hidden(Arc<Identity>),
    /// It is there, and this may not be done.
    Forbidden,
    /// Nobody has this link.
    NoLink,
    /// Nobody knows who it is.
    SignIn {
        /// Something was shown, and is nobody's.
        wrong: bool,
    },
}

/// Where it is looked up. `None`: not there, whatever it is.
trait Look {
    fn open(&self) -> Result<Option<bool>, Error>;
    fn who(&self, shown: &Shown) -> Result<Option<Option<Arc<Identity>>>, Error>;
    fn facts(&self, study: &str) -> Result<Option<Option<Arc<StudyFacts>>>, Error>;
}

/// In memory alone.
struct Memory<'a>(&'a Door);

impl Look for Memory<'_> {
    fn open(&self) -> Result<Option<bool>, Error> {
        Ok(self.0.recall_open())
    }

    fn who(&self, shown: &Shown) -> Result<Option<Option<Arc<Identity>>>, Error> {
        Ok(self.0.recall(shown).map(Some))
    }

    fn facts(&self, study: &str) -> Result<Option<Option<Arc<StudyFacts>>>, Error> {
        Ok(self.0.recall_facts(study).map(Some))
    }
}

/// In the index too: it may block.
struct Index<'a>(&'a Door);

impl Look for Index<'_> {
    fn open(&self) -> Result<Option<bool>, Error> {
        self.0.is_open().map(Some)
    }

    fn who(&self, shown: &Shown) -> Result<Option<Option<Arc<Identity>>>, Error> {
        self.0.identify(shown).map(Some)
    }

    fn facts(&self, study: &str) -> Result<Option<Option<Arc<StudyFacts>>>, Error> {
        self.0.facts(study).map(Some)
    }
}

/// Decides from memory; `None`: it has to be looked up.
pub fn quickly(door: &Door, asked: &Asked) -> Option<Decision> {
    settle(&Memory(door), asked).ok().flatten()
}

/// Decides. Whatever could not be looked up is no decision.
pub fn decide(door: &Door, asked: &Asked) -> Result<Decision, Error> {
    Ok(settle(&Index(door), asked)?.unwrap_or(Decision::SignIn { wrong: false }))
}

fn settle(look: &impl Look, asked: &Asked) -> Result<Option<Decision>, Error> {
    let Some(identity) = identity(look, asked)? else { return Ok(None) };
    let Some(identity) = identity else {
        if asked.needs == Needs::Operator && asked.near {
            return Ok(Some(Decision::Pass(anyone())));
        }
        let wrong = asked.is_shown();
        return Ok(Some(if asked.is_link { Decision::NoLink } else { Decision::SignIn { wrong } }));
    };
    let allowed = match asked.needs {
        Needs::Nothing | Needs::Page | Needs::Somebody | Needs::Search => true,
        Needs::Store => identity.has(Right::Write),
        Needs::Operator => asked.near || identity.has(Right::Administer),
        Needs::Keeper if *identity.who() == Who::Anyone => asked.near || asked.right == Right::Read,
        Needs::Keeper | Needs::Administrator => identity.has(Right::Administer),
        Needs::Studies | Needs::Named => return of_studies(look, asked, identity),
    };
    Ok(Some(if allowed { Decision::Pass(identity) } else { Decision::Forbidden }))
}

/// Who asks; of an open door, anyone.
fn identity(look: &impl Look, asked: &Asked) -> Result<Option<Option<Arc<Identity>>>, Error> {
    if !asked.is_link {
        match look.open()? {
            None => return Ok(None),
            Some(true) => return Ok(Some(Some(anyone()))),
            Some(false) => {}
        }
    }
    match &asked.shown {
        Showing::This(shown) => look.who(shown),
        Showing::Nothing | Showing::Wrong => Ok(Some(None)),
    }
}

fn of_studies(look: &impl Look, asked: &Asked, identity: Arc<Identity>) -> Result<Option<Decision>, Error> {
    let (mut seen, mut allowed) = (true, true);
    let all = |right| identity.reach(right) == Reach::All;
    if !(all(asked.right) && all(Right::Read)) {
        for study in &asked.studies {
            let Some(facts) = look.facts(study)? else { return Ok(None) };
            let may = |right| facts.as_ref().is_some_and(|facts| identity.may(right, facts));
            seen &= all(Right::Read) || may(Right::Read);
            allowed &= all(asked.right) || may(asked.right);
        }
    }
    Ok(Some(match (seen, allowed) {
        (_, true) => Decision::Pass(identity),
        (true, false) => Decision::Forbidden,
        (false, false) => Decision::Hidden(identity),
    }))
}

fn anyone() -> Arc<Identity> {
    static ANYONE: LazyLock<Arc<Identity>> = LazyLock::new(|| Arc::new(Identity::anyone()));
    ANYONE.clone()
}
