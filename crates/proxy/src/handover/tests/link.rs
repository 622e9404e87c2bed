//! The connection: whatever is cut off, wrong or too much.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use serde_bytes::ByteBuf;

use super::super::link::{Link, LinkError, Packet};
use super::super::message::{self, FromPredecessor, FromSuccessor, Hello, Refused, Welcome};

/// Both ends.
fn pair() -> (Link, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (Link::new(ours).unwrap(), theirs)
}

fn batch() -> FromPredecessor {
    FromPredecessor::Batch {
        batch: 7,
        pairs: vec![ByteBuf::from(vec![1; 300]), ByteBuf::from(Vec::new())],
    }
}

/// What a message looks like on the way.
async fn bytes_of(body: &[u8]) -> Vec<u8> {
    let (link, mut there) = pair();
    link.send(body, &[]).await.unwrap();
    drop(link);
    let mut bytes = Vec::new();
    there.read_to_end(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_message_arrives_with_its_descriptors_and_no_others() {
    let (here, there) = pair();
    let mut there = Link::new(there).unwrap();
    let (mut one, other) = UnixStream::pair().unwrap();
    let body = message::encode(&batch());
    here.send(&body, &[other.as_fd(), other.as_fd()])
        .await
        .unwrap();
    here.send(b"plain", &[]).await.unwrap();
    here.send(b"", &[other.as_fd()]).await.unwrap();
    drop(other);

    let Packet {
        body,
        descriptors,
        sent,
    } = there.receive().await.unwrap();
    assert_eq!(message::decode::<FromPredecessor>(&body).unwrap(), batch());
    assert_eq!((descriptors.len(), sent), (2, 2));
    let second = there.receive().await.unwrap();
    assert_eq!((&*second.body, second.sent), (&b"plain"[..], 0));
    let third = there.receive().await.unwrap();
    assert_eq!((third.body.len(), third.sent), (0, 1));

    // They are the socket that was sent, and nobody has kept another.
    let came = UnixStream::from(descriptors.into_iter().next().unwrap());
    (&came).write_all(b"x").unwrap();
    drop((came, third));
    let mut read = Vec::new();
    one.read_to_end(&mut read).unwrap();
    assert_eq!(read, b"x");
}

#[tokio::test]
async fn as_many_descriptors_as_the_kernel_carries_arrive() {
    let (here, there) = pair();
    let mut there = Link::new(there).unwrap();
    let (_one, other) = UnixStream::pair().unwrap();
    let most = [other.as_fd(); Link::DESCRIPTORS_MAX];
    here.send(b"all", &most).await.unwrap();
    let packet = there.receive().await.unwrap();
    assert_eq!(packet.descriptors.len(), Link::DESCRIPTORS_MAX);
}

#[tokio::test]
async fn a_message_larger_than_the_socket_arrives_whole() {
    let (here, there) = pair();
    let mut there = Link::new(there).unwrap();
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    let (sent, came) = tokio::join!(here.send(&body, &[]), there.receive());
    sent.unwrap();
    assert!(came.unwrap().body == body);
}

#[tokio::test]
async fn reading_that_is_given_up_and_begun_again_loses_nothing() {
    let (mut link, mut there) = pair();
    let body = message::encode(&batch());
    for byte in bytes_of(&body).await {
        let pending = tokio::time::timeout(std::time::Duration::ZERO, link.receive()).await;
        assert!(pending.is_err(), "the message is not whole yet");
        there.write_all(&[byte]).unwrap();
    }
    assert_eq!(link.receive().await.unwrap().body, body);
}

#[tokio::test]
async fn a_message_that_is_cut_off_anywhere_is_none_and_leaves_no_descriptor() {
    let body = message::encode(&batch());
    let bytes = bytes_of(&body).await;
    for len in 1..bytes.len() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (one, other) = UnixStream::pair().unwrap();
        send_with(&theirs, &bytes[..len], other);
        drop(theirs);
        let mut link = Link::new(ours).unwrap();
        assert!(matches!(
            link.receive().await,
            Err(LinkError::Descriptors { .. } | LinkError::Gone)
        ));
        drop(link);
        assert_closed(one);
    }
}

#[tokio::test]
async fn what_is_no_message_is_told_from_one() {
    for (bytes, expected) in [
        (&b"GET / HTTP/1.1\r\n\r\n"[..], "no message of a hand-over"),
        (b"lbdb\xff\xff\xff\xff\0\0", "larger than any should be"),
        (b"lbdb\0\0\0\0\x01\0", "256 descriptors"),
    ] {
        let (mut link, mut there) = pair();
        there.write_all(bytes).unwrap();
        let error = link.receive().await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[tokio::test]
async fn descriptors_that_nobody_spoke_of_are_closed() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let (one, other) = UnixStream::pair().unwrap();
    send_with(&theirs, &bytes_of(b"plain").await, other);
    let mut link = Link::new(ours).unwrap();
    let error = link.receive().await.unwrap_err();
    assert!(
        matches!(error, LinkError::Descriptors { said: 0, came: 1 }),
        "{error}"
    );
    drop(link);
    assert_closed(one);
}

#[tokio::test]
async fn who_has_gone_is_told_from_who_is_silent() {
    let (mut link, there) = pair();
    drop(there);
    assert!(matches!(link.receive().await, Err(LinkError::Gone)));
    assert!(matches!(link.send(b"x", &[]).await, Err(LinkError::Gone)));
}

#[test]
fn a_message_may_have_fields_that_a_later_release_added() {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Later {
        Hello {
            oldest: u16,
            newest: u16,
            room: u64,
            mood: &'static str,
        },
    }
    let later = Later::Hello {
        oldest: 1,
        newest: 3,
        room: 9,
        mood: "fine",
    };
    let FromSuccessor::Hello(hello) = message::decode(&message::encode(&later)).unwrap() else {
        panic!("it is a hello");
    };
    assert_eq!((hello.newest, hello.common_version()), (3, Some(1)));
}

#[test]
fn versions_without_one_in_common_are_found_out() {
    let hello = |oldest, newest| Hello {
        oldest,
        newest,
        program: String::new(),
        pid: 1,
        room: 0,
    };
    assert_eq!(hello(2, 3).common_version(), None);
    assert_eq!(hello(0, 0).common_version(), None);
    assert_eq!(hello(0, 1).common_version(), Some(1));
}

#[test]
fn what_is_written_is_read_again_and_rubbish_is_an_error() {
    let messages = [
        FromPredecessor::Welcome(Welcome {
            version: 1,
            program: "0.1.0".to_owned(),
            pid: 4,
            listeners: vec![message::Listening {
                name: "main".to_owned(),
                address: "127.0.0.1:80".parse().unwrap(),
                is_lent: true,
                file: None,
            }],
            admin: None,
            admin_file: None,
            lingering: Vec::new(),
            last_pair: 12,
        }),
        FromPredecessor::Go { batch: 1 },
        FromPredecessor::End(message::End::default()),
        batch(),
    ];
    for said in messages {
        let bytes = message::encode(&said);
        assert_eq!(message::decode::<FromPredecessor>(&bytes).unwrap(), said);
        for len in 0..bytes.len() {
            assert!(message::decode::<FromPredecessor>(&bytes[..len]).is_err());
        }
        let more = [&bytes[..], b"\0"].concat();
        assert!(message::decode::<FromPredecessor>(&more).is_err());
        // Whatever it is now, it is no panic.
        for place in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[place] ^= 0x5a;
            let _ = message::decode::<FromPredecessor>(&wrong);
        }
    }
    let refusal = FromSuccessor::Ready {
        batch: 3,
        refused: vec![Refused {
            place: 1,
            reason: "no such route".to_owned(),
        }],
    };
    let bytes = message::encode(&refusal);
    assert_eq!(message::decode::<FromSuccessor>(&bytes).unwrap(), refusal);
}

/// Writes bytes with a descriptor, as they are.
fn send_with(stream: &UnixStream, bytes: &[u8], descriptor: UnixStream) {
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
    let parts = [std::io::IoSlice::new(bytes)];
    let sent = sendmsg(stream, &parts, &mut control, SendFlags::empty()).unwrap();
    assert_eq!(sent, bytes.len());
}

/// The other end of this one is open nowhere.
fn assert_closed(mut one: UnixStream) {
    one.set_nonblocking(true).unwrap();
    assert_eq!(one.read(&mut [0]).expect("its end"), 0);
}
