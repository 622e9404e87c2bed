//! What is accepted, but hardly meant.

use std::time::Duration;

use lubdub_keepalive::Side;
use lubdub_proxy::settings::Settings;

/// Pings that are more frequent than this cost more than they tell, outside of tests.
const SHORT: Duration = Duration::from_secs(1);
/// Many middleboxes forget connections that are idle for so long.
const LONG: Duration = Duration::from_secs(60);

/// What an operator should know about `settings`, a sentence each.
pub(crate) fn advice(settings: &Settings) -> Vec<String> {
    let mut advice = Vec::new();
    for route in &settings.routes {
        for side in Side::BOTH {
            let Some(interval) = route.terms.keepalive[side].interval() else {
                continue;
            };
            let about = format!("keepalive.{side}.interval of route {} is", route.name);
            if interval < SHORT {
                advice.push(format!(
                    "{about} under 1s: many pings, and the slow may seem dead"
                ));
            } else if interval >= LONG {
                advice.push(format!(
                    "{about} 1m or more: many middleboxes forget idle connections sooner"
                ));
            }
        }
    }
    advice
}
