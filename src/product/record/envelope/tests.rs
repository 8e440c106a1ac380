use super::*;
use proptest::prelude::*;

const PLACEMENT: Placement = Placement {
    incarnation: 0xfeed_f00d,
    position: 512,
    durable_address: 90,
};

fn frame(record: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; ENVELOPE_BYTES];
    frame.extend_from_slice(record);
    let part = LogPart {
        kind: EntryKind::NoOp,
        index: 7,
        term: 3,
        address: 90,
        record_bytes: 0,
        previous_hash: 0x1122_3344_5566_7788,
        hash: 0,
    };
    seal(&mut frame, part);
    place(&mut frame, PLACEMENT);
    frame
}

fn parse_here(bytes: &[u8]) -> Parsed {
    parse(bytes, PLACEMENT.incarnation, PLACEMENT.position)
}

#[test]
fn an_envelope_is_these_bytes() {
    insta::assert_snapshot!(crate::record::hex(&frame(b"no operation")));
}

#[test]
fn a_sealed_and_placed_record_parses_back_and_points_to_the_next() {
    let Parsed::Entry(envelope) = parse_here(&frame(b"abc")) else {
        panic!("not whole")
    };
    assert_eq!(envelope.placement, PLACEMENT);
    assert_eq!(
        (envelope.log.index, envelope.log.term, envelope.log.address),
        (7, 3, 90)
    );
    assert_eq!(envelope.log.end_address(), 90 + 83);
}

#[test]
fn every_flipped_bit_is_noticed_wherever_it_is() {
    let whole = frame(b"some record");
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let parsed = parse_here(&flipped);
        assert!(
            matches!(parsed, Parsed::Bad { .. }),
            "bit {bit}: {parsed:?}"
        );
    }
}

#[test]
fn a_flipped_record_leaves_the_headers_own_words_standing() {
    let mut rotten = frame(b"abc");
    *rotten.last_mut().expect("a byte") ^= 1;
    let Parsed::Bad {
        defect: Defect::Hash,
        header: Some(header),
    } = parse_here(&rotten)
    else {
        panic!("the header verifies")
    };
    assert_eq!(header.placement.durable_address, 90);
}

/// The hash alone must notice a change of index, term, address, length,
/// kind or previous hash: on another disk the placement part is remade.
#[test]
fn a_changed_log_part_is_noticed_behind_a_remade_placement() {
    for at in 40..77 {
        let mut changed = frame(b"some record");
        changed[at] ^= 2;
        place(&mut changed, PLACEMENT);
        let parsed = parse_here(&changed);
        assert!(!matches!(parsed, Parsed::Entry(_)), "byte {at}: {parsed:?}");
    }
}

#[test]
fn a_copy_has_a_new_placement_and_the_same_log_part() {
    let mut copy = frame(b"abc");
    let log_part = copy[32..].to_vec();
    place(
        &mut copy,
        Placement {
            incarnation: 1,
            position: 4096,
            durable_address: 0,
        },
    );
    assert_eq!(copy[32..], log_part);
    assert!(matches!(parse(&copy, 1, 4096), Parsed::Entry(_)));
}

#[test]
fn blank_foreign_misplaced_and_short_are_told_apart() {
    let whole = frame(b"abc");
    assert_eq!(parse_here(&[0; 600]), Parsed::Blank);
    assert_eq!(
        parse(&whole, 1, 512),
        Parsed::OtherIncarnation {
            incarnation: 0xfeed_f00d,
            framed_bytes: 83
        }
    );
    let misplaced = Defect::Misplaced { written_for: 512 };
    assert_eq!(
        parse(&whole, PLACEMENT.incarnation, 1024),
        Parsed::Bad {
            defect: misplaced,
            header: None
        }
    );
    assert_eq!(
        parse_here(&whole[..79]),
        Parsed::Short {
            needed_bytes: 80,
            header: None
        }
    );
    assert!(matches!(
        parse_here(&whole[..82]),
        Parsed::Short {
            needed_bytes: 83,
            header: Some(_)
        }
    ));
}

#[test]
fn a_claim_beyond_itself_is_no_claim() {
    let mut boast = frame(b"abc");
    place(
        &mut boast,
        Placement {
            durable_address: 91,
            ..PLACEMENT
        },
    );
    assert_eq!(
        parse_here(&boast),
        Parsed::Bad {
            defect: Defect::Claim,
            header: None
        }
    );
}

#[test]
fn a_mark_parses_back() {
    let mark = Mark {
        placement: PLACEMENT,
        next_index: 8,
        term: 3,
        hash: 99,
    };
    let mut bytes = Vec::new();
    encode_mark(&mut bytes, mark);
    assert_eq!(parse_here(&bytes), Parsed::Mark(mark));
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>, incarnation: u64, position: u64) {
        prop_assert!(!matches!(parse(&bytes, incarnation, position), Parsed::Entry(_)));
    }

    /// Random bytes seldom get past the magic: these do.
    #[test]
    fn arbitrary_headers_with_a_valid_checksum_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 80..200)) {
        let Placement { incarnation, position, durable_address } = PLACEMENT;
        place(&mut bytes, Placement { incarnation, position, durable_address });
        prop_assert!(!matches!(parse_here(&bytes), Parsed::Entry(_)));
    }
}
