//! The parts every figure is made of: escaped text, estimated widths and the document's frame.

use std::fmt::{self, Write};

/// Attributes of each kind of ink. They hold on white; the style sheet changes them on a dark
/// page, and a renderer without style sheets still has something readable.
pub(super) const TEXT: &str = r##"class="ig-text" fill="#1f2328""##;
pub(super) const MUTED: &str = r##"class="ig-muted" fill="#57606a""##;
pub(super) const AXIS: &str = r##"class="ig-axis" fill="none" stroke="#57606a""##;
pub(super) const GRID: &str = r##"class="ig-grid" fill="none" stroke="#d8dee4""##;
/// The diagonal, which is 1 by definition and says nothing.
pub(super) const NEUTRAL: &str = r##"class="ig-neutral" fill="#e1e4e8""##;

/// The names begin with `ig-` because a page that inlines the figure shares its style sheet.
const DARK: &str = ".ig-text{fill:#e6edf3}.ig-muted{fill:#a3acb6}.ig-axis{stroke:#a3acb6}\
.ig-grid{stroke:#353b43}.ig-neutral{fill:#4a515a}";

const FONTS: &str =
    "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif";

pub(super) const PAD: f64 = 16.0;
const TITLE: f64 = 16.0;
const SUBTITLE: f64 = 12.0;

#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A figure while it is drawn.
#[derive(Default)]
pub(super) struct Canvas {
    body: String,
}

impl Canvas {
    pub fn put(&mut self, part: fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.body.write_fmt(part);
    }

    /// One line of text, `at` its anchor on the baseline; `text` is not escaped yet.
    pub fn text(&mut self, at: (f64, f64), size: f64, anchor: Anchor, ink: &str, text: &str) {
        let (x, y) = (num(at.0), num(at.1));
        let anchor = anchor_of(anchor);
        let (size, text) = (num(size), escape(text));
        self.put(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\"{anchor} {ink}>{text}</text>\n"
        ));
    }

    /// As `text`, read from bottom to top.
    pub fn upright(&mut self, at: (f64, f64), size: f64, anchor: Anchor, ink: &str, text: &str) {
        let (x, y) = (num(at.0), num(at.1));
        let anchor = anchor_of(anchor);
        let (size, text) = (num(size), escape(text));
        self.put(format_args!(
            "<text transform=\"translate({x} {y}) rotate(-90)\" font-size=\"{size}\"{anchor} \
             {ink}>{text}</text>\n"
        ));
    }

    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), ink: &str) {
        let (x, y, x2, y2) = (num(from.0), num(from.1), num(to.0), num(to.1));
        self.put(format_args!("<path d=\"M{x} {y}L{x2} {y2}\" {ink}/>\n"));
    }

    /// The whole document. `dark` are rules for a dark page beside the common ones.
    pub fn finish(self, size: (f64, f64), title: &str, description: &str, dark: &str) -> String {
        let (w, h) = (num(size.0.ceil()), num(size.1.ceil()));
        let (title, description) = (escape(title), escape(description));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" \
             viewBox=\"0 0 {w} {h}\" role=\"img\" font-family=\"{FONTS}\">\n\
             <title>{title}</title>\n<desc>{description}</desc>\n\
             <style>@media (prefers-color-scheme: dark){{{DARK}{dark}}}</style>\n{}</svg>\n",
            self.body
        )
    }
}

fn anchor_of(anchor: Anchor) -> &'static str {
    match anchor {
        Anchor::Start => "",
        Anchor::Middle => " text-anchor=\"middle\"",
        Anchor::End => " text-anchor=\"end\"",
    }
}

/// Title and subtitle, broken into lines so that they do not widen a small figure.
pub(super) struct Header {
    title: Vec<String>,
    subtitle: Vec<String>,
}

impl Header {
    /// `room` is the width of what stands below; very small figures get more than theirs.
    pub fn new(title: &str, subtitle: &str, room: f64) -> Self {
        let room = room.max(400.0);
        Self { title: wrap(title, TITLE * 1.06, room), subtitle: wrap(subtitle, SUBTITLE, room) }
    }
    pub fn width(&self) -> f64 {
        let title = self.title.iter().map(|l| width(l, TITLE * 1.06));
        title.chain(self.subtitle.iter().map(|l| width(l, SUBTITLE))).fold(0.0, f64::max)
    }
    /// Where the room below begins.
    pub fn bottom(&self) -> f64 {
        let lines = 21.0 * self.title.len() as f64 + 16.0 * self.subtitle.len() as f64;
        PAD + lines + if lines > 0.0 { 10.0 } else { 0.0 }
    }
    pub fn draw(&self, canvas: &mut Canvas) {
        let mut y = PAD;
        for line in &self.title {
            let ink = format!("{TEXT} font-weight=\"600\"");
            canvas.text((PAD, y + 15.0), TITLE, Anchor::Start, &ink, line);
            y += 21.0;
        }
        for line in &self.subtitle {
            canvas.text((PAD, y + 12.0), SUBTITLE, Anchor::Start, MUTED, line);
            y += 16.0;
        }
    }
}

