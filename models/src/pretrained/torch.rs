//! The containers in which PyTorch keeps a pickle and the values of its tensors: a zip archive since 1.6, before that one
//! stream of pickles and values.

use super::pickle::{Global, Id, LONGEST_NAME, Pickle, Value};
use super::weights::Stored;
use candle_core::DType;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::ops::Range;
use zip::{CompressionMethod, ZipArchive};

/// Where the values of each storage lie in the file, by its key.
type Storages = BTreeMap<String, Range<usize>>;

/// What the first pickle of the old format holds.
const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;

/// Most names that are looked through for the state dict, one inside the other.
const DEEPEST: usize = 4;

/// Under which names training scripts keep a state dict, best first: timm's order, then others'.
const WRAPPERS: [&str; 9] = [
    "state_dict_ema",
    "model_ema",
    "state_dict",
    "model_state",
    "model",
    "model_state_dict",
    "net",
    "network",
    "weights",
];

/// Tensors of a zip archive.
pub(super) fn zipped(bytes: &[u8]) -> Result<BTreeMap<String, Stored>, String> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| format!("its zip archive cannot be read ({error}); it may be cut off, get the file again"))?;
    let mut entries = BTreeMap::new();
    for i in 0..archive.len() {
        let entry = archive.by_index_raw(i).map_err(|error| format!("its zip archive is broken ({error})"))?;
        let name = entry.name().map_err(|error| format!("its zip archive is broken ({error})"))?.into_owned();
        let start = entry.data_start().unwrap_or(u64::MAX);
        let range = start.checked_add(entry.compressed_size()).filter(|&end| end <= bytes.len() as u64);
        let range = range.map(|end| start as usize..end as usize).ok_or("its zip archive is cut off; get it again")?;
        // The name of the archive's only folder is the file's first name.
        let inside = name.split_once('/').map_or("", |(_, rest)| rest).to_string();
        if (inside == "data.pkl" || inside.starts_with("data/")) && entry.compression() != CompressionMethod::Stored {
            return Err(format!("'{name}' is compressed, which PyTorch does not do; save it again with torch.save"));
        }
        entries.insert(inside, range);
    }
    if entries.contains_key("constants.pkl") {
        return Err("it is a TorchScript program; save its tensors with torch.save(program.state_dict(), path)".into());
    }
    if entries.get("byteorder").is_some_and(|range| &bytes[range.clone()] != b"little") {
        return Err("its numbers are big-endian; save it again on another machine".into());
    }
    let pickle =
        entries.get("data.pkl").ok_or("it is a zip archive, but not PyTorch's: there is no 'data.pkl' in it")?;
    let pickle = Pickle::read(&bytes[pickle.clone()])?;
    let key = |name: String| name.strip_prefix("data/").map(str::to_string);
    let storages = entries.into_iter().filter_map(|(name, range)| Some((key(name)?, range))).collect();
    tensors(&pickle, &storages)
}

/// Tensors of the format before PyTorch 1.6: pickles of a magic number, a version, the machine, the object and the storages'
/// keys, then each storage's length and values.
pub(super) fn legacy(bytes: &[u8]) -> Result<BTreeMap<String, Stored>, String> {
    let mut at = 0;
    let mut next = || -> Result<Pickle, String> {
        let pickle = Pickle::read(&bytes[at..])?;
        at += pickle.len;
        Ok(pickle)
    };
    let magic = next()?;
    if magic.int(magic.root) != Some(MAGIC) {
        return Err("it is a pickle, but not PyTorch's; save it with torch.save".into());
    }
    let version = next()?;
    if version.int(version.root) != Some(1001) {
        return Err("it is of an unknown version of PyTorch's format; save it again with a newer PyTorch".into());
    }
    next()?;
    let (object, keys) = (next()?, next()?);
    let sizes = value_sizes(&object);
    let mut storages = Storages::new();
    for &key in keys.parts(keys.root).ok_or("it does not list its storages")? {
        let key = keys.name(key).ok_or("a storage has no name, or one that is too long")?;
        let cut = || format!("it is cut off in storage '{key}'; get the file again");
        let count = bytes.get(at..at + 8).and_then(|v| v.try_into().ok()).map(u64::from_le_bytes).ok_or_else(cut)?;
        let size = sizes.get(key).ok_or_else(|| format!("no tensor tells the type of storage '{key}'"))?;
        at += 8;
        let end = usize::try_from(count).ok().and_then(|n| n.checked_mul(*size)).and_then(|n| n.checked_add(at));
        let end = end.filter(|&end| end <= bytes.len()).ok_or_else(cut)?;
        storages.insert(key.to_string(), at..end);
        at = end;
    }
    tensors(&object, &storages)
}

