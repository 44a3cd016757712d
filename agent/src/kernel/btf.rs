//! A walker over the kernel's own type description (BTF): where does this kernel keep this field?
//!
//! Reads bytes that the kernel wrote, and trusts them no further than any other input: every offset is checked. Only
//! what the question needs is understood: structs, unions, their members through anonymous nesting, enum values.

use std::collections::HashMap;

/// Why a field could not be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BtfError {
    /// The bytes are no BTF of this machine's endianness.
    #[error("not BTF: {0}")]
    Malformed(&'static str),
    /// The kernel has no such struct.
    #[error("this kernel describes no struct {0}")]
    NoStruct(String),
    /// The struct has no such member.
    #[error("this kernel's struct {strukt} has no member {member}")]
    NoMember {
        /// The struct.
        strukt: String,
        /// The path of members asked for.
        member: String,
    },
    /// The member does not start at a byte.
    #[error("member {member} of struct {strukt} is a bit field")]
    BitField {
        /// The struct.
        strukt: String,
        /// The path of members asked for.
        member: String,
    },
    /// The kernel has no such enum value.
    #[error("this kernel describes no enum value {0}")]
    NoValue(String),
}

const HEADER_LEN: usize = 24;
const MAGIC: u16 = 0xeb9f;
/// Anonymous members nest this deep at most; the kernel's nest three deep.
const NESTING_MAX: u32 = 8;
/// Most members looked at to find one; the kernel's largest struct has some three hundred.
const MEMBERS_MAX: u32 = 100_000;

mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNC_PROTO: u32 = 13;
    pub(super) const VAR: u32 = 14;
    pub(super) const DATASEC: u32 = 15;
    pub(super) const DECL_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// A parsed index over BTF bytes.
pub struct Btf<'a> {
    types: &'a [u8],
    strings: &'a [u8],
    /// Offset of each type in `types`; type 0 is `void` and has none.
    starts: Vec<u32>,
    /// Structs with a name, in the order in which they stand. Names can stand for several.
    structs: HashMap<&'a [u8], Vec<u32>>,
}

#[derive(Clone, Copy)]
struct Type {
    name: u32,
    kind: u32,
    vlen: u32,
    flag: bool,
    /// Size, or the type referred to.
    size_or_type: u32,
    /// Where its particulars start in `types`.
    more: usize,
}

#[derive(Clone, Copy)]
struct Member {
    name: u32,
    of: u32,
    bits: u32,
}

