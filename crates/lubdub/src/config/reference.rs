//! The reference page of the configuration, in Markdown.

use super::keys::{Key, Preset, Reach, SECTIONS, Section};
use super::render::example_path;

const HEAD: &str = "\
# Configuration

*This page is made from the declaration of the keys (`crates/lubdub/src/config/keys/`); edit that.*

lubdub is configured in four layers, the weakest first:

1. the defaults on this page (`lubdub config defaults` prints them),
2. a TOML file, named by `--config` or by the variable `LUBDUB_CONFIG`; only this very file, which
   must exist,
3. variables: `LUBDUB__` and the key in upper case, with `__` between the levels,
   as in `LUBDUB__KEEPALIVE__CLIENT__INTERVAL=5s`,
4. flags: `--set KEY=VALUE` for any key; `--log-level` and `--log-format`; `--listen ADDR`, which
   replaces all listeners of the layers below by one called `main`; `--upstream URL`, which
   replaces all upstreams and routes by one upstream and one route called `main`. `lubdub check` and
   the log say what these two have replaced.

A variable that begins with `LUBDUB__` and names no key is a mistake. One that only looks like it, such
as `LUBDUB_LOG_LEVEL`, is [warned of](../topics/checks.md#variable-unread).

Layers are merged key by key; a list is replaced as a whole. `lubdub check` names every mistake
with its key, its value and where it was set. `lubdub config effective` prints every key that is in
effect and where it was set.

`lubdub config schema` prints what a file may say as [JSON Schema](lubdub.schema.json) (draft 7). Editors complete and
check a file by it whose first line is `#:schema ./lubdub.schema.json`, with the schema beside the file, by taplo (Even
Better TOML in Visual Studio Code) or Tombi; `taplo lint lubdub.toml` checks it without one. The schema refuses unknown
keys and most wrong values. It knows no variables and no flags, so it requires nothing; what depends on two keys, on other
files or on the machine only `lubdub check` knows.

## Values

| what | how it is written |
| --- | --- |
| duration | whole numbers with units, the longest first: `\"500ms\"`, `\"30s\"`, `\"1m30s\"`, `\"2h\"`, `\"7d\"`. A unit is required. At most `\"365d\"`. |
| size | bytes as a number, or whole `\"KiB\"`, `\"MiB\"`, `\"GiB\"`: `65536`, `\"64KiB\"`. |
| close code | a code that a Close may carry: 1000 to 1003, 1007 to 1014, 3000 to 4999. |
| list | `[\"a\", \"b\"]`; in a variable also `a,b`. |
| file | a path. A relative one in a file begins where that file is; in a variable or a flag it begins in the working directory. |
| name | at most 63 letters, digits, `-` and `_`, without `-` or `_` at an end or two of them in a row. Case does not count where names are compared, and `-` is as good as `_`: the variable of `route.Chat-v2` begins with `LUBDUB__ROUTE__CHAT_V2__`. Two names that are the same in this way are refused; metrics and messages show a name as the file writes it, or else the first variable. A route cannot be called `none`, which stands in metrics for requests that reach no route; nor can the only upstream where no route is set, since its route has its name. |

In a variable and in `--set` text needs no quotes, and numbers are numbers where the key takes one.

## Reloads

SIGHUP, `lubdub reload` and `POST /api/v1/reload` read the configuration again, from the same file, with the
variables and flags of the start. It is put in effect whole or not at all. No live pair ends. The column
*reload* says from when on a new value holds:

| reload | from when on |
| --- | --- |
| at once | for everybody, live pairs included where it concerns them |
| from the next ping | live pairs too |
| for new connections | connections of clients that come from then on |
| for new pairs | pairs and plain requests that begin from then on; a live pair keeps what it has |
| needs an upgrade | a reload that changes it is refused |
";

/// The whole page.
pub(crate) fn reference() -> String {
    let mut out = String::from(HEAD);
    for section in SECTIONS {
        out.push_str(&section_text(section));
    }
    out
}

fn section_text(section: &Section) -> String {
    let mut out = format!("\n## {}\n\n{}\n\n", section.path, section.about);
    out.push_str("| key | takes | default | per route | reload | what it is |\n");
    out.push_str("| --- | --- | --- | --- | --- | --- |\n");
    for key in section.keys {
        out.push_str(&row(section, key));
    }
    let more: Vec<_> = section
        .keys
        .iter()
        .filter(|key| !key.more.is_empty())
        .collect();
    if !more.is_empty() {
        out.push('\n');
        for key in more {
            out.push_str(&format!("- `{}`: {}\n", key.name, key.more));
        }
    }
    let first = &section.keys[0];
    let variable = example_path(section.path).to_uppercase().replace('.', "__");
    let name = first.name.to_uppercase();
    let value = first.preset.literal().scalar().to_string().replace('"', "");
    out.push_str(&format!(
        "\nAs a variable: `LUBDUB__{variable}__{name}={value}`.\n"
    ));
    out
}

fn row(section: &Section, key: &Key) -> String {
    let default = match key.preset {
        Preset::Default(literal) => format!("`{}`", literal.scalar()),
        Preset::Optional(_) => "not set".to_owned(),
        Preset::Required(_) => "must be set".to_owned(),
    };
    let per_route = match key.reach {
        Reach::PerRoute => "yes",
        Reach::Global => "",
    };
    // In Markdown the bars of a choice would end its cell.
    let help = key.help.replace(" | ", "; ");
    format!(
        "| `{}` | {} | {default} | {per_route} | {} | {help} |\n",
        key.name,
        key.kind.describe(),
        section.applies_to(key).as_str()
    )
}

#[cfg(test)]
mod tests {
    use super::super::keys::NAME;
    use super::*;

    #[test]
    fn no_placeholder_is_left_in_examples() {
        for section in SECTIONS {
            assert!(
                !example_path(section.path).contains(NAME),
                "{}",
                section.path
            );
        }
    }
}
