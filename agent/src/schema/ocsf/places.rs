//! Where OCSF has values, as far as records have them.

use crate::schema::target::{Places, Spot, Target};

const COUNT: usize = 90;
/// Where OCSF has values, in order.
pub(super) static PLACES: Places<COUNT> = Places::new([
    "activity_id",
    "activity_name",
    "actor.app_name",
    "actor.process.cmd_line",
    "actor.process.cpid",
    "actor.process.file.name",
    "actor.process.file.path",
    "actor.process.file.type_id",
    "actor.process.name",
    "actor.process.parent_process.pid",
    "actor.process.parent_process.uid",
    "actor.process.pid",
    "actor.process.uid",
    "actor.session.uid",
    "actor.user.name",
    "actor.user.programmatic_credentials",
    "actor.user.type",
    "actor.user.type_id",
    "actor.user.uid",
    "app.name",
    "app.vendor_name",
    "app.version",
    "category_name",
    "category_uid",
    "class_name",
    "class_uid",
    "connection_info.direction",
    "connection_info.direction_id",
    "connection_info.protocol_name",
    "connection_info.protocol_num",
    "connection_info.protocol_ver_id",
    "count",
    "device.boot_uid",
    "device.hostname",
    "device.os.kernel_release",
    "device.os.name",
    "device.os.type_id",
    "device.type_id",
    "device.uid",
    "dst_endpoint.hostname",
    "dst_endpoint.ip",
    "dst_endpoint.name",
    "dst_endpoint.port",
    "dst_endpoint.uid",
    "duration",
    "end_time",
    "exit_code",
    "file.name",
    "file.owner.uid",
    "file.path",
    "file.type_id",
    "file.uid",
    "finding_info.title",
    "finding_info.uid",
    "is_alert",
    "launch_type_id",
    "message",
    "metadata.correlation_uid",
    "metadata.event_code",
    "metadata.log_name",
    "metadata.log_version",
    "metadata.original_time",
    "metadata.product.name",
    "metadata.product.vendor_name",
    "metadata.profiles",
    "metadata.sequence",
    "metadata.uid",
    "metadata.version",
    "process.cmd_line",
    "process.cpid",
    "process.file.name",
    "process.file.path",
    "process.file.type_id",
    "process.name",
    "process.parent_process.pid",
    "process.parent_process.uid",
    "process.pid",
    "process.uid",
    "severity",
    "severity_id",
    "src_endpoint.hostname",
    "src_endpoint.ip",
    "src_endpoint.port",
    "start_time",
    "status_code",
    "status_detail",
    "status_id",
    "time",
    "type_uid",
    "unmapped",
]);

/// The place at a path.
macro_rules! place {
    ($path:expr) => {
        const { $crate::schema::ocsf::places::PLACES.spot($path) }
    };
}
pub(super) use place;

/// An event on its way.
pub(super) type Event<'a> = Target<'a, COUNT>;

/// Where a process has what is known of it.
pub(super) struct Process {
    pub(super) uid: Spot,
    pub(super) cpid: Spot,
    pub(super) pid: Spot,
    pub(super) name: Spot,
    pub(super) program: Program,
    pub(super) cmd_line: Spot,
    pub(super) parent_uid: Spot,
    pub(super) parent_pid: Spot,
}

/// Where a program has its path, and what the path says.
pub(super) struct Program {
    pub(super) name: Spot,
    pub(super) path: Spot,
    pub(super) type_id: Spot,
}

macro_rules! process_at {
    ($path:literal) => {
        Process {
            uid: place!(concat!($path, ".uid")),
            cpid: place!(concat!($path, ".cpid")),
            pid: place!(concat!($path, ".pid")),
            name: place!(concat!($path, ".name")),
            program: Program {
                name: place!(concat!($path, ".file.name")),
                path: place!(concat!($path, ".file.path")),
                type_id: place!(concat!($path, ".file.type_id")),
            },
            cmd_line: place!(concat!($path, ".cmd_line")),
            parent_uid: place!(concat!($path, ".parent_process.uid")),
            parent_pid: place!(concat!($path, ".parent_process.pid")),
        }
    };
}

/// The process that acts.
pub(super) const ACTOR_PROCESS: Process = process_at!("actor.process");
/// The one that is acted upon.
pub(super) const PROCESS: Process = process_at!("process");
