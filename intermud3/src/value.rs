//! LPC values in memory.

/// Any LPC value that can be written as text.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `42`. LPC's integer; `0` also stands for "nothing here".
    Int(i64),
    /// `1.500000`.
    Float(f64),
    /// `"text"`.
    String(String),
    /// `({1,"two",})`.
    Array(Vec<Value>),
    /// `(["key":1,])`.
    Mapping(Mapping),
    /// `(/1,"two",/)`: a class instance, without its field names. FluffOS writes and reads it; rare.
    Class(Vec<Value>),
}

impl Value {
    /// LPC's "nothing": the integer 0.
    pub const ZERO: Value = Value::Int(0);

    /// Whether this is the integer 0, which LPC uses for "nothing here".
    pub fn is_zero(&self) -> bool {
        matches!(self, Value::Int(0))
    }

    /// The integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Value::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The text, if it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The elements, if it is an array.
    pub fn as_array(&self) -> Option<&[Value]> {
        match self {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The mapping, if it is one.
    pub fn as_mapping(&self) -> Option<&Mapping> {
        match self {
            Value::Mapping(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The name of the value's type, for messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Int(_) => "int",
            Value::Float(_) => "float",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Mapping(_) => "mapping",
            Value::Class(_) => "class",
        }
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Self {
        Value::Int(n)
    }
}

impl From<f64> for Value {
    fn from(n: f64) -> Self {
        Value::Float(n)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::String(text)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::Array(items)
    }
}

impl From<Mapping> for Value {
    fn from(mapping: Mapping) -> Self {
        Value::Mapping(mapping)
    }
}

/// An LPC mapping, `(["tell":1,"channel":1,])`: pairs in the order in which they were written or read.
///
/// LPC drivers write mappings in hash order and let the last of several equal keys win; so does
/// [`Mapping::get`]. Keys may be of any type. Lookup is linear: the mappings of the protocol are small, or
/// walked from end to end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mapping(Vec<(Value, Value)>);

impl Mapping {
    /// An empty mapping, `([])`.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value under a string key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().rev().find(|(k, _)| k.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// Whether a string key is there, with any value.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Adds a pair at the end.
    pub fn push(&mut self, key: impl Into<Value>, value: impl Into<Value>) {
        self.0.push((key.into(), value.into()));
    }

    /// The pairs, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (Value, Value)> {
        self.0.iter()
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no pair.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<(Value, Value)>> for Mapping {
    fn from(pairs: Vec<(Value, Value)>) -> Self {
        Self(pairs)
    }
}

impl<K: Into<Value>, V: Into<Value>> FromIterator<(K, V)> for Mapping {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl IntoIterator for Mapping {
    type Item = (Value, Value);
    type IntoIter = std::vec::IntoIter<(Value, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'m> IntoIterator for &'m Mapping {
    type Item = &'m (Value, Value);
    type IntoIter = std::slice::Iter<'m, (Value, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_as_small_as_the_documented_limits_assume() {
        assert_eq!(size_of::<Value>(), 32);
    }
}
