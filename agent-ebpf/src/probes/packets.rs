//! Names on the wire: answers of name servers, and what clients of TLS say first.
//!
//! Kernel contract: programs of type `cgroup_skb` see each packet at a socket of their cgroups and those below, from its
//! IP header on, in an interrupt or not; what arrives before it is queued, what leaves after the rules of netfilter for
//! what is sent here. 1 lets it pass, and nothing else is ever returned. The packet is not parsed here, only recognized.

use core::ptr::read_volatile;

use aya_ebpf::bindings::{__sk_buff, bpf_sock};
use aya_ebpf::helpers::generated::{bpf_skb_ancestor_cgroup_id, bpf_skb_load_bytes, bpf_tcp_sock};
use aya_ebpf::macros::cgroup_skb;
use aya_ebpf::programs::SkBuffContext;
use spoor_wire::body::{PAYLOAD_MAX, SPAN_TRUNCATED, SPAN_UNREADABLE};
use spoor_wire::{Kind, Payload, Source, Span};

use super::connect::{AF_INET6, pair};
use crate::count::{dropped, number};
use crate::emit::{Head, Sample, Wake, head, ring, wake_flags};
use crate::gate::{muted, scoped};
use crate::maps::{Ends, HELLOS, SCOPE};
use crate::read::masked;
use crate::task;

const PASS: i32 = 1;
const IPPROTO_TCP: u8 = 6;
const IPPROTO_UDP: u8 = 17;
const NAME_SERVER: u16 = 53;
/// Header of a name server's message, and the bit in its third byte that makes it an answer.
const MESSAGE_MIN: u32 = 12;
const IS_ANSWER: u8 = 0x80;
/// Most levels of cgroups above a socket's that are looked at.
const LEVELS_MAX: i32 = 16;

/// `cgroup_skb/ingress`
#[cgroup_skb(ingress)]
pub fn skb_answer(ctx: SkBuffContext) -> i32 {
    if !muted("dns_answer") {
        let _ = answer(ctx.skb.skb);
    }
    PASS
}

/// `cgroup_skb/egress`
#[cgroup_skb(egress)]
pub fn skb_hello(ctx: SkBuffContext) -> i32 {
    if !muted("tls_hello") {
        let _ = hello(ctx.skb.skb);
    }
    PASS
}

/// A value of the packet; `None` beyond its end.
#[inline(always)]
fn at<T: Copy>(skb: *mut __sk_buff, offset: u32) -> Option<T> {
    let mut value = core::mem::MaybeUninit::<T>::uninit();
    // SAFETY: the kernel's packet, and room for the value; the helper checks the offset.
    let read =
        unsafe { bpf_skb_load_bytes(skb.cast(), offset, value.as_mut_ptr().cast(), size_of::<T>() as u32) };
    // SAFETY: written by the helper; `T` is only ever an integer.
    if read == 0 { Some(unsafe { value.assume_init() }) } else { None }
}

#[inline(always)]
fn len(skb: *mut __sk_buff) -> u32 {
    // SAFETY: the kernel's packet.
    unsafe { read_volatile(&raw const (*skb).len) }
}

/// Where the transport's header starts, and whose it is: of a header of IP, from its first byte and the fields for it.
#[inline(always)]
fn transport(skb: *mut __sk_buff) -> Option<(u32, u8)> {
    let (first, v4, v6) = match start(skb) {
        // SAFETY: within the twenty bytes.
        Some(ip) => unsafe { (ip.read_volatile(), ip.add(9).read_volatile(), ip.add(6).read_volatile()) },
        None => (at(skb, 0)?, at(skb, 9)?, at(skb, 6)?),
    };
    match first >> 4 {
        4 => Some((u32::from(first & 0xf) << 2, v4)),
        // Extension headers before the transport's are what neither name servers nor TLS clients send.
        6 => Some((40, v6)),
        _ => None,
    }
}

/// The first twenty bytes of a packet, where they lie in one piece, as they nearly always do: loads are far cheaper than the
/// helper, and every packet of the host passes here.
#[inline(always)]
fn start(skb: *mut __sk_buff) -> Option<*const u8> {
    // SAFETY: fields of the kernel's packet; the verifier makes addresses of them.
    let (data, end) =
        unsafe { (read_volatile(&raw const (*skb).data), read_volatile(&raw const (*skb).data_end)) };
    let data = data as usize as *const u8;
    if data.wrapping_add(20) as usize > end as usize { None } else { Some(data) }
}

#[inline(always)]
fn answer(skb: *mut __sk_buff) -> Option<()> {
    let (header, protocol) = transport(skb)?;
    if protocol != IPPROTO_UDP || u16::from_be(at(skb, header)?) != NAME_SERVER {
        return None;
    }
    let data = header + 8;
    let size = len(skb).checked_sub(data)?;
    if size < MESSAGE_MIN || at::<u8>(skb, data + 2)? & IS_ANSWER == 0 || !in_scope(skb) {
        return None;
    }
    emit(Head { kind: Kind::Answer, source: Source::SkbAnswer, marks: 0 }, 0, skb, (data, size), Wake::Later);
    Some(())
}

/// Whether the socket that the packet is for, belongs to a cgroup that is watched.
#[inline(always)]
fn in_scope(skb: *mut __sk_buff) -> bool {
    if !scoped() {
        return true;
    }
    for level in 0..LEVELS_MAX {
        // SAFETY: the kernel's packet.
        let id = unsafe { bpf_skb_ancestor_cgroup_id(skb, level) };
        if id == 0 {
            return false;
        }
        // SAFETY: only whether it is there.
        if unsafe { SCOPE.get(id) }.is_some() {
            return true;
        }
    }
    false
}

