//! Reading LPC text: one pass, an explicit stack.

use super::scan::find;
use super::{Bracket, Builder, DecodeError, Limits};
use crate::{Value, text};

pub(super) fn read(text: &[u8], limits: &Limits) -> Result<Value, DecodeError> {
    if text.len() > limits.input_bytes {
        return Err(DecodeError::TooLong { len: text.len(), limit: limits.input_bytes });
    }
    let end = text.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    Reader::new(&text[..end], limits).read()
}

struct Reader<'t> {
    text: &'t [u8],
    /// The same, if it is UTF-8 as a whole: strings need not be checked one by one then.
    utf8: Option<&'t str>,
    at: usize,
    limits: &'t Limits,
    /// Values read so far.
    count: usize,
    built: Builder,
}

impl<'t> Reader<'t> {
    fn new(text: &'t [u8], limits: &'t Limits) -> Self {
        let utf8 = std::str::from_utf8(text).ok();
        Self { text, utf8, at: 0, limits, count: 0, built: Builder::new() }
    }

    /// Reads values, and openings and closings of containers, each with the separator behind it, until the
    /// outermost value is complete.
    fn read(mut self) -> Result<Value, DecodeError> {
        loop {
            let outermost = match self.next_token()? {
                b'(' => {
                    self.open()?;
                    continue;
                }
                b'"' => {
                    let text = self.string()?;
                    self.built.push(Value::String(text))
                }
                b'0'..=b'9' | b'-' => {
                    let number = self.number()?;
                    self.built.push(number)
                }
                // FluffOS reads `({,})` as `({0,})`.
                b',' if self.built.innermost() == Some((Bracket::Array, 0)) => self.built.push(Value::ZERO),
                byte => self.close(byte)?,
            };
            self.count += 1;
            if self.count > self.limits.input_values {
                return Err(DecodeError::TooManyValues { at: self.at, limit: self.limits.input_values });
            }
            match outermost {
                Some(value) => return self.finish(value),
                None => self.separator()?,
            }
        }
    }

    fn open(&mut self) -> Result<(), DecodeError> {
        let bracket = match self.text.get(self.at + 1) {
            Some(b'{') => Bracket::Array,
            Some(b'[') => Bracket::Mapping,
            Some(b'/') => Bracket::Class,
            _ => return Err(self.unexpected(self.at + 1)),
        };
        if self.built.depth() >= self.limits.depth.min(Limits::MAX_DEPTH) {
            return Err(DecodeError::TooDeep { at: self.at, limit: self.limits.depth });
        }
        self.built.begin(bracket);
        self.at += 2;
        Ok(())
    }

    /// Closes the innermost container, whose closing bracket must stand here; it, if it is the outermost.
    fn close(&mut self, byte: u8) -> Result<Option<Value>, DecodeError> {
        let Some((bracket, len)) = self.built.innermost() else {
            return Err(self.unexpected(self.at));
        };
        let [first, second] = *bracket.closing();
        let key_without_value = bracket == Bracket::Mapping && len % 2 == 1;
        if byte != first || key_without_value {
            return Err(self.unexpected(self.at));
        }
        if self.text.get(self.at + 1) != Some(&second) {
            return Err(self.unexpected(self.at + 1));
        }
        self.at += 2;
        Ok(self.built.end())
    }

    /// What must follow a value: `:` after a key; else a comma, or the closing bracket, which is left for
    /// the next turn.
    fn separator(&mut self) -> Result<(), DecodeError> {
        let Some((bracket, len)) = self.built.innermost() else {
            return Ok(());
        };
        let mapping = bracket == Bracket::Mapping;
        let elements = if mapping { len.div_ceil(2) } else { len };
        if elements > self.limits.input_elements {
            return Err(DecodeError::TooManyElements { at: self.at, limit: self.limits.input_elements });
        }
        let after_key = mapping && len % 2 == 1;
        match self.next_token()? {
            b':' if after_key => self.at += 1,
            b',' if !after_key => self.at += 1,
            byte if !after_key && byte == bracket.closing()[0] => {}
            _ => return Err(self.unexpected(self.at)),
        }
        Ok(())
    }