fn wrap(text: &str, size: f64, room: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(word, size) + size * 0.62 <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_string()),
        }
    }
    lines
}

/// Text for element content and attributes. Control characters of hostile labels, which XML
/// does not allow even escaped, are written out.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.extend(c.escape_unicode()),
            c if c.is_control() => out.extend(c.escape_default()),
            c => out.push(c),
        }
    }
    out
}

/// At most `most` characters; a longer text ends in an ellipsis. Tooltips have the whole.
pub(super) fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_string();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// The width a text takes at most in a usual sans serif: there is no font here to measure with.
pub(super) fn width(text: &str, size: f64) -> f64 {
    let em = |c: char| match c {
        // Written out by `escape`.
        c if c.is_control() => 3.7,
        'M' | 'W' | 'm' | 'w' | '@' | '%' | '—' | '…' => 0.95,
        c if c.is_uppercase() => 0.72,
        '\u{1100}'..='\u{11ff}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' => 1.1,
        '\u{f900}'..='\u{faff}' | '\u{ff00}'..='\u{ff60}' | '\u{ffe0}'..='\u{ffe6}' => 1.1,
        '\u{fffe}' | '\u{ffff}' => 5.0,
        '\u{1f000}'..='\u{3ffff}' => 1.1,
        _ => 0.62,
    };
    text.chars().map(em).sum::<f64>() * size
}

pub(super) fn widest<'a>(texts: impl IntoIterator<Item = &'a str>, size: f64) -> f64 {
    texts.into_iter().map(|t| width(t, size)).fold(0.0, f64::max)
}

/// A coordinate: two decimals at most, never `-0`, and never what SVG cannot read.
pub(super) fn num(value: f64) -> String {
    let text = format!("{:.2}", if value.is_finite() { value } else { 0.0 });
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_string() } else { text.to_string() }
}

/// A value as the reader sees it; `–` stands for one that does not exist.
pub(super) fn shown(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_string();
    }
    if value.abs() >= 1e4 {
        return format!("{value:.2e}");
    }
    let text = format!("{value:.2}");
    if text == "-0.00" { "0.00".to_string() } else { text }
}

#[cfg(test)]
pub(super) mod check {
    /// Panics unless tags are balanced, attributes quoted and no bare `&` or number that SVG
    /// cannot read is left.
    pub fn well_formed(svg: &str) {
        let mut open: Vec<&str> = Vec::new();
        let mut rest = svg;
        while let Some(start) = rest.find('<') {
            entities(&rest[..start]);
            let end = start + rest[start..].find('>').expect("a tag ends");
            let tag = &rest[start + 1..end];
            assert!(!tag.contains('<'), "{tag}");
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            entities(tag);
            let name = tag.trim_matches('/').split_whitespace().next().expect("a name");
            if tag.starts_with('/') {
                assert_eq!(open.pop(), Some(name));
            } else if !tag.ends_with('/') {
                open.push(name);
            }
            rest = &rest[end + 1..];
        }
        assert_eq!(rest.trim(), "");
        assert!(open.is_empty(), "{open:?}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "a number is not finite");
    }

    fn entities(text: &str) {
        for part in text.split('&').skip(1) {
            let name = part.split(';').next().expect("split gives one part");
            assert!(["amp", "lt", "gt", "quot", "#39"].contains(&name), "&{part}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_are_escaped() {
        assert_eq!(escape("<&\">'"), "&lt;&amp;&quot;&gt;&#39;");
        assert_eq!(escape("a\u{1}\n\u{ffff}"), "a\\u{1}\\n\\u{ffff}");
    }

    #[test]
    fn numbers_are_short_and_finite() {
        let all = [1.0, 1.25, -0.001, f64::NAN, f64::INFINITY].map(num);
        assert_eq!(all, ["1", "1.25", "0", "0", "0"]);
        assert_eq!([0.5, -0.0001, f64::NAN, 1e300].map(shown), ["0.50", "0.00", "–", "1.00e300"]);
    }

    #[test]
    fn wide_characters_count_more() {
        assert!(width("日本", 10.0) >= 22.0);
        assert!(width("de-en", 10.0) >= 31.0);
        assert_eq!(clip("abcdef", 4), "abc…");
        assert_eq!(wrap("aa bb cc", 10.0, 33.0), ["aa bb", "cc"]);
    }
}
