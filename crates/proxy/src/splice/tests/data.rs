//! What is data to `data_idle`.

use lubdub_metrics::Cause;

use super::*;

const IDLE: Duration = Duration::from_secs(9);

/// Sends each piece at its second, and then waits for what was promised: the pair ends, for lack of
/// data, at that second and not before.
async fn ends_at(second: u32, pieces: &[(u32, &[u8])]) {
    let mut pair = Pair::open(Terms {
        data_idle: Some(IDLE),
        ..pinged(Side::Client, 3600 * SECOND, SECOND, Evidence::Any)
    })
    .await;
    let opened = clock();
    for &(at, piece) in pieces {
        pair.until(opened + at * SECOND).await;
        pair.say(Side::Client, piece);
    }
    let end = opened + second * SECOND;
    pair.until(end - Duration::from_millis(1)).await;
    assert!(pair.splice.is_open(), "{pieces:?}: early");
    pair.until(end).await;
    assert_eq!(
        pair.splice.fate.cause(),
        Some(Cause::DataIdle),
        "{pieces:?}"
    );
}

/// A PING whose second half came in another segment looked like a long frame of data, and so did a
/// Close.
#[tokio::test(start_paused = true)]
async fn a_control_frame_in_two_segments_is_no_data() {
    for opcode in [0x88, 0x89, 0x8A] {
        let frame = masked_control(opcode, b"\x03\xE8a payload");
        let (head, tail) = frame.split_at(8);
        ends_at(9, &[(6, head)]).await;
        if opcode != 0x88 {
            ends_at(9, &[(6, head), (7, tail)]).await;
        }
    }
}

/// The piece with which a long frame ended did not count: no frame had begun in it, and none was
/// going on behind it.
#[tokio::test(start_paused = true)]
async fn a_long_frame_is_data_up_to_its_last_piece() {
    let frame = masked(0x82, &[0; 300]);
    let pieces = [
        (3, &frame[..100]),
        (6, &frame[100..200]),
        (8, &frame[200..]),
    ];
    for n in 1..=3 {
        let (last, _) = pieces[n - 1];
        ends_at(last + 9, &pieces[..n]).await;
    }
}
