using System.Text;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Gguf;

/// <summary>
/// Metadata to be written: keys in the order in which they were first set. The type of an argument is the type in the file:
/// <c>uint</c> gives UInt32, <c>float[]</c> an array of Float32.
/// </summary>
public sealed class GgufPairs
{
    readonly OrderedDictionary<string, byte[]> _values = new(StringComparer.Ordinal);

    public int Count => _values.Count;

    public void Set(string key, ushort value) => Set(key, GgufValueType.UInt16, value, static (to, v) => to.Write(v));

    public void Set(string key, uint value) => Set(key, GgufValueType.UInt32, value, static (to, v) => to.Write(v));

    public void Set(string key, int value) => Set(key, GgufValueType.Int32, value, static (to, v) => to.Write(v));

    public void Set(string key, float value) => Set(key, GgufValueType.Float32, value, static (to, v) => to.Write(v));

    public void Set(string key, bool value) => Set(key, GgufValueType.Bool, value, static (to, v) => to.Write(v));

    public void Set(string key, string value) => Set(key, GgufValueType.String, value, WriteString);

    public void Set(string key, IReadOnlyList<string> values) => SetArray(key, GgufValueType.String, values, WriteString);

    public void Set(string key, IReadOnlyList<int> values) => SetArray(key, GgufValueType.Int32, values, static (to, v) => to.Write(v));

    public void Set(string key, IReadOnlyList<float> values) => SetArray(key, GgufValueType.Float32, values, static (to, v) => to.Write(v));

    /// <summary>Takes a value from another file as it is stored there.</summary>
    public void Copy(GgufMetadata source, string key) => _values[key] = source.ReadStored(key);

    public bool Remove(string key) => _values.Remove(key);

    internal void Write(BinaryWriter to)
    {
        foreach (var (key, value) in _values)
        {
            WriteString(to, key);
            to.Write(value);
        }
    }

    internal static void WriteString(BinaryWriter to, string text)
    {
        var bytes = Encoding.UTF8.GetBytes(text);
        to.Write((ulong)bytes.Length);
        to.Write(bytes);
    }

    void Set<T>(string key, GgufValueType type, T value, Action<BinaryWriter, T> write) => Store(key, to =>
    {
        to.Write((uint)type);
        write(to, value);
    });

    void SetArray<T>(string key, GgufValueType type, IReadOnlyList<T> values, Action<BinaryWriter, T> write) => Store(key, to =>
    {
        to.Write((uint)GgufValueType.Array);
        to.Write((uint)type);
        to.Write((ulong)values.Count);
        foreach (var value in values) write(to, value);
    });

    void Store(string key, Action<BinaryWriter> write)
    {
        using var bytes = new MemoryStream();
        using var to = new BinaryWriter(bytes);
        write(to);
        _values[key] = bytes.ToArray();
    }
}

/// <summary>
/// Writes a GGUF file of version 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md) from front to back. The experts of a layer become one
/// tensor, as llama.cpp expects them.
/// </summary>
public static class GgufWriter
{
    const int Alignment = 32;
    const int ChunkBytes = 4 << 20;

    /// <param name="destination">Written from its present place on; it need not be able to seek.</param>
    /// <param name="tensors">The tensors of <paramref name="source"/> that the file is to hold, in the order of the file.</param>
    /// <param name="written">Told how many bytes of tensor data have been written so far.</param>
    public static void Write(
        Stream destination, GgufPairs metadata, IModelWeights source, IReadOnlyList<TensorInfo> tensors,
        IProgress<long>? written = null, CancellationToken cancellation = default)
    {
        using var to = new BinaryWriter(destination, Encoding.UTF8, leaveOpen: true);
        var entries = Entry.Of(tensors);
        var header = Header(metadata, entries);
        to.Write(header);
        Pad(to, header.Length);
        var buffer = new byte[Math.Max(ChunkBytes, tensors.Count == 0 ? 0 : tensors.Max(t => t.RowBytes))];
        long total = 0;
        foreach (var entry in entries)
        {
            foreach (var tensor in entry.Tensors)
            {
                var rowsAtOnce = buffer.Length / tensor.RowBytes;
                for (long row = 0; row < tensor.Rows; row += rowsAtOnce)
                {
                    cancellation.ThrowIfCancellationRequested();
                    var chunk = buffer.AsMemory(0, (int)(Math.Min(rowsAtOnce, tensor.Rows - row) * tensor.RowBytes));
                    ReadInParallel(source, tensor, row, chunk);
                    to.Write(chunk.Span);
                    written?.Report(total += chunk.Length);
                }
            }
            Pad(to, entry.Bytes);
        }
    }

