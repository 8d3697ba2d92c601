//! The part of Python's pickle that PyTorch writes state dicts in, read as data: nothing is imported and nothing is called.
//!
//! A pickle is a program for a stack machine that may name any function of Python and call it. This machine knows the names
//! in [`Global`]; any other is an error that says which. Values lie in one heap and refer to each other by index, so that
//! memory stays within a few times the file's length, whatever the program says.

use candle_core::DType;
use std::collections::HashMap;

/// Index of a value in its heap.
pub(super) type Id = usize;

/// A name that a pickle may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    /// `collections.OrderedDict`.
    Dict,
    /// `torch.Size`.
    Size,
    /// `torch._utils._rebuild_tensor`, `_rebuild_tensor_v2`.
    Tensor,
    /// `torch._utils._rebuild_parameter`.
    Parameter,
    /// `torch.FloatStorage` and its kin.
    Storage(DType),
}

/// All names, as a pickle writes them.
const GLOBALS: &[(&str, &str, Global)] = &[
    ("collections", "OrderedDict", Global::Dict),
    ("torch", "Size", Global::Size),
    ("torch._utils", "_rebuild_tensor", Global::Tensor),
    ("torch._utils", "_rebuild_tensor_v2", Global::Tensor),
    ("torch._utils", "_rebuild_parameter", Global::Parameter),
    ("torch", "FloatStorage", Global::Storage(DType::F32)),
    ("torch", "HalfStorage", Global::Storage(DType::F16)),
    ("torch", "BFloat16Storage", Global::Storage(DType::BF16)),
    ("torch", "DoubleStorage", Global::Storage(DType::F64)),
    ("torch", "LongStorage", Global::Storage(DType::I64)),
    ("torch", "IntStorage", Global::Storage(DType::I32)),
    ("torch", "ShortStorage", Global::Storage(DType::I16)),
    ("torch", "ByteStorage", Global::Storage(DType::U8)),
    ("torch", "BoolStorage", Global::Storage(DType::U8)),
];

/// A value of a pickle.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// `None`, and every constant that says nothing about tensors: floats, bytes.
    Opaque,
    Int(i128),
    Text(String),
    Tuple(Vec<Id>),
    List(Vec<Id>),
    /// Also an `OrderedDict`; keys and values.
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// What stands for values that lie elsewhere in the file: a tuple.
    Persistent(Id),
    /// A tensor: the arguments of `_rebuild_tensor`, a tuple.
    Tensor(Id),
}

/// Most values of a pickle: those of a hundred thousand tensors.
const MOST_VALUES: usize = 1 << 22;

/// Most bytes of a tensor's or a storage's name. Names are copied and compared, and many tensors may share one.
pub(super) const LONGEST_NAME: usize = 4096;

/// What a pickle built, and where it ended.
#[derive(Debug)]
pub(super) struct Pickle {
    pub values: Vec<Value>,
    pub root: Id,
    /// Bytes of the pickle.
    pub len: usize,
}

impl Pickle {
    /// Reads the pickle that `bytes` begin with.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        Machine::new(bytes).run()
    }

    /// A dict's entries.
    pub fn dict(&self, id: Id) -> Option<&[(Id, Id)]> {
        if let Value::Dict(entries) = &self.values[id] { Some(entries) } else { None }
    }
    /// The parts of a tuple or list.
    pub fn parts(&self, id: Id) -> Option<&[Id]> {
        if let Value::Tuple(parts) | Value::List(parts) = &self.values[id] { Some(parts) } else { None }
    }
    pub fn text(&self, id: Id) -> Option<&str> {
        if let Value::Text(text) = &self.values[id] { Some(text) } else { None }
    }
    /// A text that may be the name of a tensor or storage: of at most [`LONGEST_NAME`] bytes.
    pub fn name(&self, id: Id) -> Option<&str> {
        self.text(id).filter(|text| text.len() <= LONGEST_NAME)
    }
    pub fn int(&self, id: Id) -> Option<i128> {
        if let Value::Int(value) = self.values[id] { Some(value) } else { None }
    }
    /// A length or offset.
    pub fn size(&self, id: Id) -> Option<usize> {
        self.int(id).and_then(|value| value.try_into().ok())
    }
}

