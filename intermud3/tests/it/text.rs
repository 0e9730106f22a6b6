//! Characters and colours.

use intermud3::pinkfish::{escape, to_ansi, to_html, to_plain};
use intermud3::text::{clean, decode};

#[test]
fn harmful_characters_go_and_colours_stay() {
    for (text, cleaned) in [
        ("plain", "plain"),
        ("a\tb\nc", "a\tb\nc"),
        ("a\r\nb\rc\n\rd", "a\nb\nc\n\nd"),
        ("a\0b\x07c\x08d\x7fe", "abcde"),
        ("\u{85}\u{9b}31mx\u{ad}é😀", "31mx\u{ad}é😀"),
        ("\x1b[31mred\x1b[0m \x1b[1;38;5;9mx\x1b[m", "\x1b[31mred\x1b[0m \x1b[1;38;5;9mx\x1b[m"),
        ("\x1b[2J\x1b[10;10H\x1b[?25lx\x1b[>4m", "x"),
        ("\x1b]0;title\x07x\x1bcy\x1b", "]0;titlexcy"),
        ("\x1b[1;31", "[1;31"),
        ("\x1b[1é", "[1é"),
        ("\x1b[\x1b[31m", "[\x1b[31m"),
    ] {
        assert_eq!(clean(text), cleaned, "{text:?}");
    }
}

#[test]
fn bytes_are_utf8_or_else_windows_1252() {
    assert_eq!(decode(b"na\xc3\xafve \xe2\x82\xac".to_vec()), "naïve €");
    assert_eq!(decode(b"na\xefve \x80\x81\xff".to_vec()), "naïve €\u{81}ÿ");
    assert_eq!(decode(b"\xc3\xa9 \xe9".to_vec()), "Ã© é", "a text is one or the other as a whole");
}

#[test]
fn pinkfish_becomes_plain_ansi_and_html() {
    let table = [
        ("no codes", "no codes", "no codes", "no codes"),
        ("%^RED%^x%^RESET%^", "x", "\x1b[0;31mx\x1b[0m", r#"<span class="pf-red">x</span>"#),
        // Colours end with the text; a code without effect leaves no trace.
        ("%^RED%^x", "x", "\x1b[0;31mx\x1b[0m", r#"<span class="pf-red">x</span>"#),
        ("%^RED%^%^RESET%^x%^BLUE%^", "x", "x", "x"),
        // Codes may share their delimiters, and may stand at the ends without them.
        (
            "%^BOLD%^%^RED%^x%^RESET%^y",
            "xy",
            "\x1b[0;1;31mx\x1b[0my",
            r#"<span class="pf-bold pf-red">x</span>y"#,
        ),
        (
            "%^BOLD%^RED%^x%^RESET%^y",
            "xy",
            "\x1b[0;1;31mx\x1b[0my",
            r#"<span class="pf-bold pf-red">x</span>y"#,
        ),
        ("RED%^x%^RESET", "x", "\x1b[0;31mx\x1b[0m", r#"<span class="pf-red">x</span>"#),
        // Dark and bright.
        ("%^ORANGE%^x", "x", "\x1b[0;33mx\x1b[0m", r#"<span class="pf-orange">x</span>"#),
        ("%^YELLOW%^x", "x", "\x1b[0;1;33mx\x1b[0m", r#"<span class="pf-yellow">x</span>"#),
        ("%^H_RED%^x", "x", "\x1b[0;1;31mx\x1b[0m", r#"<span class="pf-bright-red">x</span>"#),
        ("%^L_RED%^x", "x", "\x1b[0;1;31mx\x1b[0m", r#"<span class="pf-bright-red">x</span>"#),
        ("%^LIGHTRED%^x", "x", "\x1b[0;1;31mx\x1b[0m", r#"<span class="pf-bright-red">x</span>"#),
        // Background.
        (
            "%^B_BLUE%^%^WHITE%^x",
            "x",
            "\x1b[0;37;44mx\x1b[0m",
            r#"<span class="pf-white pf-on-blue">x</span>"#,
        ),
        ("%^B_YELLOW%^x", "x", "\x1b[0;103mx\x1b[0m", r#"<span class="pf-on-yellow">x</span>"#),
        // Attributes.
        (
            "%^ITALIC%^%^UNDERLINE%^%^FLASH%^%^REVERSE%^%^STRIKETHRU%^x",
            "x",
            "\x1b[0;3;4;5;7;9mx\x1b[0m",
            r#"<span class="pf-italic pf-underline pf-flash pf-reverse pf-strike">x</span>"#,
        ),
        ("%^INITTERM%^x%^STATUS%^", "x", "x", "x"),
        // No code: text, as FluffOS has it. Case matters.
        ("a%^FOO%^b%^red%^c", "aFOObredc", "aFOObredc", "aFOObredc"),
        // Literal delimiters.
        ("100%%^^ %%^^RED%%^^", "100%^ %^RED%^", "100%^ %^RED%^", "100%^ %^RED%^"),
        ("a%^%^b", "a%^b", "a%^b", "a%^b"),
        ("%^%^", "%^", "%^", "%^"),
        ("%^%^%^%^x", "%^%^x", "%^%^x", "%^%^x"),
        ("%^%^%^x", "%^x", "%^x", "%^x"),
        ("a%^", "a", "a", "a"),
        ("%", "%", "%", "%"),
        // HTML is escaped; what it cannot hold is left out.
        (
            "<a href=\"x\">'&'</a>",
            "<a href=\"x\">'&'</a>",
            "<a href=\"x\">'&'</a>",
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;",
        ),
        (
            "%^RED%^<\x07\x1b[31m\n\t>",
            "<\x07\x1b[31m\n\t>",
            "\x1b[0;31m<\x07\x1b[31m\n\t>\x1b[0m",
            "<span class=\"pf-red\">&lt;\n\t&gt;</span>",
        ),
    ];
    for (text, plain, ansi, html) in table {
        assert_eq!(to_plain(text), plain, "{text:?} to plain");
        assert_eq!(to_ansi(text), ansi, "{text:?} to ANSI");
        assert_eq!(to_html(text), html, "{text:?} to HTML");
    }
}

#[test]
fn escaped_text_shows_as_it_is() {
    for text in ["", "x", "%^", "%^%^", "%^RED%^x", "%%^^", "%%%^^^", "100%", "^%^%", "RED%^"] {
        let escaped = escape(text);
        assert_eq!(to_plain(&escaped), text);
        assert_eq!(to_ansi(&escaped), text);
        // By the letter of FluffOS: cut at each delimiter, no piece is a code, the pieces joined are the text.
        let pieces: Vec<&str> = escaped.split("%^").collect();
        assert_eq!(pieces.concat(), text);
        assert!(!pieces.contains(&"RED"));
    }
}
