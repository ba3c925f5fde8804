using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.HuggingFace;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.Adapters;

/// <summary>
/// A low-rank adapter (LoRA) for one model, open for reading: a GGUF file as llama.cpp converts them, or a folder as the PEFT library writes it. Its
/// tensors are named <c>TARGET.lora_a</c> and <c>TARGET.lora_b</c>, wherever they come from.
/// </summary>
public sealed class AdapterWeights : IDisposable
{
    /// <summary>The most that any adapter may have; operators allow less.</summary>
    public const int MostRank = 1024;

    readonly AdapterTensors _tensors;

    internal AdapterWeights(AdapterTensors tensors, IReadOnlyList<AdapterPair> pairs) => (_tensors, Pairs) = (tensors, pairs);

    /// <summary>By target, in the order of the forward pass.</summary>
    public IReadOnlyList<AdapterPair> Pairs { get; }

    /// <summary>The tensors; its config is that of the model.</summary>
    public IModelWeights Tensors => _tensors;

    public int MaxRank => Pairs.Max(pair => pair.Rank);

    /// <summary>As stored.</summary>
    public long Bytes => Tensors.Tensors.Sum(tensor => tensor.Bytes);

    /// <param name="path">A GGUF file, or a folder with adapter_config.json and adapter_model.safetensors.</param>
    /// <param name="config">Of the model that the adapter is for.</param>
    /// <exception cref="ModelFormatException">It is no adapter that can be applied to this model. One line says which part of it, and why.</exception>
    public static AdapterWeights Open(string path, LlamaConfig config) =>
        Directory.Exists(path) ? PeftAdapter.Open(path, config) : GgufAdapter.Open(path, config);

    /// <summary>SHA-256 over all of the adapter, in lower-case hex: its targets, ranks and scales, and every byte of its tensors.</summary>
    public string ComputeDigest(CancellationToken cancellation = default)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData("llamacluster adapter 1\n"u8);
        foreach (var pair in Pairs)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(
                string.Create(CultureInfo.InvariantCulture, $"{pair.Target.Name} {pair.Rank} {pair.Scale:R} {(int)pair.A.Type} {(int)pair.B.Type}\n")));
            Append(pair.A);
            Append(pair.B);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());

        void Append(TensorInfo tensor)
        {
            var whole = TensorPart.Whole(tensor);
            var buffer = new byte[whole.PieceAt(0).Bytes];
            for (var index = 0; index < whole.PieceCount; index++)
            {
                cancellation.ThrowIfCancellationRequested();
                var piece = whole.PieceAt(index);
                _tensors.ReadPart(piece, buffer.AsSpan(0, (int)piece.Bytes));
                hash.AppendData(buffer, 0, (int)piece.Bytes);
            }
        }
    }

    public void Dispose() => _tensors.Dispose();

    /// <summary>Finds the pairs among an adapter's tensors, whose names are GGUF's.</summary>
    /// <param name="nameInFile">What the file calls a tensor.</param>
    /// <param name="scaleOf">The scale of a target with a rank.</param>
    /// <exception cref="ModelFormatException">A tensor has no place in the model.</exception>
    internal static IReadOnlyList<AdapterPair> PairsOf(
        string path, IReadOnlyDictionary<string, StoredTensor> tensors, LlamaConfig config, Func<string, string> nameInFile,
        Func<AdapterTarget, int, float> scaleOf)
    {
        ModelFormatException Error(string problem) => new($"{path}: {problem}");
        var targets = AdapterTargets.Of(config);
        foreach (var name in tensors.Keys)
            if (AdapterPair.TargetOf(name) is not { } target || !targets.ContainsKey(target)) throw Error(NoTarget(nameInFile(name), config));
        if (tensors.Count == 0) throw Error("has no tensors: it changes nothing");
        return [.. targets.Values.Where(target => tensors.ContainsKey(AdapterPair.NameOfA(target.Name)) || tensors.ContainsKey(AdapterPair.NameOfB(target.Name))).Select(PairOf)];

        AdapterPair PairOf(AdapterTarget target)
        {
            var (a, b) = (Find(AdapterPair.NameOfA(target.Name)), Find(AdapterPair.NameOfB(target.Name)));
            var rank = a.Rows;
            if (rank > MostRank) throw Error($"tensor {ErrorText.Quote(nameInFile(a.Name))} has rank {rank}; at most {MostRank} is supported");
            CheckShape(a, rank, target.Columns);
            CheckShape(b, target.Rows, rank);
            var scale = scaleOf(target, (int)rank);
            return float.IsFinite(scale) ? new AdapterPair(target, a, b, scale) : throw Error($"the scale of {target.Name} is not a finite number");
        }

        TensorInfo Find(string name) => tensors.TryGetValue(name, out var stored) ? stored.Info : throw Error($"tensor {ErrorText.Quote(nameInFile(name))} is missing");

        void CheckShape(TensorInfo tensor, long rows, long columns)
        {
            var name = ErrorText.Quote(nameInFile(tensor.Name));
            if (tensor.Rows != rows || tensor.Columns != columns)
                throw Error($"tensor {name} has shape [{tensor.Rows}, {tensor.Columns}], where this model takes [{rows}, {columns}]: the adapter is for another model");
            if (tensor.Type.BlockSize() != 1) throw Error($"tensor {name} is {tensor.Type}; adapters must be F32, F16 or BF16: convert it again with --outtype f16");
        }
    }

    static string NoTarget(string name, LlamaConfig config) =>
        name.Contains("embed", StringComparison.Ordinal) || name.StartsWith(LlamaTensors.Embedding, StringComparison.Ordinal)
            ? $"tensor {ErrorText.Quote(name)} changes or extends the embedding, which is not supported: merge the adapter into its model, and serve that"
        : $"tensor {ErrorText.Quote(name)} changes nothing that adapters may change here: attention's q, k, v and output, "
            + $"{(config.Experts is null ? "" : "the dense layers' ")}gate, up and down, and the head, in {config.LayerCount} layers";
}

/// <summary>The tensors of an adapter where they stand in files.</summary>
/// <param name="files">Owned from now on.</param>
/// <param name="headSize">E where rows of attn_q and attn_k stand in the order of folders, and must be brought into GGUF's; null where they are in it.</param>
sealed class AdapterTensors(string name, LlamaConfig config, IReadOnlyList<StoredTensor> tensors, IDisposable files, int? headSize) : StoredWeights(name, config, tensors)
{
    public override void Dispose() => files.Dispose();

    protected override void ReadRows(StoredTensor tensor, long firstRow, Span<byte> destination)
    {
        if (headSize is null || !IsRotated(tensor.Info.Name))
        {
            base.ReadRows(tensor, firstRow, destination);
            return;
        }
        var rowBytes = (int)tensor.Info.RowBytes;
        for (var row = firstRow; !destination.IsEmpty; row++, destination = destination[rowBytes..])
            base.ReadRows(tensor, StoredRow(tensor, row), destination[..rowBytes]);
    }

    protected override long StoredRow(StoredTensor tensor, long row) =>
        headSize is { } size && IsRotated(tensor.Info.Name) ? RopeRowOrder.StoredRow(row, size) : row;

    static bool IsRotated(string name) =>
        name.EndsWith(AdapterPair.NameOfB($".{LlamaTensors.Query}.weight"), StringComparison.Ordinal)
        || name.EndsWith(AdapterPair.NameOfB($".{LlamaTensors.Key}.weight"), StringComparison.Ordinal);
}
