//! Many sends in one system call, through a ring of the kernel's (io_uring(7)).
//!
//! It is used for nothing else (docs/adr/0020). A send that goes through it waits for no room: when the call returns,
//! each of them has ended, and the kernel has none of their bytes any more.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::RawFd;

use io_uring::{IoUring, opcode, types};
use rustix::io::Errno;
use rustix::net::SendFlags;

use super::together::Sent;

/// The ring of one thread.
pub(super) struct Ring(IoUring);

impl Ring {
    /// Fewer sends than that are cheaper one by one.
    pub(super) const LEAST: usize = 4;

    /// One for so many sends at a time. Only the thread that has made it may use it.
    ///
    /// # Errors
    /// If the kernel has none (it needs Linux 6.1), or it is forbidden (`kernel.io_uring_disabled`, seccomp).
    pub(super) fn new(most: usize) -> io::Result<Self> {
        let most = u32::try_from(most).map_err(io::Error::other)?;
        let mut builder = IoUring::builder();
        // One that fails does not hold up those behind it. The other two say what it is not used for.
        builder.setup_submit_all();
        builder.setup_single_issuer().setup_defer_taskrun();
        Ok(Self(builder.build(most)?))
    }

    /// Sends bytes to each of these sockets. `sent` is what became of them, in their order; `None` if that one was not
    /// tried.
    ///
    /// # Errors
    /// If the ring does not work. It is not to be used any more.
    pub(super) fn send<'a>(
        &mut self,
        sends: impl Iterator<Item = (RawFd, &'a [u8])>,
        sent: &mut Vec<Option<Sent>>,
    ) -> io::Result<()> {
        sent.clear();
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        for (number, (socket, bytes)) in sends.enumerate() {
            let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            let send = opcode::Send::new(types::Fd(socket), bytes.as_ptr(), len)
                .flags(flags.bits().cast_signed())
                .build()
                .user_data(number as u64);
            // SAFETY: the bytes outlive `'a`, and with it this call. No send is under way behind it: with
            // MSG_DONTWAIT the kernel ends each while it takes it in, and all of them are waited for below.
            unsafe { self.0.submission().push(&send) }.map_err(io::Error::other)?;
            sent.push(None);
        }
        let mut ended = 0;
        while ended < sent.len() {
            let before = ended;
            let taken_in = match self.0.submit_and_wait(sent.len() - ended) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                taken_in => taken_in?,
            };
            for event in self.0.completion() {
                let slot = usize::try_from(event.user_data()).map(|number| sent.get_mut(number));
                if let Ok(Some(slot)) = slot {
                    // An error is a negative number.
                    let result = event.result();
                    *slot = Some(match usize::try_from(result) {
                        Ok(taken) => Ok(taken),
                        Err(_) => Err(Errno::from_raw_os_error(-result)),
                    });
                }
                ended += 1;
            }
            if taken_in == 0 && ended == before {
                return Err(io::ErrorKind::WriteZero.into());
            }
        }
        Ok(())
    }
}