/// Bytes of a value in each storage that a pickle refers to.
fn value_sizes(pickle: &Pickle) -> BTreeMap<String, usize> {
    let persistent = pickle.values.iter().filter_map(|v| if let Value::Persistent(id) = v { Some(*id) } else { None });
    persistent.filter_map(|id| storage(pickle, id)).map(|(key, dtype, _)| (key, dtype.size_in_bytes())).collect()
}

/// Key, type and view offset of `("storage", type, key, device, count[, view])`.
fn storage(pickle: &Pickle, id: Id) -> Option<(String, DType, usize)> {
    let parts = pickle.parts(id)?;
    let [kind, class, key, ..] = parts else { return None };
    let Value::Global(Global::Storage(dtype)) = pickle.values[*class] else { return None };
    // Views of storages were written by very old versions: (key, offset, length).
    let view = parts.get(5).and_then(|&view| pickle.size(*pickle.parts(view)?.get(1)?)).unwrap_or(0);
    let key = pickle.name(*key)?.to_string();
    (pickle.text(*kind) == Some("storage")).then_some((key, dtype, view))
}

/// The tensors of the state dict in `pickle`.
fn tensors(pickle: &Pickle, storages: &Storages) -> Result<BTreeMap<String, Stored>, String> {
    let mut root = pickle.root;
    for _ in 0..DEEPEST {
        let entries = pickle.dict(root).ok_or("it holds no dict; save a state dict, in PyTorch: model.state_dict()")?;
        let inner = WRAPPERS.iter().find_map(|wrapper| {
            let (_, value) = entries.iter().find(|(key, _)| pickle.text(*key) == Some(wrapper))?;
            pickle.dict(*value).map(|_| *value)
        });
        let Some(inner) = inner else { break };
        root = inner;
    }
    let mut tensors = BTreeMap::new();
    for &(key, value) in pickle.dict(root).unwrap_or_default() {
        let (Some(name), Value::Tensor(arguments)) = (pickle.text(key), &pickle.values[value]) else { continue };
        if name.len() > LONGEST_NAME {
            return Err(format!("a name in it has {} bytes, more than {LONGEST_NAME}", name.len()));
        }
        let stored = tensor(pickle, *arguments, storages).map_err(|why| format!("'{name}' {why}"))?;
        tensors.insert(name.to_string(), stored);
    }
    match tensors.is_empty() {
        true => Err("it holds no tensors by name; save a state dict, in PyTorch: model.state_dict()".into()),
        false => Ok(tensors),
    }
}

/// A tensor of `(storage, offset, shape, strides, ..)`.
fn tensor(pickle: &Pickle, arguments: Id, storages: &Storages) -> Result<Stored, String> {
    const BROKEN: &str = "is described in an unknown way";
    let [base, offset, shape, strides, ..] = pickle.parts(arguments).unwrap_or_default() else {
        return Err(BROKEN.into());
    };
    let Value::Persistent(base) = pickle.values[*base] else { return Err(BROKEN.into()) };
    let (key, dtype, view) = storage(pickle, base).ok_or(BROKEN)?;
    let sizes = |id: Id| pickle.parts(id)?.iter().map(|&part| pickle.size(part)).collect::<Option<Vec<usize>>>();
    let (shape, strides) = (sizes(*shape).ok_or(BROKEN)?, sizes(*strides).ok_or(BROKEN)?);
    let offset = pickle.size(*offset).and_then(|offset| offset.checked_add(view)).ok_or(BROKEN)?;
    let values = storages.get(&key).ok_or_else(|| format!("lies in storage '{key}', which the file lacks"))?;
    Stored::new(dtype, shape, strides, offset, values.clone())
}
