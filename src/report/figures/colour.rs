//! Colours that keep their order and their difference for colour-blind eyes and in grey print.

/// Ten stops of matplotlib's viridis. Not cividis: its middle is grey, as the diagonal is.
const VIRIDIS: [[u8; 3]; 10] = [
    [0x44, 0x01, 0x54],
    [0x48, 0x28, 0x78],
    [0x3e, 0x49, 0x89],
    [0x31, 0x68, 0x8e],
    [0x26, 0x82, 0x8e],
    [0x1f, 0x9e, 0x89],
    [0x35, 0xb7, 0x79],
    [0x6e, 0xce, 0x58],
    [0xb5, 0xde, 0x2b],
    [0xfd, 0xe7, 0x25],
];

/// Okabe and Ito's palette without black, which a dark page swallows.
const GROUPS: [&str; 8] =
    ["#e69f00", "#56b4e9", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#cc79a7", "#999999"];

/// Lines on white and on a dark page: the same hues, each dark or light enough to read as text.
pub(super) const LINES: [(&str, &str); 6] = [
    ("#0072b2", "#56b4e9"),
    ("#c45200", "#f58b4c"),
    ("#007f5c", "#33c79b"),
    ("#a8457f", "#e6a3cb"),
    ("#806000", "#e0c030"),
    ("#555555", "#bbbbbb"),
];

/// Of a share between 0 and 1; outside it the nearest end.
pub(super) fn sequential(share: f64) -> [u8; 3] {
    let at = share.clamp(0.0, 1.0) * (VIRIDIS.len() - 1) as f64;
    let below = (at as usize).min(VIRIDIS.len() - 2);
    let part = at - below as f64;
    let (low, high) = (VIRIDIS[below], VIRIDIS[below + 1]);
    std::array::from_fn(|i| {
        (f64::from(low[i]) + part * (f64::from(high[i]) - f64::from(low[i]))).round() as u8
    })
}

pub(super) fn hex([r, g, b]: [u8; 3]) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Black or white, whichever has the higher contrast by WCAG's relative luminance.
pub(super) fn ink_on(fill: [u8; 3]) -> &'static str {
    let linear = fill.map(|c| {
        let c = f64::from(c) / 255.0;
        if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    });
    let luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    if luminance > 0.179 { "#000000" } else { "#ffffff" }
}

/// The colour of a group and how often the palette was used up before it: the caller marks
/// the later rounds, which have the same colours.
pub(super) fn group(index: usize) -> (&'static str, usize) {
    (GROUPS[index % GROUPS.len()], index / GROUPS.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_the_first_and_last_stop() {
        assert_eq!(hex(sequential(-1.0)), "#440154");
        assert_eq!(hex(sequential(1.0)), "#fde725");
        assert_eq!(hex(sequential(2.0)), "#fde725");
    }

    #[test]
    fn ink_differs_between_the_ends() {
        assert_eq!(ink_on(sequential(0.0)), "#ffffff");
        assert_eq!(ink_on(sequential(1.0)), "#000000");
    }

    #[test]
    fn a_new_round_of_the_palette_is_told() {
        assert_eq!(group(0), ("#e69f00", 0));
        assert_eq!(group(8), ("#e69f00", 1));
    }
}
