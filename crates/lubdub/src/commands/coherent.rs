//! Arguments that each are right and yet do not go together: what clap cannot declare, refused as
//! it refuses the rest, before anything is done.

use std::ops::Deref;

use clap::error::ErrorKind;
use clap::{ArgMatches, Args, Command, Error, FromArgMatches, Id};

/// Arguments that go together.
#[derive(Debug, Clone)]
pub(crate) struct Coherent<T>(T);

/// Arguments that may not go together.
pub(crate) trait Cohere: Args {
    /// Why they do not; `None` if they do.
    fn objection(&self) -> Option<String>;
}

// === impl Coherent ===

impl<T: Cohere> Coherent<T> {
    fn try_new(arguments: T) -> Result<Self, Error> {
        match arguments.objection() {
            Some(objection) => Err(Error::raw(ErrorKind::ArgumentConflict, objection)),
            None => Ok(Self(arguments)),
        }
    }
}

impl<T> Deref for Coherent<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Cohere> FromArgMatches for Coherent<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        Self::try_new(T::from_arg_matches(matches)?)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        Self::try_new(T::from_arg_matches_mut(matches)?)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl<T: Cohere> Args for Coherent<T> {
    fn group_id() -> Option<Id> {
        T::group_id()
    }

    fn augment_args(command: Command) -> Command {
        T::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        T::augment_args_for_update(command)
    }
}
