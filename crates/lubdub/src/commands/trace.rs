//! How a pair's latest pings were answered, as a person reads it: a line that shows all of them at a glance for each
//! side, and the numbers of the last ones.

use super::human;
use super::table::{Align, Cell, Table};
use crate::api::{Beat, BeatState, PairTrace, Side};

/// Round trips as heights, the longest of a side being the last.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// A ping without a round trip.
const MISSED: char = '!';
const WAITING: char = '?';
const TIMELESS: char = '.';
/// So many have their numbers in a line.
const LAST: usize = 8;

/// All that is known of a pair.
pub(super) fn told(pair: &PairTrace, coloured: bool) -> String {
    let PairTrace { pair, trace } = pair;
    let mut out = format!(
        "pair {}: open for {}, listener {}, route {}\n",
        pair.id,
        human::duration(pair.age_seconds),
        pair.listener,
        pair.route,
    );
    let (request, id) = (&pair.request, &pair.request_id);
    out.push_str(&human::request(request.as_deref(), id.as_deref()));
    let upstream = format!("{} {}", pair.upstream.name, pair.upstream.address);
    let mut table = Table::new(&[
        ("SIDE", Align::Left),
        ("ADDRESS", Align::Left),
        ("SILENT", Align::Right),
        ("RTT", Align::Right),
        ("PONGS", Align::Right),
        ("BYTES", Align::Right),
        ("FRAMES", Align::Right),
    ]);
    table.push(row(
        "client",
        pair.client.address.clone(),
        &pair.client.side,
    ));
    table.push(row("upstream", upstream, &pair.upstream.side));
    out.push_str(&format!("\n{}\n", table.written(coloured)));
    out.push_str(&beats("client", &trace.client));
    out.push_str(&beats("upstream", &trace.upstream));
    out.push_str(&format!(
        "The latest pings, the last one at the right: {MISSED} missed, {WAITING} waiting, {TIMELESS} answered at a \
         time that is not known.\n"
    ));
    out
}

fn row(name: &str, address: String, side: &Side) -> Vec<Cell> {
    vec![
        Cell::plain(name),
        Cell::plain(address),
        super::pairs::silence(side),
        Cell::plain(human::round_trip(side.last_rtt_seconds)),
        super::pairs::pongs(side),
        Cell::plain(human::bytes(side.bytes)),
        Cell::plain(human::count(side.frames)),
    ]
}

/// The pings to a side.
fn beats(side: &str, beats: &[Beat]) -> String {
    if beats.is_empty() {
        return format!("{side:<8}  no pings yet\n\n");
    }
    let count = |wanted| beats.iter().filter(|beat| beat.state == wanted).count();
    let mut figures = vec![format!(
        "{} of {} answered",
        count(BeatState::Answered) + count(BeatState::Covered),
        beats.len()
    )];
    match count(BeatState::Missed) {
        0 => {}
        missed => figures.push(format!("{missed} missed")),
    }
    let round_trips = beats.iter().filter_map(|beat| beat.rtt_seconds);
    let shortest = round_trips.clone().reduce(f64::min);
    let longest = round_trips.reduce(f64::max);
    if longest.is_some() {
        let [shortest, longest] = [shortest, longest].map(human::round_trip);
        figures.push(format!("round trips {shortest} to {longest}"));
    }
    let all: String = beats.iter().map(|beat| glyph(beat, longest)).collect();
    let last = &beats[beats.len().saturating_sub(LAST)..];
    let last: Vec<_> = last.iter().map(in_words).collect();
    format!(
        "{side:<8}  {all}\n          {}\n          last: {}\n\n",
        figures.join(", "),
        last.join(", ")
    )
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of eight heights, rounded up"
)]
fn glyph(beat: &Beat, longest: Option<f64>) -> char {
    match (beat.state, beat.rtt_seconds, longest) {
        (BeatState::Missed, ..) => MISSED,
        (BeatState::Waiting, ..) => WAITING,
        (BeatState::Answered | BeatState::Covered, Some(rtt), Some(longest)) => {
            let height = (rtt / longest * 8.0).ceil() as usize;
            HEIGHTS[height.clamp(1, HEIGHTS.len()) - 1]
        }
        (BeatState::Answered | BeatState::Covered, ..) => TIMELESS,
    }
}

fn in_words(beat: &Beat) -> String {
    match (beat.state, beat.rtt_seconds) {
        (BeatState::Missed, _) => "missed".to_owned(),
        (BeatState::Waiting, _) => "waiting".to_owned(),
        (BeatState::Answered, Some(rtt)) => human::round_trip(Some(rtt)),
        (BeatState::Answered, None) => "answered".to_owned(),
        (BeatState::Covered, _) => "covered".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(seconds: f64) -> Beat {
        Beat {
            state: BeatState::Answered,
            rtt_seconds: Some(seconds),
        }
    }

    fn other(state: BeatState) -> Beat {
        Beat {
            state,
            rtt_seconds: None,
        }
    }

    #[test]
    fn a_side_is_a_line_of_heights_and_its_numbers() {
        let all = [
            answered(0.001),
            answered(0.008),
            answered(0.004),
            other(BeatState::Covered),
            other(BeatState::Missed),
            other(BeatState::Waiting),
        ];
        assert_eq!(
            beats("client", &all),
            "client    ▁█▄.!?\n\
             \x20         4 of 6 answered, 1 missed, round trips 1.0ms to 8.0ms\n\
             \x20         last: 1.0ms, 8.0ms, 4.0ms, covered, missed, waiting\n\n"
        );
    }

    #[test]
    fn a_line_holds_the_last_of_many() {
        let mut many = vec![answered(0.002); 60];
        many.push(answered(0.0));
        let told = beats("upstream", &many);
        assert!(told.contains(&format!("{}▁\n", "█".repeat(60))), "{told}");
        let last = ["2.0ms"; LAST - 1].join(", ");
        assert!(told.contains(&format!("last: {last}, 0.0ms\n")), "{told}");
    }

    #[test]
    fn a_side_that_is_not_pinged_is_told() {
        assert_eq!(beats("client", &[]), "client    no pings yet\n\n");
        let silent = beats("client", &[other(BeatState::Missed)]);
        assert!(silent.contains("0 of 1 answered, 1 missed\n"), "{silent}");
    }
}
