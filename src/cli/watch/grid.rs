//! Text in columns that are as wide as what is in them.

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Style {
    Plain,
    Heading,
    /// Something is wrong.
    Bad,
    /// Something is not clear.
    Doubt,
    Faint,
}

pub type Line = (Style, String);

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// A column that has no head, and nothing in it, is left out.
pub struct Grid {
    columns: Vec<(String, Align)>,
    rows: Vec<(Style, Vec<String>)>,
}

impl Grid {
    pub fn new(columns: &[(&str, Align)]) -> Self {
        let columns = columns.iter().map(|(head, align)| ((*head).to_owned(), *align));
        Self { columns: columns.collect(), rows: Vec::new() }
    }

    pub fn row(&mut self, style: Style, cells: Vec<String>) {
        self.rows.push((style, cells));
    }

    /// The head, then the rows.
    pub fn write(self, lines: &mut Vec<Line>) {
        let widths: Vec<usize> = (0..self.columns.len()).map(|nth| self.width(nth)).collect();
        let heads = self.columns.iter().map(|(head, _)| head.clone()).collect();
        for (style, cells) in std::iter::once((Style::Heading, heads)).chain(self.rows) {
            let cells = cells.iter().zip(self.columns.iter().zip(&widths));
            let line: Vec<String> = cells
                .filter(|(_, (_, width))| **width > 0)
                .map(|(cell, ((_, align), width))| match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                })
                .collect();
            lines.push((style, line.join("  ").trim_end().to_owned()));
        }
    }

    fn width(&self, nth: usize) -> usize {
        let cells = self.rows.iter().filter_map(|(_, cells)| cells.get(nth));
        let head = self.columns.get(nth).map(|(head, _)| head);
        cells.chain(head).map(|cell| cell.chars().count()).max().unwrap_or(0)
    }
}
