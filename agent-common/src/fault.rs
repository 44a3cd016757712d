//! The closed list of what can go wrong inside a probe. Counted per source; never printed from the kernel.

/// A kernel-side failure. The values are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fault {
    /// The acting task's fields could not all be read.
    Task = 0,
    /// The file, its inode or its names could not be read.
    File = 1,
    /// The socket or its address could not be read.
    Socket = 2,
    /// Arguments could not be read to their end.
    Argv = 3,
    /// No room for a process mark: the process and its children count as unmarked from here on.
    MarkFull = 4,
    /// No room for a pending connection: its outcome will not be known.
    ConnFull = 5,
    /// A path had more names than are walked.
    PathDepth = 6,
    /// A descriptor was gone before it could be looked at.
    DescriptorGone = 7,
    /// A key was not found by its number, or could not be read.
    Key = 8,
}

impl Fault {
    /// Number of slots in tables indexed by fault.
    pub const SLOTS: u32 = 16;

    /// Every fault, in the order of their numbers.
    pub const ALL: [Fault; 9] = [
        Fault::Task,
        Fault::File,
        Fault::Socket,
        Fault::Argv,
        Fault::MarkFull,
        Fault::ConnFull,
        Fault::PathDepth,
        Fault::DescriptorGone,
        Fault::Key,
    ];

    /// The name used in counters and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Fault::Task => "task-unreadable",
            Fault::File => "file-unreadable",
            Fault::Socket => "socket-unreadable",
            Fault::Argv => "argv-unreadable",
            Fault::MarkFull => "marks-full",
            Fault::ConnFull => "connections-full",
            Fault::PathDepth => "path-too-deep",
            Fault::DescriptorGone => "descriptor-gone",
            Fault::Key => "key-unreadable",
        }
    }
}
