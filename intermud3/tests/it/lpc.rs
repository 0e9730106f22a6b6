//! Literals from the specification, from FluffOS's own tests and from what Dead Souls did.

use intermud3::lpc::{Limits, decode, decode_with, encode, encode_with};
use intermud3::{DecodeError, EncodeError, Mapping, Value};

fn string(text: &str) -> Value {
    Value::from(text)
}

fn array<const N: usize>(items: [Value; N]) -> Value {
    Value::Array(items.into())
}

fn text(value: &Value) -> String {
    String::from_utf8(encode(value).unwrap().to_vec()).unwrap()
}

#[test]
fn values_and_their_text() {
    let mapping = |pairs: Vec<(Value, Value)>| Value::Mapping(pairs.into());
    let table: &[(&str, Value)] = &[
        ("123", Value::Int(123)),
        ("0", Value::Int(0)),
        ("-7", Value::Int(-7)),
        ("2147483648", Value::Int(2_147_483_648)),
        ("-9223372036854775808", Value::Int(i64::MIN)),
        ("9223372036854775807", Value::Int(i64::MAX)),
        ("1.200000", Value::Float(1.2)),
        ("-2.250000", Value::Float(-2.25)),
        ("0.001000", Value::Float(0.001)),
        ("1500.000000", Value::Float(1500.0)),
        ("0.0000000001", Value::Float(1e-10)),
        (r#""""#, string("")),
        (r#""hi""#, string("hi")),
        (r#""hello \"q\" \\ back""#, string(r#"hello "q" \ back"#)),
        ("\"a\rb\"", string("a\nb")),
        ("\"a\\\rb\"", string("a\rb")),
        ("\"\r\"", string("\n")),
        ("\"x\\\\\r\"", string("x\\\n")),
        ("\"a\tb\x07c\x1b[31md\"", string("a\tb\x07c\x1b[31md")),
        ("\"%^RED%^x%^RESET%^\"", string("%^RED%^x%^RESET%^")),
        ("\"héllo € 😀\"", string("héllo € 😀")),
        ("({})", array([])),
        ("([])", mapping(vec![])),
        ("(//)", Value::Class(vec![])),
        (r#"({1,"two",({}),})"#, array([1.into(), string("two"), array([])])),
        (r#"(["a":1,"b":({}),])"#, mapping(vec![(string("a"), 1.into()), (string("b"), array([]))])),
        (
            r#"(["a":({}),1:2,1.500000:([]),({1,}):3,])"#,
            mapping(vec![
                (string("a"), array([])),
                (1.into(), 2.into()),
                (1.5.into(), mapping(vec![])),
                (array([1.into()]), 3.into()),
            ]),
        ),
        (r#"(/1,"two",/)"#, Value::Class(vec![1.into(), string("two")])),
    ];
    for (written, value) in table {
        assert_eq!(decode(written.as_bytes()).as_ref(), Ok(value), "reading {written:?}");
        assert_eq!(text(value), *written, "writing {value:?}");
    }
}

#[test]
fn what_others_write_is_read() {
    let one_two = array([1.into(), 2.into()]);
    let table: &[(&[u8], Value)] = &[
        (b"({1,2})", one_two.clone()),
        (b" ({ 1 , 2 , }) ", one_two.clone()),
        (b"\n({1,\r\n\t2\x00})\r\x00", one_two.clone()),
        (b"({1,2,})xyz", one_two),
        (br#"(["client_password": 5])"#, Value::Mapping([("client_password", 5)].into_iter().collect())),
        (b"({,})", array([0.into()])),
        (b"([ ])", Value::Mapping(Mapping::new())),
        (b"007", 7.into()),
        (b"-0", 0.into()),
        (b"9223372036854775808", i64::MAX.into()),
        (b"-99999999999999999999", i64::MIN.into()),
        (b"1e10", 1e10.into()),
        (b"1.5e3", 1500.0.into()),
        (b"1.5E+3", 1500.0.into()),
        (b"1.0e-3", 0.001.into()),
        (b"3.", 3.0.into()),
        (b"\"a\nb\"", string("a\nb")),
        (b"\"a\r\nb\"", string("a\n\nb")),
        (br#""a\nb""#, string("anb")),
        (b"\"a\x00b\\\x00c\"", string("a b c")),
        (b"\"a\"\x00\x00", string("a")),
        (b"12 \r\n\x00", 12.into()),
        (b"\"h\xe9llo\"", string("héllo")),
        (b"\"it\x92s\"", string("it’s")),
        (b"\"\xed\xa0\x80\"", string("í\u{a0}€")),
    ];
    for (input, value) in table {
        assert_eq!(decode(input).as_ref(), Ok(value), "{:?}", input.escape_ascii().to_string());
    }
}

#[test]
fn each_string_is_decoded_by_itself() {
    let read = decode(b"({\"caf\xe9\",\"caf\xc3\xa9\",})").unwrap();
    assert_eq!(read, array([string("café"), string("café")]));
    assert_eq!(text(&read), r#"({"café","café",})"#);
}

#[test]
fn what_is_no_value_is_refused() {
    let table: &[(&[u8], DecodeError)] = &[
        (b"", DecodeError::UnexpectedEnd { at: 0 }),
        (b"  ", DecodeError::UnexpectedEnd { at: 2 }),
        (b"null", DecodeError::UnexpectedByte { at: 0, byte: b'n' }),
        (b"+5", DecodeError::UnexpectedByte { at: 0, byte: b'+' }),
        (b".5", DecodeError::UnexpectedByte { at: 0, byte: b'.' }),
        (b"-", DecodeError::BadNumber { at: 0 }),
        (b"-x", DecodeError::BadNumber { at: 0 }),
        (b"1.2.3", DecodeError::BadNumber { at: 0 }),
        (b"1e999", DecodeError::BadNumber { at: 0 }),
        (b"0x10", DecodeError::UnexpectedByte { at: 1, byte: b'x' }),
        ("({²,})".as_bytes(), DecodeError::UnexpectedByte { at: 2, byte: 0xc2 }),
        (b"\"", DecodeError::UnexpectedEnd { at: 1 }),
        (b"\"\\", DecodeError::UnexpectedEnd { at: 2 }),
        (b"\"\"x", DecodeError::UnexpectedByte { at: 2, byte: b'x' }),
        (b"\"\r\"\r", DecodeError::UnexpectedByte { at: 3, byte: b'\r' }),
        (b"1 x", DecodeError::UnexpectedByte { at: 2, byte: b'x' }),
        (b"(", DecodeError::UnexpectedEnd { at: 1 }),
        (b"({", DecodeError::UnexpectedEnd { at: 2 }),
        (b"({1,", DecodeError::UnexpectedEnd { at: 4 }),
        (b"({1 2})", DecodeError::UnexpectedByte { at: 4, byte: b'2' }),
        (b"({1,,})", DecodeError::UnexpectedByte { at: 4, byte: b',' }),
        (b"({1:2})", DecodeError::UnexpectedByte { at: 3, byte: b':' }),
        (b"({1])", DecodeError::UnexpectedByte { at: 3, byte: b']' }),
        (b"({1}]", DecodeError::UnexpectedByte { at: 4, byte: b']' }),
        (b"(x", DecodeError::UnexpectedByte { at: 1, byte: b'x' }),
        (b")", DecodeError::UnexpectedByte { at: 0, byte: b')' }),
        (b"([,])", DecodeError::UnexpectedByte { at: 2, byte: b',' }),
        (b"([1])", DecodeError::UnexpectedByte { at: 3, byte: b']' }),
        (b"([1:])", DecodeError::UnexpectedByte { at: 4, byte: b']' }),
        (b"([1:2:3])", DecodeError::UnexpectedByte { at: 5, byte: b':' }),
    ];
    for (input, error) in table {
        assert_eq!(decode(input).as_ref(), Err(error), "{:?}", input.escape_ascii().to_string());
    }
}

fn nested(levels: usize) -> String {
    format!("{}1{}", "({".repeat(levels), ",})".repeat(levels))
}

#[test]
fn nesting_ends_at_a_hundred_levels() {
    let deepest = decode(nested(100).as_bytes()).unwrap();
    assert_eq!(text(&deepest), nested(100));
    assert_eq!(decode(nested(101).as_bytes()), Err(DecodeError::TooDeep { at: 200, limit: 100 }));
    assert_eq!(decode("({".repeat(500_000).as_bytes()), Err(DecodeError::TooDeep { at: 200, limit: 100 }));
    assert_eq!(encode(&array([deepest])), Err(EncodeError::TooDeep { limit: 100 }));
}

#[test]
fn no_limit_lets_a_peer_nest_so_deep_that_dropping_it_overflows_the_stack() {
    let limits = Limits { depth: usize::MAX, ..Limits::DEFAULT };
    let read = |levels| decode_with(nested(levels).as_bytes(), &limits);
    assert!(read(Limits::MAX_DEPTH).is_ok());
    assert!(matches!(read(Limits::MAX_DEPTH + 1), Err(DecodeError::TooDeep { .. })));
    assert!(matches!(read(100_000), Err(DecodeError::TooDeep { .. })));
}

#[test]
fn sizes_are_limited() {
    let limits = Limits { input_elements: 3, input_values: 6, input_bytes: 40, ..Limits::DEFAULT };
    let read = |text: &str| decode_with(text.as_bytes(), &limits);
    assert!(read("({1,2,3,})").is_ok());
    assert_eq!(read("({1,2,3,4,})"), Err(DecodeError::TooManyElements { at: 9, limit: 3 }));
    assert!(read("([1:2,3:4,])").is_ok());
    assert_eq!(
        read("([1:2,3:4,5:6,7:8])"),
        Err(DecodeError::TooManyValues { at: 15, limit: 6 }),
        "keys and values count"
    );
    assert!(read("([1:2,3:4,5:6])").is_err(), "so does the mapping itself");
    assert_eq!(read(&" ".repeat(41)), Err(DecodeError::TooLong { len: 41, limit: 40 }));

    let limits = Limits { output_elements: 3, output_bytes: 10, ..Limits::DEFAULT };
    let write = |value: &Value| encode_with(value, &limits);
    assert_eq!(write(&array([1.into(), 2.into(), 3.into()])).unwrap(), "({1,2,3,})", "exactly ten bytes");
    assert_eq!(write(&array([1.into(), 2.into(), 30.into()])), Err(EncodeError::TooLong { limit: 10 }));
    assert_eq!(write(&string("12345678")).unwrap().len(), 10);
    assert_eq!(write(&string("123456789")), Err(EncodeError::TooLong { limit: 10 }));
    assert_eq!(
        write(&Value::Array(vec![Value::ZERO; 4])),
        Err(EncodeError::TooManyElements { len: 4, limit: 3 })
    );
}

#[test]
fn arrays_that_kill_a_driver_are_not_written() {
    let of = |len| Value::Array(vec![Value::ZERO; len]);
    assert!(encode(&of(14_000)).is_ok());
    assert_eq!(encode(&of(15_000)), Err(EncodeError::TooManyElements { len: 15_000, limit: 14_000 }));
    assert!(decode(format!("({{{}}})", "0,".repeat(20_000)).as_bytes()).is_ok(), "but read");
}

#[test]
fn what_has_no_text_is_refused_or_left_out() {
    assert_eq!(text(&string("a\0b")), r#""ab""#);
    for n in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(encode(&Value::Float(n)), Err(EncodeError::NotFinite));
    }
}

#[test]
fn of_equal_keys_the_last_counts() {
    let Value::Mapping(mapping) = decode(br#"(["a":1,"a":2,])"#).unwrap() else { panic!("not a mapping") };
    assert_eq!(mapping.len(), 2);
    assert_eq!(mapping.get("a"), Some(&Value::Int(2)));
    assert!(!mapping.contains_key("b"));
}
