using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats.HuggingFace;
using LlamaCluster.Primitives;
using LlamaCluster.Text;

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

    internal AdapterWeights(AdapterTensors tensors, AdapterContent content) => (_tensors, Content) = (tensors, content);

    public AdapterContent Content { get; }

    /// <summary>By target, in the order of the forward pass.</summary>
    public IReadOnlyList<AdapterPair> Pairs => Content.Pairs;

    /// <summary>The folder with the tokenizer of the adapter's own vocabulary; null: it uses the model's.</summary>
    internal string? TextFolder { get; init; }

    /// <summary>The tensors; its config is that of the model.</summary>
    public IModelWeights Tensors => _tensors;

    public int MaxRank => Content.MaxRank;

    /// <summary>As stored.</summary>
    public long Bytes => Tensors.Tensors.Sum(tensor => tensor.Bytes);

    /// <param name="path">A GGUF file, or a folder with adapter_config.json and adapter_model.safetensors.</param>
    /// <param name="config">Of the model that the adapter is for.</param>
    /// <exception cref="ModelFormatException">It is no adapter that can be applied to this model. One line says which part of it, and why.</exception>
    public static AdapterWeights Open(string path, LlamaConfig config) =>
        Directory.Exists(path) ? PeftAdapter.Open(path, config) : GgufAdapter.Open(path, config);

    /// <summary>Reads tokenizer and chat template of the adapter's own vocabulary; null: it uses the model's.</summary>
    /// <exception cref="ModelFormatException">The files are damaged, or of a kind that is not supported.</exception>
    public ModelText? ReadText() => TextFolder is { } folder ? new FolderTextReader(folder, Content.VocabularySize).Read() : null;

    /// <summary>
    /// SHA-256 over all of the adapter, in lower-case hex: its targets, ranks and scales, every byte of its tensors, and the files of its own vocabulary.
    /// </summary>
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
        foreach (var replacement in Content.Replacements)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(string.Create(
                CultureInfo.InvariantCulture, $"{replacement.Target.Name} whole {(int)replacement.Tensor.Type} {replacement.Tensor.Rows}\n")));
            Append(replacement.Tensor);
        }
        foreach (var file in TextFolder is { } folder ? FolderTextReader.TokenizerFilesOf(folder) : [])
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{Path.GetFileName(file)}\n"));
            hash.AppendData(SHA256.HashData(File.ReadAllBytes(file)));
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

    /// <summary>
    /// Finds pairs and whole matrices among an adapter's tensors, whose names are GGUF's: <c>TARGET.lora_a</c>, <c>TARGET.lora_b</c>, and <c>TARGET</c> where
    /// it brings the whole matrix.
    /// </summary>
    /// <param name="nameInFile">What the file calls a tensor.</param>
    /// <param name="scaleOf">The scale of a target with a rank.</param>
    /// <param name="tiesHead">The head of a model whose head is its embedding follows the adapter's embedding.</param>
    /// <exception cref="ModelFormatException">A tensor has no place in the model.</exception>
    internal static AdapterContent ContentOf(
        string path, IReadOnlyDictionary<string, StoredTensor> tensors, LlamaConfig config, Func<string, string> nameInFile,
        Func<AdapterTarget, int, float> scaleOf, bool tiesHead = false)
    {
        ModelFormatException Error(string problem) => new($"{path}: {problem}");
        foreach (var name in tensors.Keys)
            if (!HasTarget(name, AdapterTargets.Of(config))) throw Error(NoTarget(nameInFile(name), config));
        if (tensors.Count == 0) throw Error("has no tensors: it changes nothing");
        var vocabularySize = VocabularyOf();
        var targets = AdapterTargets.Of(config, vocabularySize);
        return new AdapterContent(
            [.. targets.Values
                .Where(target => tensors.ContainsKey(AdapterPair.NameOfA(target.Name)) || tensors.ContainsKey(AdapterPair.NameOfB(target.Name)))
                .Select(PairOf)],
            [.. targets.Values.Where(target => target.IsOfVocabulary).Select(ReplacementOf).OfType<AdapterReplacement>()],
            vocabularySize, config.LayerCount);

        int VocabularyOf()
        {
            var (embedding, head) = (Rows(LlamaTensors.Embedding), Rows(LlamaTensors.Output));
            var rows = embedding ?? head ?? config.VocabularySize;
            if (embedding is not null && head is not null && embedding != head)
                throw Error($"brings an embedding of {embedding} rows and a head of {head}: they must have the same vocabulary");
            if (rows < config.VocabularySize)
                throw Error($"has a vocabulary of {rows}, and the model {config.VocabularySize}: a vocabulary can be extended, not made smaller");
            if (rows > LlamaConfigRules.MaxVocabulary) throw Error($"has a vocabulary of {rows}; at most {LlamaConfigRules.MaxVocabulary} is supported");
            if (rows != config.VocabularySize && (embedding is null || (head is null && !config.TiedEmbeddings)))
                throw Error(
                    $"brings {(embedding is null ? "a head" : "an embedding")} of {rows} rows alone, and the model's vocabulary is {config.VocabularySize}: "
                    + "an adapter with a vocabulary of its own needs embed_tokens and lm_head (modules_to_save)");
            return (int)rows;
        }

        long? Rows(string name) => tensors.TryGetValue(name, out var stored) ? stored.Info.Rows : null;

        AdapterReplacement? ReplacementOf(AdapterTarget target)
        {
            var isTied = target.IsHead && config.TiedEmbeddings && !tensors.ContainsKey(target.Name) && (tiesHead || target.Rows != config.VocabularySize);
            if (!tensors.TryGetValue(isTied ? LlamaTensors.Embedding : target.Name, out var stored)) return null;
            CheckShape(stored.Info, target.Rows, target.Columns);
            return new AdapterReplacement(target, stored.Info);
        }

        AdapterPair PairOf(AdapterTarget target)
        {
            var (a, b) = (Find(AdapterPair.NameOfA(target.Name)), Find(AdapterPair.NameOfB(target.Name)));
            var rank = target.IsEmbedding ? a.Columns : a.Rows;
            if (rank > MostRank) throw Error($"tensor {ErrorText.Quote(nameInFile(a.Name))} has rank {rank}; at most {MostRank} is supported");
            CheckShape(a, target.IsEmbedding ? target.Rows : rank, target.IsEmbedding ? rank : target.Columns);
            CheckShape(b, target.IsEmbedding ? target.Columns : target.Rows, rank);
            var scale = scaleOf(target, (int)rank);
            return float.IsFinite(scale) ? new AdapterPair(target, a, b, scale) : throw Error($"the scale of {target.Name} is not a finite number");
        }

        TensorInfo Find(string name) => tensors.TryGetValue(name, out var stored)
            ? stored.Info
            : throw Error($"tensor {ErrorText.Quote(nameInFile(name))} is missing");

        void CheckShape(TensorInfo tensor, long rows, long columns)
        {
            var name = ErrorText.Quote(nameInFile(tensor.Name));
            if (tensor.Rows != rows || tensor.Columns != columns)
                throw Error(
                    $"tensor {name} has shape [{tensor.Rows}, {tensor.Columns}], where this model takes [{rows}, {columns}]: the adapter is for another model");
            if (tensor.Type.BlockSize() != 1)
                throw Error($"tensor {name} is {tensor.Type}; adapters must be F32, F16 or BF16: convert it again with --outtype f16");
        }
    }

    static bool HasTarget(string name, IReadOnlyDictionary<string, AdapterTarget> targets) =>
        AdapterPair.TargetOf(name) is { } target ? targets.ContainsKey(target) : targets.TryGetValue(name, out var whole) && whole.IsOfVocabulary;

    static string NoTarget(string name, LlamaConfig config) =>
        name.Contains("trainable_tokens", StringComparison.Ordinal)
            ? $"tensor {ErrorText.Quote(name)} has single rows of the embedding (trainable_token_indices), which is not supported: "
                + "merge the adapter into its model, and serve that; or train it with embed_tokens in modules_to_save"
        : $"tensor {ErrorText.Quote(name)} changes nothing that adapters may change here: the embedding, attention's q, k, v and output, "
            + $"{(config.Experts is null ? "" : "the dense layers' ")}gate, up and down, and the head, in {config.LayerCount} layers; "
            + "whole matrices only of embedding and head";
}

/// <summary>The tensors of an adapter where they stand in files.</summary>
/// <param name="files">Owned from now on.</param>
/// <param name="headSize">E where rows of attn_q and attn_k stand in the order of folders, and must be brought into GGUF's; null where they are in it.</param>
sealed class AdapterTensors(string name, LlamaConfig config, IReadOnlyList<StoredTensor> tensors, IDisposable files, int? headSize)
    : StoredWeights(name, config, tensors)
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
