using System.Buffers.Binary;
using LlamaCluster.Kernels;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>A tensor as the header of a file has it.</summary>
sealed record SafetensorsEntry(string Dtype, IReadOnlyList<long> Shape, StoredPlace Place)
{
    public override string ToString() => $"{Dtype} [{string.Join(", ", Shape)}]";
}

/// <summary>
/// The header of a safetensors file (https://huggingface.co/docs/safetensors): an 8-byte length, a JSON object that has for each
/// tensor its dtype, shape and place, then the data.
/// </summary>
sealed class SafetensorsFile : IDisposable
{
    const int LengthBytes = sizeof(ulong);

    /// <summary>Bytes of an element of each dtype that tensors of a Llama, or parts of them, may have.</summary>
    static readonly OrderedDictionary<string, int> Sizes = new(StringComparer.Ordinal)
    {
        ["F32"] = 4,
        ["F16"] = 2,
        ["BF16"] = 2,
        ["F8_E4M3"] = 1,
        ["I8"] = 1,
        ["I32"] = 4,
        ["I64"] = 8,
    };

    readonly ModelFile _file;
    readonly Dictionary<string, JsonFields> _entries;
    readonly long _dataStart;

    SafetensorsFile(ModelFile file)
    {
        _file = file;
        var headerBytes = ReadHeaderLength();
        var json = new byte[headerBytes];
        file.Read(LengthBytes, json);
        _entries = SafetensorsHeader.Read(file, json);
        _dataStart = LengthBytes + headerBytes;
        RefuseOverlap();
    }

    public IReadOnlyCollection<string> Names => _entries.Keys;

    public bool Has(string name) => _entries.ContainsKey(name);

