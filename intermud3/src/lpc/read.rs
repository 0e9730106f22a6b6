//! Reading LPC text: one pass, an explicit stack.

use super::{Bracket, Builder, DecodeError, Limits, charset};
use crate::Value;

/// Bytes that end a run of plain bytes in a string.
const SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    special[b'"' as usize] = true;
    special[b'\\' as usize] = true;
    special[b'\r' as usize] = true;
    special[0] = true;
    special
};

pub(super) fn read(text: &[u8], limits: &Limits) -> Result<Value, DecodeError> {
    if text.len() > limits.input_bytes {
        return Err(DecodeError::TooLong { len: text.len(), limit: limits.input_bytes });
    }
    let mut reader = Reader { text, at: 0, limits, count: 0, built: Builder::new() };
    loop {
        if reader.value()? && reader.built.depth() == 0 {
            return reader.finish();
        }
    }
}

struct Reader<'t> {
    text: &'t [u8],
    at: usize,
    limits: &'t Limits,
    /// Values read so far.
    count: usize,
    built: Builder,
}

impl<'t> Reader<'t> {
    /// Reads a value, or the opening or closing bracket of one, and the separator behind it; tells whether a
    /// value is now complete.
    fn value(&mut self) -> Result<bool, DecodeError> {
        match self.next_token()? {
            b'(' => {
                self.open()?;
                return Ok(false);
            }
            b'"' => {
                let text = self.string()?;
                self.built.push(Value::String(text));
            }
            b'0'..=b'9' | b'-' => {
                let number = self.number()?;
                self.built.push(number);
            }
            // FluffOS reads `({,})` as `({0,})`.
            b',' if self.built.innermost() == Some((Bracket::Array, 0)) => self.built.push(Value::ZERO),
            byte => self.close(byte)?,
        }
        self.count += 1;
        if self.count > self.limits.input_values {
            return Err(DecodeError::TooManyValues { at: self.at, limit: self.limits.input_values });
        }
        self.separator()?;
        Ok(true)
    }

    fn open(&mut self) -> Result<(), DecodeError> {
        let bracket = match self.text.get(self.at + 1) {
            Some(b'{') => Bracket::Array,
            Some(b'[') => Bracket::Mapping,
            Some(b'/') => Bracket::Class,
            _ => return Err(self.unexpected(self.at + 1)),
        };
        if self.built.depth() >= self.limits.depth {
            return Err(DecodeError::TooDeep { at: self.at, limit: self.limits.depth });
        }
        self.built.begin(bracket);
        self.at += 2;
        Ok(())
    }

    /// Closes the innermost container, whose closing bracket must stand here.
    fn close(&mut self, byte: u8) -> Result<(), DecodeError> {
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
        self.built.end();
        self.at += 2;
        Ok(())
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
        let (plain, mut end) = self.run()?;
        // Most strings have nothing to unescape and are copied in one go.
        let mut bytes = plain.to_vec();
        while end != b'"' {
            match end {
                b'\\' => {
                    let escaped = *self.text.get(self.at).ok_or(self.ended())?;
                    self.at += 1;
                    bytes.push(if escaped == 0 { b' ' } else { escaped });
                }
                b'\r' => bytes.push(b'\n'),
                _ => bytes.push(b' '),
            }
            let (plain, next) = self.run()?;
            bytes.extend_from_slice(plain);
            end = next;
        }
        Ok(charset::text(bytes))
    }

    /// The plain bytes from here on, and the special byte that ends them, which is passed over.
    fn run(&mut self) -> Result<(&'t [u8], u8), DecodeError> {
        let rest = &self.text[self.at..];
        let len = rest.iter().position(|&byte| SPECIAL[usize::from(byte)]).ok_or(self.ended())?;
        self.at += len + 1;
        Ok((&rest[..len], rest[len]))
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
        while let Some(byte) = self.text.get(self.at) {
            if !is_blank(*byte) {
                return Ok(*byte);
            }
            self.at += 1;
        }
        Err(self.ended())
    }

    fn finish(self) -> Result<Value, DecodeError> {
        let rest = &self.text[self.at..];
        let follows = rest.iter().position(|&byte| !is_blank(byte));
        let value = self.built.finish();
        match (follows, &value) {
            (Some(blanks), Value::Int(_) | Value::Float(_) | Value::String(_)) => {
                Err(DecodeError::UnexpectedByte { at: self.at + blanks, byte: rest[blanks] })
            }
            _ => Ok(value),
        }
    }

    fn ended(&self) -> DecodeError {
        DecodeError::UnexpectedEnd { at: self.text.len() }
    }

    fn unexpected(&self, at: usize) -> DecodeError {
        match self.text.get(at) {
            Some(&byte) => DecodeError::UnexpectedByte { at, byte },
            None => self.ended(),
        }
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0)
}
