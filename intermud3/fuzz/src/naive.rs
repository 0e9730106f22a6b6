//! A second reader of LPC text, as simple as can be: to hold the real one against. It recurses, copies and is
//! slow, and shares no code with it.

use intermud3::Value;

const DEPTH: usize = 100;

/// The value, or `None` where the text is none. Limits of size are not checked.
pub fn read(text: &[u8]) -> Option<Value> {
    let mut bytes = text.to_vec();
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    // A NUL is a space wherever it stands.
    for byte in &mut bytes {
        if *byte == 0 {
            *byte = b' ';
        }
    }
    bytes.reverse();
    let mut reader = Naive { rest: bytes };
    reader.blanks();
    let value = reader.value(1)?;
    match value {
        Value::String(_) => {}
        Value::Int(_) | Value::Float(_) => reader.blanks(),
        _ => reader.rest.clear(),
    }
    reader.rest.is_empty().then_some(value)
}

/// The bytes still to read, the next one last.
struct Naive {
    rest: Vec<u8>,
}

impl Naive {
    fn peek(&self) -> Option<u8> {
        self.rest.last().copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            self.rest.pop();
        }
        found
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(|byte| b" \t\r\n".contains(&byte)) {
            self.rest.pop();
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        match self.peek()? {
            b'"' => self.string(),
            b'(' => self.container(depth),
            b'0'..=b'9' | b'-' => self.number(),
            _ => None,
        }
    }

    fn container(&mut self, depth: usize) -> Option<Value> {
        self.rest.pop();
        if depth > DEPTH {
            return None;
        }
        match self.rest.pop()? {
            b'{' => self.list(depth, b'}', true).map(Value::Array),
            b'/' => self.list(depth, b'/', false).map(Value::Class),
            b'[' => self.pairs(depth),
            _ => None,
        }
    }

    fn list(&mut self, depth: usize, closing: u8, may_begin_with_comma: bool) -> Option<Vec<Value>> {
        let mut items = Vec::new();
        loop {
            self.blanks();
            if self.eat(closing) {
                return self.eat(b')').then_some(items);
            }
            if items.is_empty() && may_begin_with_comma && self.peek() == Some(b',') {
                items.push(Value::Int(0));
            } else {
                items.push(self.value(depth + 1)?);
            }
            self.blanks();
            if !self.eat(b',') && self.peek() != Some(closing) {
                return None;
            }
        }
    }

    fn pairs(&mut self, depth: usize) -> Option<Value> {
        let mut pairs = Vec::new();
        loop {
            self.blanks();
            if self.eat(b']') {
                return self.eat(b')').then_some(Value::Mapping(pairs.into()));
            }
            let key = self.value(depth + 1)?;
            self.blanks();
            if !self.eat(b':') {
                return None;
            }
            self.blanks();
            let value = self.value(depth + 1)?;
            pairs.push((key, value));
            self.blanks();
            if !self.eat(b',') && self.peek() != Some(b']') {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<Value> {
        self.rest.pop();
        let mut bytes = Vec::new();
        loop {
            match self.rest.pop()? {
                b'"' => break,
                b'\\' => bytes.push(self.rest.pop()?),
                b'\r' => bytes.push(b'\n'),
                byte => bytes.push(byte),
            }
        }
        Some(Value::String(String::from_utf8(bytes.clone()).unwrap_or_else(|_| windows_1252(&bytes))))
    }

    fn number(&mut self) -> Option<Value> {
        let mut digits = String::new();
        if self.eat(b'-') {
            digits.push('-');
        }
        while let Some(byte @ b'0'..=b'9') = self.peek() {
            digits.push(char::from(byte));
            self.rest.pop();
        }
        if digits.is_empty() || digits == "-" {
            return None;
        }
        if !self.peek().is_some_and(|byte| b".eE".contains(&byte)) {
            return Some(Value::Int(nearest(&digits)));
        }
        while let Some(byte) = self.peek().filter(|byte| b"0123456789.eE+-".contains(byte)) {
            digits.push(char::from(byte));
            self.rest.pop();
        }
        digits.parse().ok().filter(|n: &f64| n.is_finite()).map(Value::Float)
    }
}

/// The integer, or the nearest there is.
fn nearest(digits: &str) -> i64 {
    match digits.parse() {
        Ok(n) => n,
        Err(_) if digits.starts_with('-') => i64::MIN,
        Err(_) => i64::MAX,
    }
}

fn windows_1252(bytes: &[u8]) -> String {
    let differs = "€\u{81}‚ƒ„…†‡ˆ‰Š‹Œ\u{8d}Ž\u{8f}\u{90}‘’“”•–—˜™š›œ\u{9d}žŸ";
    let differs: Vec<char> = differs.chars().collect();
    bytes
        .iter()
        .map(|&b| if (0x80..0xa0).contains(&b) { differs[usize::from(b) - 0x80] } else { char::from(b) })
        .collect()
}
