//! A table that is drawn over itself on a terminal; and once, at the end, where there is none.

use std::io::{self, IsTerminal, Stdout, Write};

use super::grid::{Line, Style};

/// Of a terminal that does not say how large it is.
const WIDTH: usize = 120;
const HEIGHT: usize = 40;

pub struct Screen {
    out: Stdout,
    is_terminal: bool,
    colours: bool,
    /// Lines on the terminal that are ours.
    drawn: usize,
}

impl Screen {
    pub fn of_stdout() -> Self {
        let out = io::stdout();
        let is_terminal = out.is_terminal();
        let colours = is_terminal && std::env::var_os("NO_COLOR").is_none_or(|text| text.is_empty());
        Self { out, is_terminal, colours, drawn: 0 }
    }

    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Columns and lines.
    pub fn size(&self) -> (usize, usize) {
        let size = terminal_size::terminal_size().filter(|_| self.is_terminal);
        size.map_or((WIDTH, HEIGHT), |(width, height)| (width.0.into(), height.0.into()))
    }

    /// In the place of what was drawn before; no more than fits, so that it is the place.
    pub fn draw(&mut self, lines: &[Line]) -> io::Result<()> {
        let (width, height) = self.size();
        let lines = &lines[..lines.len().min(height.saturating_sub(1))];
        let mut text = String::new();
        if self.drawn > 0 {
            // Up to our first line, and away with everything from there on.
            text.push_str(&format!("\x1b[{}A\r\x1b[J", self.drawn));
        }
        for (style, line) in lines {
            let line: String = line.chars().take(width.saturating_sub(1)).collect();
            self.put(*style, &line, &mut text);
        }
        self.drawn = lines.len();
        self.write(&text)
    }

    /// All of it, to stay.
    pub fn end(&mut self, lines: &[Line]) -> io::Result<()> {
        if self.is_terminal {
            return self.draw(lines);
        }
        let mut text = String::new();
        lines.iter().for_each(|(style, line)| self.put(*style, line, &mut text));
        self.write(&text)
    }

    pub fn line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")
    }

    fn put(&self, style: Style, line: &str, text: &mut String) {
        let code = match style {
            Style::Plain => "",
            Style::Heading => "1",
            Style::Bad => "1;31",
            Style::Doubt => "33",
            Style::Faint => "2",
        };
        if self.colours && !code.is_empty() {
            text.push_str(&format!("\x1b[{code}m{line}\x1b[0m\n"));
        } else {
            text.push_str(line);
            text.push('\n');
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}
