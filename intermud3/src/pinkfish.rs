//! Pinkfish colours, `%^RED%^like this%^RESET%^`, which LP muds embed in what is said.
//!
//! Read as FluffOS's `terminal_colour` reads them: the text is cut at every `%^`, and each piece that is the
//! name of a code is that code, so `%^BOLD%^%^RED%^` and `%^BOLD%^RED%^` are the same. A piece that is no name
//! stays as text, without its `%^`. A text without `%^` has no codes.
//!
//! | code | |
//! |---|---|
//! | `BLACK` `RED` `GREEN` `ORANGE` `BLUE` `MAGENTA` `CYAN` `WHITE` | the eight ANSI colours; `ORANGE` is the dark yellow |
//! | `YELLOW`, and `L_`, `H_` or `LIGHT` before a colour | a bright colour |
//! | `B_` before any of these | the same as background |
//! | `BOLD` `ITALIC` `UNDERLINE` `ULINE` `FLASH` `BLINK` `REVERSE` `INVERSE` `STRIKETHRU` | on until `RESET` |
//! | `RESET` | back to the reader's own colours |
//! | `INITTERM` `ENDTERM` `STATUS` `WINDOW` | of terminals; nothing |
//!
//! A literal `%^` is written `%%^^`, which every `terminal_colour` shows as `%^`: [`escape`]. `%^%^` with no
//! code on either side reads as a literal `%^` too; FluffOS shows nothing there.
//!
//! The results are at most 30 times as long as the text, and colours never run past its end.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::text::{Piece, Pieces};

const DELIMITER: &str = "%^";

/// The text without its colours.
///
/// ```
/// # use intermud3::pinkfish::to_plain;
/// assert_eq!(to_plain("%^BOLD%^RED%^Fire!%^RESET%^ 100%%^^"), "Fire! 100%^");
/// ```
pub fn to_plain(text: &str) -> Cow<'_, str> {
    if !text.contains(DELIMITER) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(styled(text).map(|(_, text)| text).collect())
}

/// The text with ANSI colour sequences instead, and the colours reset at its end if they are not by then.
///
/// ANSI sequences already in the text stay; [`clean`](crate::text::clean) it first where it is a stranger's.
///
/// ```
/// # use intermud3::pinkfish::to_ansi;
/// assert_eq!(to_ansi("%^BOLD%^RED%^Fire!%^RESET%^ Run"), "\x1b[0;1;31mFire!\x1b[0m Run");
/// ```
pub fn to_ansi(text: &str) -> Cow<'_, str> {
    if !text.contains(DELIMITER) {
        return Cow::Borrowed(text);
    }
    let mut ansi = String::with_capacity(text.len());
    let mut shown = Style::default();
    for (style, text) in styled(text) {
        if style != shown {
            style.put_ansi(&mut ansi);
            shown = style;
        }
        ansi.push_str(text);
    }
    if shown != Style::default() {
        ansi.push_str("\x1b[0m");
    }
    Cow::Owned(ansi)
}

/// The text as HTML: `&`, `<`, `>` and quotes escaped, coloured runs as `<span class="pf-bold pf-red">`.
///
/// The classes are `pf-` and, in lower case, `black` to `white` (with `orange` for the dark and `yellow` for the
/// bright yellow), `bright-red` and so on, the same with `on-` before it for the background, and `bold`, `italic`,
/// `underline`, `flash`, `reverse`, `strike`. How they look is the page's matter. Newlines and tabs stay as they
/// are (`white-space: pre-wrap` shows them); other control characters and ANSI sequences are left out.
///
/// ```
/// # use intermud3::pinkfish::to_html;
/// assert_eq!(
///     to_html("%^BOLD%^RED%^<Fire>%^RESET%^ & run"),
///     r#"<span class="pf-bold pf-red">&lt;Fire&gt;</span> &amp; run"#,
/// );
/// ```
pub fn to_html(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    let mut shown = Style::default();
    for (style, text) in styled(text) {
        if style != shown {
            shown.put_html_end(&mut html);
            style.put_html_start(&mut html);
            shown = style;
        }
        put_html_text(&mut html, text);
    }
    shown.put_html_end(&mut html);
    html
}

/// Plain text so that it is shown as it is: each `%^` becomes `%%^^`.
///
/// ```
/// # use intermud3::pinkfish::{escape, to_plain};
/// assert_eq!(escape("type %^RED%^ for red"), "type %%^^RED%%^^ for red");
/// assert_eq!(to_plain("type %%^^RED%%^^ for red"), "type %^RED%^ for red");
/// ```
pub fn escape(text: &str) -> Cow<'_, str> {
    if text.contains(DELIMITER) { Cow::Owned(text.replace(DELIMITER, "%%^^")) } else { Cow::Borrowed(text) }
}

/// A colour: one of eight, normal or bright.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Colour {
    /// 0 to 7, in the order of ANSI.
    hue: u8,
    bright: bool,
}

/// The names of the normal colours in the order of ANSI. The dark yellow is called orange, and yellow is the
/// bright one.
const COLOURS: [&str; 8] = ["BLACK", "RED", "GREEN", "ORANGE", "BLUE", "MAGENTA", "CYAN", "WHITE"];
const YELLOW: Colour = Colour { hue: 3, bright: true };

impl Colour {
    fn named(name: &str) -> Option<Self> {
        let bright_name = ["L_", "H_", "LIGHT"].into_iter().find_map(|prefix| name.strip_prefix(prefix));
        match bright_name.unwrap_or(name) {
            "YELLOW" => Some(YELLOW),
            plain => {
                let hue = COLOURS.iter().position(|colour| *colour == plain)?;
                Some(Self { hue: u8::try_from(hue).ok()?, bright: bright_name.is_some() })
            }
        }
    }