/// Names of opcodes: Python's `pickletools`.
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    values: Vec<Value>,
    stack: Vec<Id>,
    /// Heights of the stack at the open marks.
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

const CUT: &str = "its pickle is cut off; get the file again";
const STACK: &str = "its pickle is broken: it takes more from its stack than there is";

impl<'a> Machine<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, values: vec![], stack: vec![], marks: vec![], memo: HashMap::new() }
    }

    fn run(mut self) -> Result<Pickle, String> {
        loop {
            let opcode = self.take(1)?[0];
            if opcode == b'.' {
                return Ok(Pickle { root: self.pop()?, values: self.values, len: self.at });
            }
            self.step(opcode)?;
            if self.values.len() > MOST_VALUES {
                return Err(format!("its pickle has more than {MOST_VALUES} values; {SAVE}"));
            }
        }
    }

    fn step(&mut self, opcode: u8) -> Result<(), String> {
        match opcode {
            0x80 => drop(self.take(1)?),                    // PROTO
            0x95 => drop(self.take(8)?),                    // FRAME
            b'N' | 0x88 | 0x89 => self.push(Value::Opaque), // NONE, NEWTRUE, NEWFALSE
            b'G' => self.opaque(8)?,                        // BINFLOAT
            b'J' => self.int(4)?,                           // BININT
            b'K' => self.unsigned(1)?,                      // BININT1
            b'M' => self.unsigned(2)?,                      // BININT2
            0x8a => {
                let length = self.length(1)?; // LONG1
                self.int(length)?
            }
            b'X' => self.string(4)?, // BINUNICODE
            0x8c => self.string(1)?, // SHORT_BINUNICODE
            b'T' => self.string(4)?, // BINSTRING, Python 2
            b'U' => self.string(1)?, // SHORT_BINSTRING, Python 2
            b'B' => {
                let length = self.length(4)?; // BINBYTES
                self.opaque(length)?
            }
            b'C' => {
                let length = self.length(1)?; // SHORT_BINBYTES
                self.opaque(length)?
            }
            b')' => self.push(Value::Tuple(vec![])),
            b']' => self.push(Value::List(vec![])),
            b'}' => self.push(Value::Dict(vec![])),
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84); // TUPLE1 to TUPLE3
                let floor = self.marks.last().copied().unwrap_or(0);
                let from = self.stack.len().checked_sub(count).filter(|&from| from >= floor).ok_or(STACK)?;
                let parts = self.stack.split_off(from);
                self.push(Value::Tuple(parts));
            }
            b'(' => self.marks.push(self.stack.len()),
            b't' => {
                let parts = self.marked()?;
                self.push(Value::Tuple(parts));
            }
            b'l' => {
                let parts = self.marked()?;
                self.push(Value::List(parts));
            }
            b'd' => {
                let parts = self.marked()?;
                self.push(Value::Dict(pairs(&parts)));
            }
            b'a' => {
                let part = self.pop()?; // APPEND
                self.append(&[part])?
            }
            b'e' => {
                let parts = self.marked()?; // APPENDS
                self.append(&parts)?
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?); // SETITEM
                self.insert(&[key, value])?
            }
            b'u' => {
                let parts = self.marked()?; // SETITEMS
                self.insert(&parts)?
            }
            b'q' => {
                let name = self.length(1)?; // BINPUT
                self.remember(name)?
            }
            b'r' => {
                let name = self.length(4)?; // LONG_BINPUT
                self.remember(name)?
            }
            0x94 => self.remember(self.memo.len())?,                   // MEMOIZE
            b'h' => self.recall(1)?,                                   // BINGET
            b'j' => self.recall(4)?,                                   // LONG_BINGET
            b'0' => drop(self.pop()?),                                 // POP
            b'1' => drop(self.marked()?),                              // POP_MARK
            b'2' => self.stack.push(*self.stack.last().ok_or(STACK)?), // DUP
            b'c' => {
                let (module, name) = (self.line()?, self.line()?); // GLOBAL
                self.global(&module, &name)?
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?); // STACK_GLOBAL
                let text = |id: Id| if let Value::Text(text) = &self.values[id] { text.clone() } else { String::new() };
                let (module, name) = (text(module), text(name));
                self.global(&module, &name)?
            }
            b'Q' => {
                let what = self.pop()?; // BINPERSID
                self.push(Value::Persistent(what));
            }
            // REDUCE and NEWOBJ call what is below the arguments.
            b'R' | 0x81 => self.call()?,
            // BUILD sets attributes: of a state dict, metadata that say nothing about values.
            b'b' => drop(self.pop()?),
            other => return Err(format!("its pickle has opcode 0x{other:02x}, which state dicts do not have; {SAVE}")),
        }
        Ok(())
    }

    /// The few calls there are, none of which runs anything.
    fn call(&mut self) -> Result<(), String> {
        let (arguments, called) = (self.pop()?, self.pop()?);
        let Value::Global(called) = self.values[called] else {
            return Err(format!("its pickle calls what is no function; {SAVE}"));
        };
        let Value::Tuple(parts) = &self.values[arguments] else {
            return Err("its pickle is broken: arguments that are no tuple".into());
        };
        let first = parts.first().copied();
        match (called, first) {
            (Global::Dict, None) => self.push(Value::Dict(vec![])),
            // Python 2 gives the items at once. They are taken from the list: a list used twice would double in memory.
            (Global::Dict, Some(first)) => {
                let Value::List(items) = &mut self.values[first] else {
                    return Err("its pickle is broken: an OrderedDict of what is no list".into());
                };
                let items = std::mem::take(items);
                let pair = |&id: &Id| match &self.values[id] {
                    Value::Tuple(pair) | Value::List(pair) if pair.len() == 2 => Some((pair[0], pair[1])),
                    _ => None,
                };
                let entries = items.iter().map(pair).collect::<Option<_>>();
                self.push(Value::Dict(entries.ok_or("its pickle is broken: an item that is no pair")?));
            }
            (Global::Tensor, _) => self.push(Value::Tensor(arguments)),
            // The tensor itself, and the sizes themselves.
            (Global::Parameter | Global::Size, Some(first)) => self.stack.push(first),
            (called, _) => return Err(format!("its pickle calls {called:?} without arguments")),
        }
        Ok(())
    }

    fn global(&mut self, module: &str, name: &str) -> Result<(), String> {
        match GLOBALS.iter().find(|(m, n, _)| (*m, *n) == (module, name)) {
            Some((.., global)) => self.push(Value::Global(*global)),
            None => {
                return Err(format!("it names '{module}.{name}', and code in a file of weights is not run; {SAVE}"));
            }
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let end = self.at.checked_add(count).ok_or(CUT)?;
        let taken = self.bytes.get(self.at..end).ok_or(CUT)?;
        self.at = end;
        Ok(taken)
    }

    fn line(&mut self) -> Result<String, String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&b| b == b'\n').ok_or(CUT)?;
        let line = String::from_utf8_lossy(&rest[..length]).trim_end_matches('\r').to_string();
        self.at += length + 1;
        Ok(line)
    }

    /// An unsigned number of `width` bytes, at most 4.
    fn length(&mut self, width: usize) -> Result<usize, String> {
        Ok(self.take(width)?.iter().rev().fold(0, |sum, &byte| sum << 8 | usize::from(byte)))
    }

    fn unsigned(&mut self, width: usize) -> Result<(), String> {
        let value = self.length(width)? as i128;
        self.push(Value::Int(value));
        Ok(())
    }

    /// A number in two's complement.
    fn int(&mut self, width: usize) -> Result<(), String> {
        let bytes = self.take(width)?;
        if width > 16 {
            return Err(format!("its pickle has a number of {width} bytes"));
        }
        let negative = bytes.last().is_some_and(|&b| b >= 0x80);
        let start = if negative { -1 } else { 0 };
        let value = bytes.iter().rev().fold(start, |sum: i128, &byte| sum << 8 | i128::from(byte));
        self.push(Value::Int(value));
        Ok(())
    }

    fn opaque(&mut self, count: usize) -> Result<(), String> {
        self.take(count)?;
        self.push(Value::Opaque);
        Ok(())
    }

    fn string(&mut self, width: usize) -> Result<(), String> {
        let length = self.length(width)?;
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.push(Value::Text(text));
        Ok(())
    }

    fn push(&mut self, value: Value) {
        self.stack.push(self.values.len());
        self.values.push(value);
    }

    fn pop(&mut self) -> Result<Id, String> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(STACK.into());
        }
        self.stack.pop().ok_or_else(|| STACK.into())
    }

    /// What lies above the last mark.
    fn marked(&mut self) -> Result<Vec<Id>, String> {
        let from = self.marks.pop().ok_or("its pickle is broken: a mark is missing")?;
        // Nothing takes what lies below a mark, so it is never above the stack.
        if from > self.stack.len() {
            return Err(STACK.into());
        }
        Ok(self.stack.split_off(from))
    }

    fn append(&mut self, parts: &[Id]) -> Result<(), String> {
        match &mut self.values[*self.stack.last().ok_or(STACK)?] {
            Value::List(list) => list.extend(parts),
            _ => return Err("its pickle is broken: it appends to what is no list".into()),
        }
        Ok(())
    }

    fn insert(&mut self, parts: &[Id]) -> Result<(), String> {
        match &mut self.values[*self.stack.last().ok_or(STACK)?] {
            Value::Dict(entries) => entries.extend(pairs(parts)),
            _ => return Err("its pickle is broken: it sets an item of what is no dict".into()),
        }
        Ok(())
    }

    fn remember(&mut self, name: usize) -> Result<(), String> {
        self.memo.insert(name, *self.stack.last().ok_or(STACK)?);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Result<(), String> {
        let name = self.length(width)?;
        self.stack.push(*self.memo.get(&name).ok_or("its pickle is broken: it recalls what it never kept")?);
        Ok(())
    }
}

