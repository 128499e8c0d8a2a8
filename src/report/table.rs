//! Tables as aligned text, Markdown, LaTeX and tab-separated values.

use std::fmt::Write;

use comfy_table::{CellAlignment, ContentArrangement, presets};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableFormat {
    Text,
    Markdown,
    Latex,
    Tsv,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Rows of text under a header.
#[derive(Clone, Debug, Default)]
pub struct Table {
    title: Option<String>,
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(columns: impl IntoIterator<Item = (impl Into<String>, Align)>) -> Self {
        Self {
            columns: columns.into_iter().map(|(name, align)| (name.into(), align)).collect(),
            ..Self::default()
        }
    }
    pub fn titled(mut self, title: impl Into<String>) -> Self {
        self.title = Some(title.into());
        self
    }
    /// One cell per column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table in one of its forms, ending with a line feed.
    pub fn render(&self, format: TableFormat) -> String {
        match format {
            TableFormat::Text => self.text(),
            TableFormat::Markdown => self.markdown(),
            TableFormat::Latex => self.latex(),
            TableFormat::Tsv => self.tsv(),
        }
    }

    fn text(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        let names = self.columns.iter().map(|(name, _)| visible(name));
        table.set_header(names.collect::<Vec<_>>());
        for row in &self.rows {
            table.add_row(row.iter().map(|c| visible(c)).collect::<Vec<_>>());
        }
        for (i, (_, align)) in self.columns.iter().enumerate() {
            if let Some(column) = table.column_mut(i) {
                column.set_padding((if i == 0 { 0 } else { 1 }, 1));
                column.set_cell_alignment(match align {
                    Align::Left => CellAlignment::Left,
                    Align::Right => CellAlignment::Right,
                });
            }
        }
        let mut out = self.title.as_ref().map_or(String::new(), |t| format!("{}\n", visible(t)));
        for line in table.lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    fn markdown(&self) -> String {
        let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
        let cell = |text: &str| visible(text).replace('|', "\\|");
        let mut out = self.title.as_ref().map_or(String::new(), |t| format!("**{}**\n\n", cell(t)));
        out += &line(self.columns.iter().map(|(name, _)| cell(name)).collect());
        let marks = self.columns.iter().map(|(_, align)| match align {
            Align::Left => "---".to_string(),
            Align::Right => "--:".to_string(),
        });
        out += &line(marks.collect());
        for row in &self.rows {
            out += &line(row.iter().map(|c| cell(c)).collect());
        }
        out
    }

    /// For the package `booktabs`, as sacrebleu's.
    fn latex(&self) -> String {
        let line = |cells: Vec<String>| format!("{} \\\\\n", cells.join(" & "));
        let marks: String = self
            .columns
            .iter()
            .map(|(_, align)| if *align == Align::Left { 'l' } else { 'r' })
            .collect();
        let mut out = self.title.as_ref().map_or(String::new(), |t| format!("% {}\n", visible(t)));
        // Writing to a string does not fail.
        let _ = writeln!(out, "\\begin{{tabular}}{{{marks}}}\n\\toprule");
        out += &line(self.columns.iter().map(|(name, _)| latex_cell(name)).collect());
        out += "\\midrule\n";
        for row in &self.rows {
            out += &line(row.iter().map(|c| latex_cell(c)).collect());
        }
        out += "\\bottomrule\n\\end{tabular}\n";
        out
    }

    fn tsv(&self) -> String {
        let mut out = String::new();
        let names = self.columns.iter().map(|(name, _)| visible(name)).collect::<Vec<_>>();
        out += &names.join("\t");
        out.push('\n');
        for row in &self.rows {
            out += &row.iter().map(|c| visible(c)).collect::<Vec<_>>().join("\t");
            out.push('\n');
        }
        out
    }
}

/// Control characters, among them tabs and line breaks of hostile labels, are written out.
fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn latex_cell(text: &str) -> String {
    let mut out = String::new();
    for c in visible(text).chars() {
        match c {
            '&' | '%' | '$' | '#' | '_' | '{' | '}' => out.extend(['\\', c]),
            '~' => out += "\\textasciitilde{}",
            '^' => out += "\\textasciicircum{}",
            '\\' => out += "\\textbackslash{}",
            '±' => out += "$\\pm$",
            'μ' => out += "$\\mu$",
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut t = Table::new([("direction", Align::Left), ("BLEU", Align::Right)]);
        t.row(["de-en", "34.5 ± 1.2"]);
        t.row(["漢_|\t", "5.0"]);
        t
    }

    #[test]
    fn all_forms() {
        assert_eq!(
            table().render(TableFormat::Text),
            "direction        BLEU\nde-en      34.5 ± 1.2\n漢_|\\t            5.0\n"
        );
        assert_eq!(
            table().titled("t").render(TableFormat::Markdown),
            "**t**\n\n| direction | BLEU |\n| --- | --: |\n| de-en | 34.5 ± 1.2 |\n\
             | 漢_\\|\\t | 5.0 |\n"
        );
        assert_eq!(
            table().render(TableFormat::Latex),
            "\\begin{tabular}{lr}\n\\toprule\ndirection & BLEU \\\\\n\\midrule\n\
             de-en & 34.5 $\\pm$ 1.2 \\\\\n漢\\_|\\textbackslash{}t & 5.0 \\\\\n\
             \\bottomrule\n\\end{tabular}\n"
        );
        assert_eq!(
            table().render(TableFormat::Tsv),
            "direction\tBLEU\nde-en\t34.5 ± 1.2\n漢_|\\t\t5.0\n"
        );
    }
}