impl<'a> Btf<'a> {
    /// Reads the whole description once.
    ///
    /// # Errors
    /// [`BtfError::Malformed`] where the bytes contradict themselves.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let short = || BtfError::Malformed("it ends within its header");
        if bytes.len() < HEADER_LEN {
            return Err(short());
        }
        let magic = bytes.first_chunk::<2>().map(|magic| u16::from_ne_bytes(*magic));
        if magic != Some(MAGIC) {
            return Err(BtfError::Malformed("wrong magic number"));
        }
        let word = |at| read_u32(bytes, at).ok_or_else(short);
        let header = usize_of(word(4)?);
        let part = |at: u32, len: u32| {
            let start = header.checked_add(usize_of(at))?;
            bytes.get(start..start.checked_add(usize_of(len))?)
        };
        let types = part(word(8)?, word(12)?).ok_or(BtfError::Malformed("types lie outside"))?;
        let strings = part(word(16)?, word(20)?).ok_or(BtfError::Malformed("strings lie outside"))?;
        let mut btf = Btf { types, strings, starts: vec![0], structs: HashMap::new() };
        btf.index()?;
        Ok(btf)
    }

    fn index(&mut self) -> Result<(), BtfError> {
        let mut at = 0;
        while at < self.types.len() {
            let found = self.read(at).ok_or(BtfError::Malformed("a type is cut short"))?;
            let id = u32::try_from(self.starts.len()).map_err(|_| BtfError::Malformed("too many types"))?;
            self.starts.push(u32::try_from(at).map_err(|_| BtfError::Malformed("types too long"))?);
            if found.kind == kind::STRUCT && found.name != 0 {
                self.structs.entry(self.string(found.name)).or_default().push(id);
            }
            at = found.more + found.particulars().ok_or(BtfError::Malformed("a type of unknown kind"))?;
        }
        if at > self.types.len() {
            return Err(BtfError::Malformed("the last type is cut short"));
        }
        Ok(())
    }

    fn read(&self, at: usize) -> Option<Type> {
        let info = read_u32(self.types, at + 4)?;
        Some(Type {
            name: read_u32(self.types, at)?,
            kind: (info >> 24) & 0x1f,
            vlen: info & 0xffff,
            flag: info >> 31 != 0,
            size_or_type: read_u32(self.types, at + 8)?,
            more: at + 12,
        })
    }

    fn get(&self, id: u32) -> Option<Type> {
        if id == 0 {
            return None;
        }
        self.read(usize_of(*self.starts.get(usize_of(id))?))
    }

    fn string(&self, at: u32) -> &'a [u8] {
        let rest = self.strings.get(usize_of(at)..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Follows typedefs and qualifiers.
    fn bare(&self, mut id: u32) -> Option<Type> {
        for _ in 0..32 {
            let found = self.get(id)?;
            match found.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    id = found.size_or_type;
                }
                _ => return Some(found),
            }
        }
        None
    }

    fn members(&self, of: Type) -> impl Iterator<Item = Member> + '_ {
        (0..usize_of(of.vlen)).map_while(move |index| {
            let at = of.more + index * 12;
            let offset = read_u32(self.types, at + 8)?;
            let bits = if of.flag { offset & 0x00ff_ffff } else { offset };
            Some(Member { name: read_u32(self.types, at)?, of: read_u32(self.types, at + 4)?, bits })
        })
    }

    /// A member by name, through anonymous members. Gives its type and its offset in bits. `budget` bounds the members
    /// looked at: a struct that holds itself many times over would else be walked for ever.
    fn member(&self, of: Type, name: &[u8], depth: u32, budget: &mut u32) -> Option<(u32, u32)> {
        if depth > NESTING_MAX || !matches!(of.kind, kind::STRUCT | kind::UNION) {
            return None;
        }
        for member in self.members(of) {
            *budget = budget.checked_sub(1)?;
            if member.name != 0 && self.string(member.name) == name {
                return Some((member.of, member.bits));
            }
            if member.name == 0
                && let Some(inner) = self.bare(member.of)
                && let Some((found, bits)) = self.member(inner, name, depth + 1, budget)
            {
                return Some((found, member.bits.checked_add(bits)?));
            }
        }
        None
    }

    /// A member by a path. Gives its type and its offset in bits.
    fn path(&self, of: Type, path: &str) -> Option<(u32, u32)> {
        let mut at = of;
        let mut total = 0u32;
        let mut names = path.split('.').peekable();
        loop {
            let (found, bits) = self.member(at, names.next()?.as_bytes(), 0, &mut { MEMBERS_MAX })?;
            total = total.checked_add(bits)?;
            if names.peek().is_none() {
                return Some((found, total));
            }
            at = self.bare(found)?;
        }
    }

    /// Offset in bytes of a member, named by a path such as `f_path.dentry`. Where several structs have the name, the
    /// first that has the member counts.
    ///
    /// # Errors
    /// [`BtfError`] says what is missing.
    pub fn offset(&self, strukt: &str, path: &str) -> Result<u32, BtfError> {
        let ids = self.structs.get(strukt.as_bytes()).ok_or_else(|| BtfError::NoStruct(strukt.into()))?;
        match ids.iter().find_map(|id| self.path(self.get(*id)?, path)).map(|(_, bits)| bits) {
            Some(bits) if bits.is_multiple_of(8) => Ok(bits / 8),
            Some(_) => Err(BtfError::BitField { strukt: strukt.into(), member: path.into() }),
            None => Err(BtfError::NoMember { strukt: strukt.into(), member: path.into() }),
        }
    }

    /// Elements of a member that is an array, named as in [`Self::offset`]. `None`: there is no such member, or it is none.
    #[must_use]
    pub fn elements(&self, strukt: &str, path: &str) -> Option<u32> {
        let ids = self.structs.get(strukt.as_bytes())?;
        let (of, _) = ids.iter().find_map(|id| self.path(self.get(*id)?, path))?;
        let array = self.bare(of).filter(|found| found.kind == kind::ARRAY)?;
        // Type of the elements, type of the index, number.
        read_u32(self.types, array.more + 8)
    }

    /// Size of a struct in bytes.
    ///
    /// # Errors
    /// [`BtfError::NoStruct`]
    pub fn size(&self, strukt: &str) -> Result<u32, BtfError> {
        let ids = self.structs.get(strukt.as_bytes());
        let first = ids.and_then(|ids| ids.first()).and_then(|id| self.get(*id));
        first.map(|found| found.size_or_type).ok_or_else(|| BtfError::NoStruct(strukt.into()))
    }

    /// Value of an enumerator, whatever its enum.
    ///
    /// # Errors
    /// [`BtfError::NoValue`]
    pub fn enum_value(&self, name: &str) -> Result<u32, BtfError> {
        for at in self.starts.iter().skip(1) {
            let Some(found) = self.read(usize_of(*at)).filter(|found| found.kind == kind::ENUM) else {
                continue;
            };
            for index in 0..usize_of(found.vlen) {
                let at = found.more + index * 8;
                let Some(label) = read_u32(self.types, at) else {
                    break;
                };
                if self.string(label) == name.as_bytes() {
                    return read_u32(self.types, at + 4).ok_or(BtfError::Malformed("an enum is cut short"));
                }
            }
        }
        Err(BtfError::NoValue(name.into()))
    }
}

impl Type {
    /// Length of what follows the common part.
    fn particulars(self) -> Option<usize> {
        let each = match self.kind {
            kind::INT | kind::VAR | kind::DECL_TAG => return Some(4),
            kind::ARRAY => return Some(12),
            kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => 12,
            kind::ENUM | kind::FUNC_PROTO => 8,
            // Pointers, forwards, typedefs, qualifiers, functions, floats, tags: nothing follows. A kind of the future
            // has a length nobody knows.
            2 | 7..=12 | 16 | 18 => return Some(0),
            _ => return None,
        };
        Some(usize_of(self.vlen) * each)
    }
}

fn usize_of(value: u32) -> usize {
    usize::try_from(value).unwrap_or(usize::MAX)
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.first_chunk::<4>().map(|word| u32::from_ne_bytes(*word))
}