    // Reading may mean quantising, which is work for all processors.
    static void ReadInParallel(IModelWeights source, TensorInfo tensor, long firstRow, Memory<byte> chunk)
    {
        var rowBytes = (int)tensor.RowBytes;
        var rows = chunk.Length / rowBytes;
        var rowsEach = (rows + Environment.ProcessorCount - 1) / Environment.ProcessorCount;
        Parallel.For(0, (rows + rowsEach - 1) / rowsEach, part =>
        {
            var first = part * rowsEach;
            var count = Math.Min(rowsEach, rows - first);
            source.ReadRows(tensor, firstRow + first, chunk.Span.Slice(first * rowBytes, count * rowBytes));
        });
    }

    static byte[] Header(GgufPairs metadata, IReadOnlyList<Entry> entries)
    {
        using var bytes = new MemoryStream();
        using var to = new BinaryWriter(bytes);
        to.Write("GGUF"u8);
        to.Write(3u);
        to.Write((ulong)entries.Count);
        to.Write((ulong)metadata.Count);
        metadata.Write(to);
        long offset = 0;
        foreach (var entry in entries)
        {
            WriteEntry(to, entry, offset);
            offset += entry.Bytes + Padding(entry.Bytes);
        }
        return bytes.ToArray();
    }

    static void WriteEntry(BinaryWriter to, Entry entry, long offset)
    {
        var tensor = entry.Tensors[0];
        GgufPairs.WriteString(to, entry.Name);
        to.Write(entry.IsStack ? 3u : tensor.Rows == 1 ? 1u : 2u);
        to.Write((ulong)tensor.Columns);
        if (entry.IsStack || tensor.Rows != 1) to.Write((ulong)tensor.Rows);
        if (entry.IsStack) to.Write((ulong)entry.Tensors.Count);
        to.Write((uint)tensor.Type);
        to.Write((ulong)offset);
    }

    static void Pad(BinaryWriter to, long length) => to.Write(stackalloc byte[Padding(length)]);

    static int Padding(long length) => (int)(-length & (Alignment - 1));

    /// <summary>A tensor of the file: one of the model's, or the experts of a layer, one after the other.</summary>
    sealed record Entry(string Name, bool IsStack, IReadOnlyList<TensorInfo> Tensors)
    {
        public long Bytes => Tensors.Sum(tensor => tensor.Bytes);

        /// <summary>In the order of the tensors; a stack stands where its first expert does.</summary>
        /// <exception cref="ModelFormatException">An expert of a stack is missing, or is of another type.</exception>
        public static IReadOnlyList<Entry> Of(IReadOnlyList<TensorInfo> tensors) =>
        [
            .. tensors.GroupBy(tensor => ExpertTensors.StackOf(tensor.Name)?.Stack ?? tensor.Name)
                .Select(group => ExpertTensors.IsStack(group.Key) ? Stack(group.Key, group) : new Entry(group.Key, IsStack: false, [group.Single()])),
        ];

        static Entry Stack(string name, IEnumerable<TensorInfo> experts)
        {
            TensorInfo[] inOrder = [.. experts.OrderBy(tensor => ExpertTensors.StackOf(tensor.Name)!.Value.Expert)];
            for (var expert = 0; expert < inOrder.Length; expert++)
                if (inOrder[expert] != inOrder[0] with { Name = ExpertTensors.InStack(name, expert) })
                    throw new ModelFormatException(
                        $"{inOrder[expert].Name} cannot be written as expert {expert} of {name}: all must be there, of one type and shape");
            return new Entry(name, IsStack: true, inOrder);
        }
    }
}
