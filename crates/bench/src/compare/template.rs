//! Configuration files of peers as templates: `{{name}}` is replaced by a value, and what stands
//! between `{{#name}}` and `{{/name}}` is there only if `name` has one.

use std::collections::BTreeMap;

/// The values of a template.
pub(super) type Values = BTreeMap<&'static str, String>;

/// Fills a template in.
pub(super) fn fill(template: &str, values: &Values) -> anyhow::Result<String> {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("{{") {
        text.push_str(before);
        let Some((name, behind)) = behind.split_once("}}") else {
            anyhow::bail!("a name is not closed");
        };
        rest = behind;
        if let Some(section) = name.strip_prefix('#') {
            if !values.contains_key(section) {
                let end = format!("{{{{/{section}}}}}");
                let Some((_, behind)) = rest.split_once(&end) else {
                    anyhow::bail!("the section {section} has no end");
                };
                rest = behind;
            }
        } else if !name.starts_with('/') {
            let Some(value) = values.get(name) else {
                anyhow::bail!("{name} has no value");
            };
            text.push_str(value);
        }
    }
    text.push_str(rest);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&'static str, &str)]) -> Values {
        (pairs.iter())
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect()
    }

    #[test]
    fn values_and_sections_are_filled_in() {
        let template = "a {{x}}{{#on}} [{{y}}]{{/on}} {{#off}}{{nothing}}{{/off}}z";
        let values = values(&[("x", "1"), ("y", "2"), ("on", "")]);
        assert_eq!(fill(template, &values).unwrap(), "a 1 [2] z");
    }

    #[test]
    fn what_has_no_value_or_no_end_is_refused() {
        for template in ["{{x}}", "{{x", "{{#x}}..."] {
            assert!(fill(template, &Values::new()).is_err(), "{template}");
        }
    }
}