/// What to do with a file that is more than a state dict.
const SAVE: &str = "save the tensors alone, in PyTorch: torch.save(model.state_dict(), path)";

fn pairs(parts: &[Id]) -> Vec<(Id, Id)> {
    parts.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// `os.system("true")`, as `pickle.dumps` writes it.
    #[test]
    fn code_is_named_and_not_run() {
        let why = Pickle::read(b"\x80\x02cos\nsystem\nU\x04true\x85R.").unwrap_err();
        assert!(why.contains("'os.system'"), "{why}");
        let why = Pickle::read(b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.").unwrap_err();
        assert!(why.contains("'posix.system'"), "{why}");
        let why = Pickle::read(b"\x80\x02c__builtin__\neval\n.").unwrap_err();
        assert!(why.contains("'__builtin__.eval'") && why.contains("state_dict"), "{why}");
    }

    /// Any prefix of a pickle is an error, and so is one byte of it changed to any other, or a value: never a panic.
    #[test]
    fn broken_pickles_are_errors() {
        let whole =
            b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01(X\x01\x00\x00\x00aq\x02K\x01J\xff\xff\xff\xffh\x02u}b.";
        assert!(Pickle::read(whole).unwrap().dict(0).is_none());
        for end in 0..whole.len() {
            assert!(Pickle::read(&whole[..end]).is_err(), "{end} bytes");
        }
        for at in 0..whole.len() {
            for byte in 0..=255 {
                let mut changed = *whole;
                changed[at] = byte;
                let _ = Pickle::read(&changed);
            }
        }
    }

    /// Two values, a mark, and a tuple of what lies below the mark; then all that takes what lies above one.
    #[test]
    fn tuples_end_at_a_mark() {
        for taker in *b"tldeu1" {
            for tuple in 0x85..=0x87 {
                let why = Pickle::read(&[0x80, 2, b'N', b'N', b'N', b'(', tuple, taker, b'.']).unwrap_err();
                assert!(why.contains("more from its stack"), "{why}");
            }
        }
        assert!(Pickle::read(b"\x80\x02NN(\x86t.").is_err());
    }

    /// What a machine holds, in values, entries and bytes of text.
    fn held(machine: &Machine<'_>) -> usize {
        let of = |value: &Value| match value {
            Value::Text(text) => 1 + text.len(),
            Value::Tuple(parts) | Value::List(parts) => 1 + parts.len(),
            Value::Dict(entries) => 1 + entries.len(),
            _ => 1,
        };
        let values: usize = machine.values.iter().map(of).sum();
        values + machine.stack.len() + machine.marks.len() + machine.memo.len()
    }

    /// Seeded programs that grow by what the machine takes, and are tried with what it does not: no error is a panic, and no
    /// program takes more than some times its length.
    #[test]
    fn random_programs_end_in_bounded_memory() {
        // What pushes comes more often than what takes.
        const OPCODES: &[u8] = b"NNNKKMXX)]}]}((((222\x85\x86\x87tldaesuqqrhhj\x9401cR\x81bQ\x93\x8aJGBU\x8c.";
        let (mut ended, mut longest) = (0, 0);
        for seed in 0..3000 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut program = vec![0x80, 2];
            for _ in 0..80 {
                let sound = program.len();
                let opcode = OPCODES[rng.random_range(0..OPCODES.len())];
                program.push(opcode);
                let arguments: &[u8] = match opcode {
                    b'X' | b'B' => b"\x03\0\0\0abc",
                    b'U' | 0x8c => b"\x03\xffbc",
                    b'K' => b"\x07",
                    b'q' | b'h' => &[rng.random_range(0..4)],
                    b'r' | b'j' => &[rng.random_range(0..4), 0, 0, 0],
                    b'M' => b"\x01\x02",
                    b'J' => b"\xff\xff\xff\xff",
                    b'G' => &[0; 8],
                    0x8a => b"\x02\x01\xff",
                    b'c' => {
                        let (module, name, _) = GLOBALS[rng.random_range(0..GLOBALS.len())];
                        program.extend(format!("{module}\n{name}\n").bytes());
                        &[]
                    }
                    _ => &[],
                };
                program.extend(arguments);
                ended += usize::from(Pickle::read(&program).is_ok());
                let mut machine = Machine::new(&program);
                let mut goes_on = opcode != b'.';
                while goes_on && machine.at < program.len() {
                    let opcode = machine.take(1).unwrap()[0];
                    goes_on = machine.step(opcode).is_ok();
                }
                assert!(held(&machine) <= 4 * machine.at, "seed {seed}: {} after {} bytes", held(&machine), machine.at);
                if !goes_on {
                    program.truncate(sound);
                }
            }
            longest = longest.max(program.len());
        }
        assert!(ended > 1000 && longest > 200, "{ended} programs ended, the longest has {longest} bytes");
    }

    #[test]
    fn numbers_are_those_of_python() {
        let number = |bytes: &[u8]| Pickle::read(bytes).map(|p| p.int(p.root).unwrap());
        assert_eq!(number(b"J\xfe\xff\xff\xff."), Ok(-2));
        assert_eq!(number(b"\x8a\x02\x00\x80."), Ok(-32768));
        assert_eq!(number(b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."), Ok(0x1950_a86a_20f9_469c_fc6c));
        assert_eq!(number(b"M\x01\x02."), Ok(513));
    }
}
