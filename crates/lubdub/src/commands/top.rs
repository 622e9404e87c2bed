//! `lubdub top`: a page on the terminal that shows a running lubdub as it changes.

mod columns;
mod draw;
mod view;

use std::io::{IsTerminal as _, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use self::view::{Sight, View};
use super::ask::{self, Admin, Asking};
use crate::api::Sort;
use crate::config::Sources;

/// Which lubdub is watched.
#[derive(Debug, Clone, Args)]
pub(crate) struct Top {
    /// The lubdub that is asked.
    #[command(flatten)]
    asking: Asking,
}

/// How often lubdub is asked.
const LOOK: Duration = Duration::from_secs(1);
/// How soon a key is answered.
const BLINK: Duration = Duration::from_millis(50);

/// What somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    End,
    Sort,
    Draw,
}

/// What is heard of lubdub: how it is, or why that is not known.
type Heard = anyhow::Result<Sight>;

/// Shows it until somebody has seen enough.
pub(crate) fn top(top: &Top, sources: &Sources) -> anyhow::Result<()> {
    ensure!(
        stdout().is_terminal(),
        "top needs a terminal; `lubdub status` and `lubdub pairs` print what there is once"
    );
    let admin = Admin::find(&top.asking, sources)?;
    // A wrong token, or no lubdub at all, is told before the screen is taken.
    let first = ask::block_on(async { Sight::take(&admin, view::FIRST, None).await })?;
    let view = View::new(first, admin.address());
    let (wishes, wished) = mpsc::channel();
    let (told, heard) = mpsc::channel();
    thread::Builder::new()
        .name("lubdub-look".to_owned())
        .spawn(move || look(&admin, &wished, &told))?;
    let is_told_to_end = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_told_to_end);
    thread::Builder::new()
        .name("lubdub-signals".to_owned())
        .spawn(move || ask::block_on(told_to_end(&told)))?;
    let mut terminal = ratatui::try_init().context("the terminal cannot be used")?;
    let shown = show(&mut terminal, view, &wishes, &heard, &is_told_to_end);
    ratatui::restore();
    shown
}

/// Waits for a signal to end: the terminal is to be as it was before.
async fn told_to_end(is_told: &AtomicBool) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
        _ = interrupt.recv() => {}
    }
    is_told.store(true, Relaxed);
    Ok(())
}

/// Asks again and again, on a thread of its own: a slow answer must not keep a key waiting.
fn look(admin: &Admin, wished: &Receiver<Sort>, told: &Sender<Heard>) {
    let mut sort = view::FIRST;
    let mut hour = None;
    loop {
        match wished.recv_timeout(LOOK) {
            Ok(wish) => sort = wish,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
        let heard = ask::block_on(async { Sight::take(admin, sort, hour.as_ref()).await });
        if let Ok(sight) = &heard {
            hour = Some(sight.hour.clone());
        }
        if told.send(heard).is_err() {
            return;
        }
    }
}

fn show(
    terminal: &mut DefaultTerminal,
    mut view: View,
    wishes: &Sender<Sort>,
    heard: &Receiver<Heard>,
    is_told_to_end: &AtomicBool,
) -> anyhow::Result<()> {
    let mut is_new = true;
    let mut drawn = Instant::now();
    while !is_told_to_end.load(Relaxed) {
        while let Ok(heard) = heard.try_recv() {
            view.hear(heard);
            is_new = true;
        }
        // How old the picture is has to go on when there is no answer.
        if is_new || drawn.elapsed() >= LOOK {
            terminal.draw(|frame| draw::draw(frame, &view))?;
            (is_new, drawn) = (false, Instant::now());
        }
        if !event::poll(BLINK)? {
            continue;
        }
        match wish(&event::read()?) {
            Some(Wish::End) => return Ok(()),
            Some(Wish::Sort) => {
                view.sort = view::next(view.sort);
                // Who looks has gone only if this program is about to.
                let _ = wishes.send(view.sort);
                is_new = true;
            }
            Some(Wish::Draw) => is_new = true,
            None => {}
        }
    }
    Ok(())
}

/// What somebody wants who presses a key or pulls at the window.
fn wish(event: &Event) -> Option<Wish> {
    if matches!(event, Event::Resize(..)) {
        return Some(Wish::Draw);
    }
    let key = event.as_key_press_event()?;
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    let code = key.code;
    let is_end = code == KeyCode::Char('q')
        || code == KeyCode::Esc
        || (is_control && code == KeyCode::Char('c'));
    match is_end {
        true => Some(Wish::End),
        false => (code == KeyCode::Char('s')).then_some(Wish::Sort),
    }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyEvent;

    use super::*;

    #[test]
    fn keys_are_understood() {
        let press = |code, modifiers| wish(&Event::Key(KeyEvent::new(code, modifiers)));
        let none = KeyModifiers::NONE;
        assert_eq!(press(KeyCode::Char('q'), none), Some(Wish::End));
        assert_eq!(press(KeyCode::Esc, none), Some(Wish::End));
        assert_eq!(
            press(KeyCode::Char('c'), KeyModifiers::CONTROL),
            Some(Wish::End)
        );
        assert_eq!(press(KeyCode::Char('c'), none), None);
        assert_eq!(press(KeyCode::Char('s'), none), Some(Wish::Sort));
        assert_eq!(wish(&Event::Resize(80, 25)), Some(Wish::Draw));
    }
}