#[inline(always)]
fn hello(skb: *mut __sk_buff) -> Option<()> {
    // SAFETY: a field of the kernel's packet, which may be null.
    let sk = unsafe { read_volatile(&raw const (*skb).__bindgen_anon_2.sk) };
    if sk.is_null() {
        return None;
    }
    // SAFETY: a socket that is not null.
    let tcp = unsafe { bpf_tcp_sock(sk) };
    if tcp.is_null() {
        return None;
    }
    // Once more than the first packet of the handshake was acknowledged, it is not the beginning any more.
    // SAFETY: a socket that is not null.
    if unsafe { read_volatile(&raw const (*tcp).bytes_acked) } > 1 {
        return None;
    }
    let (header, protocol) = transport(skb)?;
    if protocol != IPPROTO_TCP {
        return None;
    }
    let data = header + (u32::from(at::<u8>(skb, header + 12)? >> 4) << 2);
    let size = len(skb).checked_sub(data)?;
    if size == 0 {
        return None;
    }
    let ends = ends(sk);
    // SAFETY: a number, copied at once.
    let conn_id = unsafe { HELLOS.get(ends) }.copied()?;
    // What is said first decides. Whoever comes second with the same packet finds nothing.
    HELLOS.remove(ends).ok()?;
    // A record of the handshake, of any version; in it, a client's hello.
    let [kind, major] = at::<u16>(skb, data)?.to_ne_bytes();
    if kind != 0x16 || major != 3 || at::<u8>(skb, data + 5)? != 1 {
        return None;
    }
    emit(
        Head { kind: Kind::Hello, source: Source::SkbHello, marks: 0 },
        conn_id,
        skb,
        (data, size),
        Wake::Now,
    );
    Some(())
}

/// The ends of a connection as its socket has them: netfilter may have given the packet others.
#[inline(always)]
fn ends(sk: *mut bpf_sock) -> Ends {
    // SAFETY: a socket that is not null. Each field is read by itself and as wide as it is: the verifier of the kernel
    // puts the real field in its place.
    unsafe {
        let family = read_volatile(&raw const (*sk).family);
        let (saddr, daddr) = if family == u32::from(AF_INET6) {
            let from = &raw const (*sk).src_ip6;
            let to = &raw const (*sk).dst_ip6;
            (sixteen(from.cast()), sixteen(to.cast()))
        } else {
            let from = read_volatile(&raw const (*sk).src_ip4);
            let to = read_volatile(&raw const (*sk).dst_ip4);
            ([u64::from(from), 0], [u64::from(to), 0])
        };
        Ends {
            saddr,
            daddr,
            sport: read_volatile(&raw const (*sk).src_port),
            dport: u32::from(u16::from_be(read_volatile(&raw const (*sk).dst_port))),
            family: u64::from(family),
        }
    }
}

/// # Safety
/// `from` must be an address of IPv6 in a `bpf_sock`.
#[inline(always)]
unsafe fn sixteen(from: *const u32) -> [u64; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        [
            pair(read_volatile(from), read_volatile(from.add(1))),
            pair(read_volatile(from.add(2)), read_volatile(from.add(3))),
        ]
    }
}

/// A sample with all the bytes it may carry. The room is fixed: how much is in it, the sample says.
#[repr(C)]
struct Room {
    sample: Sample<Payload>,
    data: [u8; PAYLOAD_MAX as usize],
}

const TAIL: u32 = size_of::<Sample<Payload>>() as u32;
const _: () = assert!(size_of::<Room>() == TAIL as usize + PAYLOAD_MAX as usize);

/// Emits what lies in the packet from an offset on, `payload.1` bytes and at least one.
#[inline(always)]
fn emit(told: Head, conn_id: u64, skb: *mut __sk_buff, payload: (u32, u32), wake: Wake) {
    let (from, size) = payload;
    let seq = number(told.kind);
    let (ring, limit) = ring(told.kind.lane());
    let Some(mut entry) = ring.reserve::<Room>(0) else {
        return dropped(told.kind);
    };
    let room = entry.as_mut_ptr();
    let (wanted, cut) = if size > PAYLOAD_MAX { (PAYLOAD_MAX, SPAN_TRUNCATED) } else { (size, 0) };
    // The helper takes no length of zero, and the verifier must see that it is none.
    let wanted = masked::<{ PAYLOAD_MAX - 1 }>(wanted.wrapping_sub(1)) + 1;
    // SAFETY: the reservation has `PAYLOAD_MAX` bytes there.
    let read = unsafe { bpf_skb_load_bytes(skb.cast(), from, (&raw mut (*room).data).cast(), wanted) };
    let (len, flags) = if read == 0 { (wanted, cut) } else { (0, SPAN_UNREADABLE) };
    // SAFETY: the reservation starts with a whole sample; each part is written before it is submitted.
    unsafe { head(&raw mut (*room).sample.header, told, seq, TAIL + len) };
    // Who is running has nothing to do with it.
    // SAFETY: as above.
    task::fill_key(unsafe { &raw mut (*room).sample.header.task }, 0, 0);
    let body = Payload { conn_id, data: Span { offset: TAIL, len: len as u16, flags } };
    // SAFETY: as above.
    unsafe { (&raw mut (*room).sample.body).write(body) };
    entry.submit(wake_flags(ring, limit, wake));
}