    /// `red`, `bright-red`; `yellow` for the bright yellow.
    fn put_class(self, on: &str, html: &mut String) {
        let name = COLOURS[usize::from(self.hue)].to_ascii_lowercase();
        let (bright, name) = match self {
            YELLOW => ("", "yellow"),
            Colour { bright: true, .. } => ("bright-", name.as_str()),
            Colour { bright: false, .. } => ("", name.as_str()),
        };
        put_class(html, &format!("{on}{bright}{name}"));
    }
}

/// What is on until a reset: its codes, its number in an ANSI sequence, its name as an HTML class.
const ATTRIBUTES: [(&[&str], u8, &str); 6] = [
    (&["BOLD"], BOLD, "bold"),
    (&["ITALIC"], 3, "italic"),
    (&["UNDERLINE", "ULINE"], 4, "underline"),
    (&["FLASH", "BLINK"], 5, "flash"),
    (&["REVERSE", "INVERSE"], 7, "reverse"),
    (&["STRIKETHRU"], 9, "strike"),
];
const BOLD: u8 = 1;

/// Codes of terminals.
const NOTHING: [&str; 4] = ["INITTERM", "ENDTERM", "STATUS", "WINDOW"];

/// How a run of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Style {
    attributes: [bool; ATTRIBUTES.len()],
    foreground: Option<Colour>,
    background: Option<Colour>,
}

impl Style {
    /// What a code makes of this style; `None` if there is no code of that name.
    fn apply(mut self, code: &str) -> Option<Self> {
        if code == "RESET" {
            return Some(Self::default());
        }
        if let Some(n) = ATTRIBUTES.iter().position(|(codes, ..)| codes.contains(&code)) {
            self.attributes[n] = true;
        } else if let Some(colour) = code.strip_prefix("B_") {
            self.background = Some(Colour::named(colour)?);
        } else if !NOTHING.contains(&code) {
            self.foreground = Some(Colour::named(code)?);
        }
        Some(self)
    }

    /// The numbers and class names of the attributes that are on.
    fn on(&self) -> impl Iterator<Item = (u8, &'static str)> {
        let all = ATTRIBUTES.into_iter().zip(self.attributes);
        all.filter_map(|((_, number, class), on)| on.then_some((number, class)))
    }

    /// From whatever was before to this style. A bright foreground is bold, as terminals of old have it.
    fn put_ansi(&self, ansi: &mut String) {
        let bold = self.foreground.is_some_and(|colour| colour.bright).then_some(BOLD);
        let attributes = self.on().map(|(number, _)| number).filter(|number| Some(*number) != bold);
        let foreground = self.foreground.map(|colour| 30 + colour.hue);
        let background = self.background.map(|colour| colour.hue + if colour.bright { 100 } else { 40 });
        ansi.push_str("\x1b[0");
        for number in bold.into_iter().chain(attributes).chain(foreground).chain(background) {
            // Writing to a String cannot fail.
            let _ = write!(ansi, ";{number}");
        }
        ansi.push('m');
    }

    fn put_html_start(&self, html: &mut String) {
        if *self == Self::default() {
            return;
        }
        html.push_str("<span class=\"");
        self.on().for_each(|(_, class)| put_class(html, class));
        if let Some(colour) = self.foreground {
            colour.put_class("", html);
        }
        if let Some(colour) = self.background {
            colour.put_class("on-", html);
        }
        html.push_str("\">");
    }

    fn put_html_end(&self, html: &mut String) {
        if *self != Self::default() {
            html.push_str("</span>");
        }
    }
}

fn put_class(html: &mut String, class: &str) {
    if !html.ends_with('"') {
        html.push(' ');
    }
    html.push_str("pf-");
    html.push_str(class);
}

fn put_html_text(html: &mut String, text: &str) {
    for piece in Pieces(text) {
        match piece {
            Piece::Char('&') => html.push_str("&amp;"),
            Piece::Char('<') => html.push_str("&lt;"),
            Piece::Char('>') => html.push_str("&gt;"),
            Piece::Char('"') => html.push_str("&quot;"),
            Piece::Char('\'') => html.push_str("&#39;"),
            Piece::Char(c) => html.push(c),
            Piece::Colour(_) => {}
        }
    }
}

/// The runs of text that are not empty, each with its style.
fn styled(text: &str) -> impl Iterator<Item = (Style, &str)> {
    let mut style = Style::default();
    segments(text).filter_map(move |segment| match segment {
        Segment::Text(text) => (!text.is_empty()).then_some((style, text)),
        Segment::Code(code) => {
            style = style.apply(code)?;
            None
        }
    })
}

enum Segment<'t> {
    Text(&'t str),
    Code(&'t str),
}

/// What lies between the delimiters.
fn segments(text: &str) -> impl Iterator<Item = Segment<'_>> {
    let mut pieces = text.split(DELIMITER).peekable();
    let whole = !text.contains(DELIMITER);
    // Whether an empty piece here would be the inside of `%^%^`: not at the start, behind a code, or where the
    // first of its two delimiters is the second of another.
    let mut may_be_literal = false;
    std::iter::from_fn(move || {
        let piece = pieces.next()?;
        let next_is_text = pieces.peek().is_some_and(|next| !is_code(next));
        let code = !whole && is_code(piece);
        let literal = piece.is_empty() && may_be_literal && next_is_text;
        may_be_literal = !code && !literal;
        Some(match (code, literal) {
            (true, _) => Segment::Code(piece),
            (false, true) => Segment::Text(DELIMITER),
            (false, false) => Segment::Text(piece),
        })
    })
}

fn is_code(name: &str) -> bool {
    Style::default().apply(name).is_some()
}
