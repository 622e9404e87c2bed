use super::*;

fn decode(bytes: &[u8]) -> Result<(Relayed, usize), NotAProxyHeader> {
    match ProxyHeader::decode(bytes)? {
        Decoded::Whole { header, length } => Ok((header.relayed, length)),
        Decoded::Incomplete { missing } => panic!("{missing} bytes are missing"),
    }
}

fn ip(source: &str, destination: &str) -> Relayed {
    Relayed::Ip {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

/// A header of version 2.
fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [v2::SIGNATURE, &[command, family], &length, block].concat()
}

fn field(kind: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap().to_be_bytes();
    [&[kind], &length[..], value].concat()
}

const OVER_IPV4: [u8; 12] = [192, 0, 2, 1, 192, 0, 2, 2, 0x10, 0, 0, 80];

/// Nothing is decided before the last byte, and nothing behind it is looked at.
#[track_caller]
fn expect_whole(header: &[u8], relayed: Relayed) {
    for cut in 0..header.len() {
        let so_far = ProxyHeader::decode(&header[..cut]);
        let Ok(Decoded::Incomplete { missing }) = so_far else {
            panic!("{so_far:?} after {cut} bytes");
        };
        assert!(
            (1..=header.len() - cut).contains(&missing),
            "{missing} after {cut}"
        );
    }
    assert_eq!(decode(header), Ok((relayed, header.len())));
    let more = [header, b"GET / HTTP/1.1\r\n\r\n"].concat();
    assert_eq!(decode(&more), Ok((relayed, header.len())));
}

#[test]
fn version_1_is_a_line() {
    for (line, relayed) in [
        (
            "PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\r\n",
            ip("192.0.2.1:4000", "198.51.100.2:443"),
        ),
        (
            "PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n",
            ip("[2001:db8::1]:0", "[2001:db8::2]:65535"),
        ),
        ("PROXY UNKNOWN\r\n", Relayed::Unknown),
        (
            "PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n",
            Relayed::Unknown,
        ),
    ] {
        expect_whole(line.as_bytes(), relayed);
    }
}

#[test]
fn a_line_that_says_something_else_is_none() {
    for line in [
        "PROXY \r\n",
        "PROXY TCP5 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
        "PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n",
        "PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n",
        "PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
        "PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n\r\n",
        "PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n",
        "PROXY UNKNOWNS\r\n",
    ] {
        assert_eq!(
            decode(line.as_bytes()),
            Err(NotAProxyHeader::Unreadable),
            "{line:?}"
        );
    }
    for other in ["GET / HTTP/1.1\r\n", "PROXX", "proxy ", "\r\n\r\nGET", "\0"] {
        assert_eq!(
            decode(other.as_bytes()),
            Err(NotAProxyHeader::Other),
            "{other:?}"
        );
    }
}

#[test]
fn a_line_has_107_bytes_at_most() {
    let line = |length: usize| {
        let filler = "x".repeat(length - "PROXY UNKNOWN \r\n".len());
        format!("PROXY UNKNOWN {filler}\r\n")
    };
    expect_whole(line(107).as_bytes(), Relayed::Unknown);
    let long = line(108);
    assert_eq!(decode(long.as_bytes()), Err(NotAProxyHeader::Endless));
    assert_eq!(
        decode(&long.as_bytes()[..107]),
        Err(NotAProxyHeader::Endless)
    );
}

#[test]
fn version_2_has_addresses_of_either_family() {
    let over_ipv6 = [&[0; 15][..], &[1], &[0; 15], &[2], &[0, 1, 0, 2]].concat();
    expect_whole(
        &v2(0x21, 0x11, &OVER_IPV4),
        ip("192.0.2.1:4096", "192.0.2.2:80"),
    );
    expect_whole(&v2(0x21, 0x21, &over_ipv6), ip("[::1]:1", "[::2]:2"));
    expect_whole(&v2(0x21, 0x31, &[0; 216]), Relayed::Unix);
    expect_whole(&v2(0x21, 0x00, &[]), Relayed::Unknown);
    // Of datagrams.
    expect_whole(&v2(0x21, 0x12, &OVER_IPV4), Relayed::Unknown);
}

#[test]
fn of_a_local_connection_the_rest_is_ignored() {
    expect_whole(&v2(0x20, 0x00, &[]), Relayed::Local);
    expect_whole(&v2(0x20, 0x11, &OVER_IPV4), Relayed::Local);
    expect_whole(&v2(0x20, 0xff, &[1, 2, 3]), Relayed::Local);
}

#[test]
fn unknown_versions_commands_and_families_are_refused_as_soon_as_they_are_there() {
    for command in [0x00, 0x01, 0x11, 0x22, 0x2f, 0x31, 0xff] {
        let header = v2(command, 0x11, &OVER_IPV4);
        assert_eq!(
            decode(&header[..16]),
            Err(NotAProxyHeader::Command(command))
        );
    }
    for family in [0x03, 0x13, 0x14, 0x41, 0xff] {
        let header = v2(0x21, family, &[0; 300]);
        assert_eq!(decode(&header), Err(NotAProxyHeader::Family(family)));
    }
}

#[test]
fn addresses_have_to_be_whole() {
    for (family, size) in [(0x11, 12), (0x21, 36), (0x31, 216), (0x12, 12)] {
        let header = v2(0x21, family, &vec![0; size - 1]);
        assert_eq!(decode(&header), Err(NotAProxyHeader::Short), "{family:#x}");
    }
}

#[test]
fn fields_are_read_and_unknown_ones_skipped() {
    let of_tls = [
        field(0x21, b"TLSv1.3"),
        field(0x23, b"AES"),
        field(0x22, b"joe"),
    ]
    .concat();
    let tls = [&[0x07, 0, 0, 0, 0][..], &of_tls].concat();
    let fields = [
        field(0x01, b"h2"),
        field(0xea, b"\x01vpce-1"),
        field(0x02, b"chat.example"),
        field(0x05, b"id-1"),
        field(0x04, b""),
        field(0x20, &tls),
    ];
    let header = v2(0x21, 0x11, &[&OVER_IPV4[..], &fields.concat()].concat());
    let Ok(Decoded::Whole { header, .. }) = ProxyHeader::decode(&header) else {
        panic!("a header");
    };
    let expected = Extras {
        authority: Some(b"chat.example"),
        alpn: Some(b"h2"),
        unique_id: Some(b"id-1"),
        tls: Some(TlsFacts {
            is_used: true,
            is_verified: true,
            version: Some(b"TLSv1.3"),
            common_name: Some(b"joe"),
        }),
    };
    assert_eq!(header.extras, expected);
}

#[test]
fn a_certificate_is_verified_if_one_was_shown_and_it_was_right() {
    for (client, verify, verified) in [
        (0x01, 0, false),
        (0x03, 0, true),
        (0x05, 0, true),
        (0x03, 1, false),
    ] {
        let fields = field(0x20, &[client, 0, 0, 0, verify]);
        let header = v2(0x21, 0x11, &[&OVER_IPV4[..], &fields].concat());
        let Ok(Decoded::Whole { header, .. }) = ProxyHeader::decode(&header) else {
            panic!("a header");
        };
        let tls = header.extras.tls.unwrap();
        assert_eq!((tls.is_used, tls.is_verified), (true, verified));
    }
}

#[test]
fn a_field_is_no_longer_than_its_header() {
    for fields in [
        &[0x02][..],
        &[0x02, 0],
        &[0x02, 0, 1],
        &field(0x20, &[1, 0, 0, 0]),
        &field(0x20, &[1, 0, 0, 0, 0, 0x21, 0, 9]),
    ] {
        let header = v2(0x21, 0x11, &[&OVER_IPV4[..], fields].concat());
        assert_eq!(decode(&header), Err(NotAProxyHeader::Overrun), "{fields:?}");
    }
}

/// A header may announce 65,535 bytes: they are not collected.
#[test]
fn of_a_long_header_the_beginning_is_looked_at() {
    let fields = [field(0x02, b"a.example"), field(0xe0, &vec![0; 60_000])].concat();
    let header = v2(0x21, 0x11, &[&OVER_IPV4[..], &fields].concat());
    assert!(matches!(
        ProxyHeader::decode(&header[..ProxyHeader::KEPT - 1]),
        Ok(Decoded::Incomplete { missing: 1 })
    ));
    let Ok(Decoded::Whole {
        header: read,
        length,
    }) = ProxyHeader::decode(&header[..ProxyHeader::KEPT])
    else {
        panic!("a header");
    };
    assert_eq!(length, header.len());
    assert_eq!(read.extras.authority, Some(&b"a.example"[..]));
    assert_eq!(read.relayed, ip("192.0.2.1:4096", "192.0.2.2:80"));
}

#[test]
fn what_is_written_is_read_again() {
    let both = [
        ip("192.0.2.1:4000", "198.51.100.2:443"),
        ip("[2001:db8::1]:1", "[2001:db8::2]:2"),
        Relayed::Unknown,
    ];
    for relayed in both {
        expect_whole(&relayed.to_header(ProxyVersion::V1), relayed);
        expect_whole(&relayed.to_header(ProxyVersion::V2), relayed);
    }
    expect_whole(
        &Relayed::Local.to_header(ProxyVersion::V1),
        Relayed::Unknown,
    );
    expect_whole(&Relayed::Local.to_header(ProxyVersion::V2), Relayed::Local);
    expect_whole(&Relayed::Unix.to_header(ProxyVersion::V2), Relayed::Unknown);
}

/// `[::]` takes clients of IPv4 as `::ffff:192.0.2.1`.
#[test]
fn ipv4_is_written_as_such_and_mixed_families_say_nothing() {
    let between = |source: &str, destination: &str| {
        Relayed::between(source.parse().unwrap(), destination.parse().unwrap())
    };
    assert_eq!(
        between("[::ffff:192.0.2.1]:1", "[::ffff:192.0.2.2]:2"),
        ip("192.0.2.1:1", "192.0.2.2:2")
    );
    assert_eq!(between("[2001:db8::1]:1", "192.0.2.2:2"), Relayed::Unknown);
    let mixed = ip("[2001:db8::1]:1", "192.0.2.2:2").to_header(ProxyVersion::V1);
    assert_eq!(mixed, b"PROXY UNKNOWN\r\n");
}
