//! The screen on a terminal.

use ratatui::Frame;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Text, Span};

use super::Watch;
use super::screen::Row;
use crate::report::style::Paint;

/// Draws it, in colour or without.
pub fn draw(watch: &mut Watch, frame: &mut Frame<'_>, colour: bool) {
    let area = frame.area();
    let rows = watch.screen(area.width.into(), area.height.into());
    for (row, y) in rows.into_iter().zip(area.top()..area.bottom()) {
        let lit = row.lit;
        let line = text(row, area.width.into(), colour);
        frame.buffer_mut().set_line(area.left(), y, &line, area.width);
        if lit {
            let whole = ratatui::layout::Rect { y, height: 1, ..area };
            frame.buffer_mut().set_style(whole, Style::new().add_modifier(Modifier::REVERSED));
        }
    }
}

fn text(row: Row, width: usize, colour: bool) -> Text<'static> {
    let line = row.line.shorter(width);
    let span = |(paint, text): &(Paint, String)| Span::styled(text.clone(), style(*paint, colour));
    Text::from(line.pieces().iter().map(span).collect::<Vec<_>>())
}

/// Without colour, what must not be overlooked is bold.
fn style(paint: Paint, colour: bool) -> Style {
    let plain = Style::new();
    match (paint, colour) {
        (Paint::Plain, _) | (Paint::Good, false) => plain,
        (Paint::Faint, _) => plain.add_modifier(Modifier::DIM),
        (Paint::Strong, _) | (Paint::Bad | Paint::Doubt, false) => plain.add_modifier(Modifier::BOLD),
        (Paint::Good, true) => plain.fg(Color::Green),
        (Paint::Bad, true) => plain.fg(Color::Red),
        (Paint::Doubt, true) => plain.fg(Color::Yellow),
    }
}
