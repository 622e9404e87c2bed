//! Who may connect to a Unix socket.

use std::fs;

use lubdub_proxy::Address;
use lubdub_proxy::unix::Permissions;

use super::super::error::{Mistakes, Wrong};
use super::super::leaf::{Leaf, Scalar};
use super::super::read;
use super::optional;

/// The groups of this machine. Those that only a directory service knows have numbers.
const GROUPS: &str = "/etc/group";

/// What `mode` and `group` say of the socket at `address`, which is set by `key`; `None` if there is none there.
pub(super) fn permissions(
    mode: &Option<Leaf>,
    group: &Option<Leaf>,
    key: &str,
    address: Option<&Address>,
    mistakes: &mut Mistakes,
) -> Option<Permissions> {
    if !matches!(address, Some(Address::Unix(_))) {
        for leaf in [mode, group].into_iter().flatten() {
            mistakes.wrong(leaf, format!("is for unix sockets only, and {key} is none"));
        }
    }
    let mode = optional(mode, read::mode, mistakes);
    let group = optional(group, group_id, mistakes);
    Some(Permissions {
        mode: mode?.unwrap_or_else(|| Permissions::default().mode),
        group: group?,
    })
}

/// A group's number, or its name.
fn group_id(value: &Scalar) -> Result<u32, Wrong> {
    let number = match value {
        Scalar::Integer(number) => u32::try_from(*number).ok(),
        Scalar::Text(name) => return named(name),
        Scalar::Bool(_) | Scalar::Float(_) | Scalar::List(_) => None,
    };
    // The highest one says "leave it" to the kernel.
    number
        .filter(|number| *number != u32::MAX)
        .ok_or_else(|| Wrong::new("must be the name of a group, or its number"))
}

fn named(name: &str) -> Result<u32, Wrong> {
    let groups = fs::read_to_string(GROUPS)
        .map_err(|error| Wrong(format!("cannot be looked up in {GROUPS}: {error}")))?;
    find(&groups, name).ok_or_else(|| {
        Wrong(format!(
            "is no group of this machine ({GROUPS}); one of a directory service can be said by its number"
        ))
    })
}

/// The number of the group `name` in the text of group(5).
fn find(groups: &str, name: &str) -> Option<u32> {
    let mut groups = groups.lines().map(|line| line.split(':'));
    groups.find_map(|mut fields| {
        let is_it = !name.is_empty() && fields.next() == Some(name);
        let number = fields.nth(1).filter(|_| is_it)?;
        number.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_a_name_or_a_number() {
        const GROUPS: &str = "root:x:0:\nwww-data:x:33:nginx,app\n# nobody\nbroken\n:x:7:\n";
        assert_eq!(find(GROUPS, "www-data"), Some(33));
        for nobody in ["www", "nginx", "broken", "x", ""] {
            assert_eq!(find(GROUPS, nobody), None, "{nobody}");
        }
        assert_eq!(group_id(&Scalar::Integer(33)).ok(), Some(33));
        for wrong in [
            Scalar::Integer(-1),
            Scalar::Integer(u32::MAX.into()),
            Scalar::Bool(true),
        ] {
            assert!(group_id(&wrong).is_err(), "{wrong}");
        }
        assert_eq!(group_id(&Scalar::Text("root".to_owned())).ok(), Some(0));
    }
}