    public static SafetensorsFile Open(string path)
    {
        var file = ModelFile.Open(path);
        try
        {
            return new SafetensorsFile(file);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>What the header says of a tensor, be it of a type that no tensor of a Llama has.</summary>
    /// <exception cref="ModelFormatException">Shape, dtype and place do not fit together, or it is empty.</exception>
    public SafetensorsEntry Describe(string name)
    {
        var entry = _entries[name];
        var (dtype, shape) = (entry.GetString("dtype"), entry.GetSizes("shape"));
        if (!Sizes.TryGetValue(dtype, out var bytes))
            throw entry.Error("dtype", $"is {ErrorText.Quote(dtype)}, which is not supported; {string.Join(", ", Sizes.Keys)} are");
        if (shape.Length > 2 || shape.Any(n => n is 0 or > int.MaxValue))
            throw entry.Error("shape", $"is of {shape.Length} dimensions, or has one that is 0 or over {int.MaxValue}; expected at most two");
        var (start, end) = Place(name);
        var expected = shape.Aggregate((Int128)bytes, (product, n) => product * n);
        if (end - start != expected) throw entry.Error("data_offsets", $"are {end - start} bytes apart; shape and dtype make {expected}");
        return new SafetensorsEntry(dtype, shape, new StoredPlace(_file, _dataStart + start));
    }

    /// <summary>The type of a tensor of floats.</summary>
    /// <exception cref="ModelFormatException">It is of another.</exception>
    public TensorType TypeOf(string name) => TypeOf(_entries[name]);

    /// <summary>An error that names this file.</summary>
    public ModelFormatException Error(string problem) => _file.Error(problem);

    /// <summary>A tensor's type, shape and place, under another name.</summary>
    /// <exception cref="ModelFormatException">Of a type, or a rank, that no tensor of a Llama has.</exception>
    public StoredTensor Locate(string name, string newName)
    {
        var entry = _entries[name];
        var shape = entry.GetSizes("shape");
        if (shape.Length is not (1 or 2) || shape.Any(n => n is 0 or > int.MaxValue))
            throw entry.Error(
                "shape", $"is [{string.Join(", ", shape)}]; expected a vector or a matrix of at most {int.MaxValue} rows and columns, and not empty");
        var info = new TensorInfo(newName, TypeOf(entry), shape.Length == 1 ? 1 : shape[0], shape[^1]);
        var (start, end) = Place(name);
        var expected = (Int128)info.Rows * info.RowBytes;
        if (end - start != expected)
            throw entry.Error("data_offsets", $"are {end - start} bytes apart; shape and dtype make {expected}");
        return new StoredTensor(info, _file, _dataStart + start);
    }

    /// <summary>
    /// The matrices of experts that one tensor [N, columns, parts x rows] holds transposed, those of several parts of an expert side by side.
    /// </summary>
    /// <param name="parts">Names of an expert's matrices, in their order.</param>
    /// <param name="nameOf">The name of a part of an expert.</param>
    /// <exception cref="ModelFormatException">Of a type, or a shape, that experts do not have.</exception>
    public IEnumerable<StoredTensor> LocateExperts(string name, IReadOnlyList<string> parts, Func<string, int, string> nameOf)
    {
        const int MostExperts = 1 << 12;
        var entry = _entries[name];
        var shape = entry.GetSizes("shape");
        if (shape.Length != 3 || shape.Any(n => n is 0 or > int.MaxValue) || shape[0] > MostExperts || shape[2] % parts.Count != 0)
            throw entry.Error(
                "shape", $"is [{string.Join(", ", shape)}]; expected at most {MostExperts} experts, columns, and rows of {parts.Count} matrices each");
        var (type, columns, rows) = (TypeOf(entry), shape[1], shape[2] / parts.Count);
        var (stride, size) = (type.RowBytes(shape[2]), type.BlockBytes());
        var (start, end) = Place(name);
        if (end - start != (Int128)shape[0] * columns * stride)
            throw entry.Error("data_offsets", $"are {end - start} bytes apart; shape and dtype make {(Int128)shape[0] * columns * stride}");
        return
            from part in Enumerable.Range(0, parts.Count)
            from expert in Enumerable.Range(0, (int)shape[0])
            select new StoredTensor(
                new TensorInfo(nameOf(parts[part], expert), type, rows, columns), _file,
                _dataStart + start + (expert * columns * stride) + (part * rows * size), stride);
    }

    public void Dispose() => _file.Dispose();

    int ReadHeaderLength()
    {
        if (_file.Length < LengthBytes) throw _file.Error("is cut short: it has no header");
        Span<byte> bytes = stackalloc byte[LengthBytes];
        _file.Read(0, bytes);
        var length = BinaryPrimitives.ReadUInt64LittleEndian(bytes);
        if (_file.IsLfsPointer()) throw _file.Error(ModelFile.LfsPointerProblem);
        if (length > (ulong)(_file.Length - LengthBytes))
            throw _file.Error($"header length is {length}, but only {_file.Length - LengthBytes} bytes follow: the file is damaged or cut short");
        return length <= SafetensorsHeader.MaxBytes ? (int)length
            : throw _file.Error($"header length is {length}; at most {SafetensorsHeader.MaxBytes} is allowed");
    }

    static TensorType TypeOf(JsonFields entry) => entry.GetString("dtype") switch
    {
        "F32" => TensorType.F32,
        "F16" => TensorType.F16,
        "BF16" => TensorType.BF16,
        var other => throw entry.Error("dtype", $"is {ErrorText.Quote(other)}, which is not supported; F32, F16 and BF16 are"),
    };

    (long Start, long End) Place(string name)
    {
        var entry = _entries[name];
        if (entry.GetSizes("data_offsets") is not [var start, var end]) throw entry.Error("data_offsets", "are not two numbers");
        if (start > end) throw entry.Error("data_offsets", $"are reversed: {start} is after {end}");
        if (end > _file.Length - _dataStart)
            throw entry.Error("data_offsets", $"end at {end}, but only {_file.Length - _dataStart} bytes of data are there: the file is damaged or cut short");
        return (start, end);
    }

    void RefuseOverlap()
    {
        var before = (Name: "", End: 0L);
        foreach (var (name, (start, end)) in Names.Select(name => (name, Place(name))).OrderBy(t => t.Item2))
        {
            if (start < before.End) throw _file.Error($"tensors {ErrorText.Quote(before.Name)} and {ErrorText.Quote(name)} overlap");
            before = (name, end);
        }
    }
}
