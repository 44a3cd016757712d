//! Who a process is: users, capabilities, namespaces.

use spoor_wire::body::{ABSENT_ID, TOLD_CAPABILITIES};

/// Users, capabilities and namespaces of a process. Absent is what the attach point did not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Real user.
    pub uid: Option<u32>,
    /// Effective user.
    pub euid: Option<u32>,
    /// Saved user.
    pub suid: Option<u32>,
    /// Real group.
    pub gid: Option<u32>,
    /// Effective group.
    pub egid: Option<u32>,
    /// Capabilities in force, one bit each.
    pub effective: Option<u64>,
    /// Capabilities that can be taken up.
    pub permitted: Option<u64>,
    /// Inode number of the user namespace.
    pub user_ns: Option<u32>,
    /// Of the mount namespace.
    pub mnt_ns: Option<u32>,
    /// Of the network namespace.
    pub net_ns: Option<u32>,
    /// Of the pid namespace of children.
    pub pid_ns: Option<u32>,
}

/// A change of who a process is: only what differs is there, on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdentityChange {
    /// Before.
    pub from: Ids,
    /// After.
    pub to: Ids,
}

/// Keeps of a pair of values what differs.
fn differ<T: PartialEq>(from: Option<T>, to: Option<T>) -> (Option<T>, Option<T>) {
    if from == to { (None, None) } else { (from, to) }
}

impl IdentityChange {
    /// Of what a probe told. An attach point that does not know what was before tells only what is.
    #[must_use]
    pub fn of(wire: &spoor_wire::Identity) -> Self {
        let (from, to) = (ids(&wire.from), ids(&wire.to));
        let mut change = IdentityChange::default();
        (change.from.uid, change.to.uid) = differ(from.uid, to.uid);
        (change.from.euid, change.to.euid) = differ(from.euid, to.euid);
        (change.from.suid, change.to.suid) = differ(from.suid, to.suid);
        (change.from.gid, change.to.gid) = differ(from.gid, to.gid);
        (change.from.egid, change.to.egid) = differ(from.egid, to.egid);
        (change.from.effective, change.to.effective) = differ(from.effective, to.effective);
        (change.from.permitted, change.to.permitted) = differ(from.permitted, to.permitted);
        (change.from.user_ns, change.to.user_ns) = differ(from.user_ns, to.user_ns);
        (change.from.mnt_ns, change.to.mnt_ns) = differ(from.mnt_ns, to.mnt_ns);
        (change.from.net_ns, change.to.net_ns) = differ(from.net_ns, to.net_ns);
        (change.from.pid_ns, change.to.pid_ns) = differ(from.pid_ns, to.pid_ns);
        change
    }

    /// Fills in what was before, where the attach point did not know, from what was told of the process last; keeps what
    /// differs.
    pub fn since(&mut self, uid: u32, euid: u32, gid: u32) {
        for (from, to, known) in [
            (&mut self.from.uid, &mut self.to.uid, uid),
            (&mut self.from.euid, &mut self.to.euid, euid),
            (&mut self.from.gid, &mut self.to.gid, gid),
        ] {
            if from.is_none() && to.is_some() {
                (*from, *to) = differ(Some(known), *to);
            }
        }
    }

    /// Whether nothing differs.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.to == Ids::default() && self.from == Ids::default()
    }
}

fn ids(wire: &spoor_wire::Ids) -> Ids {
    let known = |value: u32| (value != ABSENT_ID).then_some(value);
    let capabilities = |value: u64| (wire.told & TOLD_CAPABILITIES != 0).then_some(value);
    Ids {
        uid: known(wire.uid),
        euid: known(wire.euid),
        suid: known(wire.suid),
        gid: known(wire.gid),
        egid: known(wire.egid),
        effective: capabilities(wire.effective),
        permitted: capabilities(wire.permitted),
        user_ns: known(wire.user_ns),
        mnt_ns: known(wire.mnt_ns),
        net_ns: known(wire.net_ns),
        pid_ns: known(wire.pid_ns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs() {
        let told = TOLD_CAPABILITIES;
        let root = spoor_wire::Ids { user_ns: ABSENT_ID, mnt_ns: 7, told, ..spoor_wire::Ids::default() };
        let other = spoor_wire::Ids { euid: 34, effective: 1, ..root };
        let change = IdentityChange::of(&spoor_wire::Identity { from: root, to: other });
        let from = Ids { euid: Some(0), effective: Some(0), ..Ids::default() };
        let to = Ids { euid: Some(34), effective: Some(1), ..Ids::default() };
        assert_eq!(change, IdentityChange { from, to });
        assert!(IdentityChange::of(&spoor_wire::Identity { from: root, to: root }).is_none());
    }

    #[test]
    fn what_was_before_may_be_unknown() {
        let mut absent = spoor_wire::Ids { uid: ABSENT_ID, euid: ABSENT_ID, ..spoor_wire::Ids::default() };
        (absent.suid, absent.gid, absent.egid) = (ABSENT_ID, ABSENT_ID, ABSENT_ID);
        let now = spoor_wire::Ids { uid: 34, ..spoor_wire::Ids::default() };
        let change = IdentityChange::of(&spoor_wire::Identity { from: absent, to: now });
        assert_eq!((change.from.uid, change.to.uid), (None, Some(34)));
        let mut since = change;
        since.since(0, 0, 0);
        assert_eq!((since.from.uid, since.to.uid), (Some(0), Some(34)));
        let mut same = IdentityChange { to: Ids { uid: Some(34), ..Ids::default() }, ..change };
        same.since(34, 34, 34);
        assert!(same.is_none());
        assert_eq!(change.to.effective, None);
    }
}
