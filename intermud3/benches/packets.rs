//! How fast packets are read and written: one core, the common kinds and the largest.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use intermud3::packet::{Body, EntryForm, MudEntry, Mudlist};
use intermud3::{Header, Mapping, Packet, Value};

fn main() {
    // Once a large block was freed, glibc keeps freed memory, as it does in a process that has run for a while.
    // Else it gives the memory of each mudlist back, and pays for it again in page faults.
    drop(black_box(Vec::<u8>::with_capacity(8 << 20)));
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    for (name, packet) in packets() {
        bench(&mut criterion, name, &packet);
    }
    criterion.final_summary();
}

fn bench(criterion: &mut Criterion, name: &str, packet: &Packet) {
    let Ok(text) = packet.encode() else { panic!("{name} has no text") };
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("decode", |b| b.iter(|| Packet::decode(black_box(&text))));
    group.bench_function("encode", |b| b.iter(|| black_box(packet).encode()));
    group.finish();
}

fn packets() -> [(&'static str, Packet); 3] {
    let read = |text: &str| match Packet::decode(text.as_bytes()) {
        Ok(packet) => packet,
        Err(error) => panic!("{text}: {error}"),
    };
    let said = r#"({"channel-m",5,"Bloodlines","quixadhal",0,0,"imud_gossip","Quixadhal","so the router drops it, and says \"nothing\"?",})"#;
    let told = r#"({"tell",5,"Bloodlines","quixadhal","LuminariMUD","ornir","Quixadhal","are you there? the link was down",})"#;
    [("channel-m", read(said)), ("tell", read(told)), ("mudlist-200", mudlist(200))]
}

/// As a large live network has them: about 400 bytes a mud.
fn mudlist(len: usize) -> Packet {
    let muds = (0..len).map(|n| (format!("Mud number {n}"), Some(entry(n)))).collect();
    Packet {
        header: Header::to_mud("*i4", "LuminariMUD"),
        body: Body::Mudlist(Mudlist { id: 42, muds, unreadable: Vec::new() }),
    }
}

fn entry(n: usize) -> MudEntry {
    let names = ["tell", "emoteto", "who", "finger", "locate", "channel", "auth", "ucache", "file", "mail"];
    let ports = [("http", 80), ("oob", 5552), ("smtp", 25)];
    let services = names.into_iter().map(|name| (name, 1)).chain(ports).collect();
    let other: Mapping = [
        ("native version", Value::from("3.9")),
        ("os build", "Linux".into()),
        ("architecture", "Intel 64-bit".into()),
        ("upsince", 1_795_418_241.into()),
    ]
    .into_iter()
    .collect();
    MudEntry {
        state: if n.is_multiple_of(3) { MudEntry::DOWN } else { MudEntry::UP },
        address: format!("203.0.113.{}", n % 256),
        player_port: 4000,
        imud_tcp_port: 4008,
        imud_udp_port: 4008,
        mudlib: "Dead Souls 3.9".into(),
        base_mudlib: "Dead Souls 3.9".into(),
        driver: "FluffOS v2019.20260101".into(),
        mud_type: "LPMud".into(),
        open_status: "open for public".into(),
        admin_email: format!("admin@mud{n}.example"),
        services,
        other_data: other.into(),
        form: EntryForm::Full,
    }
}