    /// Reads a string, at its opening quote.
    fn string(&mut self) -> Result<String, DecodeError> {
        self.at += 1;
        let start = self.at;
        let mut plain = true;
        loop {
            match self.special()? {
                b'"' => break,
                // What it escapes is no end.
                b'\\' => self.at += 1,
                _cr_or_nul => {}
            }
            plain = false;
        }
        let raw = start..self.at - 1;
        if !plain {
            return Ok(text::decode(unescape(&self.text[raw])));
        }
        // Most strings have nothing to unescape and are copied in one go.
        Ok(match self.utf8.and_then(|text| text.get(raw.clone())) {
            Some(text) => text.to_owned(),
            None => text::decode(self.text[raw].to_vec()),
        })
    }

    /// Passes over plain bytes and the special one behind them; the latter.
    fn special(&mut self) -> Result<u8, DecodeError> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let len = find(rest, [b'"', b'\\', b'\r', 0]).ok_or_else(|| self.ended())?;
        self.at += len + 1;
        Ok(rest[len])
    }

    fn number(&mut self) -> Result<Value, DecodeError> {
        let start = self.at;
        let negative = self.text[start] == b'-';
        self.at += usize::from(negative);
        let digits = self.at;
        let mut n = 0_i64;
        while let Some(digit @ b'0'..=b'9') = self.text.get(self.at) {
            let digit = i64::from(digit - b'0');
            n = n.saturating_mul(10);
            n = if negative { n.saturating_sub(digit) } else { n.saturating_add(digit) };
            self.at += 1;
        }
        if self.at == digits {
            return Err(DecodeError::BadNumber { at: start });
        }
        match self.text.get(self.at) {
            Some(b'.' | b'e' | b'E') => self.float(start),
            _ => Ok(Value::Int(n)),
        }
    }

    fn float(&mut self, start: usize) -> Result<Value, DecodeError> {
        let in_float = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
        let len = self.text[start..].iter().take_while(|byte| in_float(byte)).count();
        self.at = start + len;
        let bad = DecodeError::BadNumber { at: start };
        let text = std::str::from_utf8(&self.text[start..self.at]).map_err(|_| bad.clone())?;
        match text.parse::<f64>() {
            Ok(n) if n.is_finite() => Ok(Value::Float(n)),
            _ => Err(bad),
        }
    }

    /// Passes over blanks; the byte behind them, which is not passed over.
    fn next_token(&mut self) -> Result<u8, DecodeError> {
        while let Some(&byte) = self.text.get(self.at) {
            if !is_blank(byte) {
                return Ok(byte);
            }
            self.at += 1;
        }
        Err(self.ended())
    }

    /// Checks what follows the outermost value.
    fn finish(self, value: Value) -> Result<Value, DecodeError> {
        let rest = &self.text[self.at..];
        let unexpected = match &value {
            // FluffOS refuses even a blank here.
            Value::String(_) => (!rest.is_empty()).then_some(0),
            Value::Int(_) | Value::Float(_) => rest.iter().position(|&byte| !is_blank(byte)),
            Value::Array(_) | Value::Mapping(_) | Value::Class(_) => None,
        };
        match unexpected {
            Some(after) => Err(DecodeError::UnexpectedByte { at: self.at + after, byte: rest[after] }),
            None => Ok(value),
        }
    }

    #[cold]
    fn ended(&self) -> DecodeError {
        DecodeError::UnexpectedEnd { at: self.text.len() }
    }

    #[cold]
    fn unexpected(&self, at: usize) -> DecodeError {
        match self.text.get(at) {
            Some(&byte) => DecodeError::UnexpectedByte { at, byte },
            None => self.ended(),
        }
    }
}

/// The bytes of a string from those between its quotes.
fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(len) = find(rest, [b'\\', b'\r', 0]) {
        bytes.extend_from_slice(&rest[..len]);
        let escape = rest[len] == b'\\';
        let end = len + usize::from(escape);
        bytes.push(match rest.get(end) {
            Some(b'\r') if !escape => b'\n',
            // A backslash is never the last: the reader saw what it escapes.
            Some(0) | None => b' ',
            Some(&byte) => byte,
        });
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    bytes.extend_from_slice(rest);
    bytes
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0)
}
