using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using LlamaCluster.Kernels;
using LlamaCluster.Kernels.Formats;
using LlamaCluster.Model.Config;
using LlamaCluster.Model.Formats;
using LlamaCluster.Model.Formats.Adapters;
using LlamaCluster.Model.Formats.Gguf;
using LlamaCluster.Model.Formats.Quantization;
using LlamaCluster.Primitives;

namespace LlamaCluster.Testing.Models;

/// <summary>
/// A low-rank adapter with random numbers that depend on the seed only, for a model of a given config. Write it with <see cref="WriteGguf"/> or
/// <see cref="WritePeft"/>: both hold the same numbers, rounded to the type asked for.
/// </summary>
public sealed record SyntheticAdapter(LlamaConfig Config)
{
    static readonly Dictionary<string, string> PeftNames = new()
    {
        ["attn_q"] = "self_attn.q_proj",
        ["attn_k"] = "self_attn.k_proj",
        ["attn_v"] = "self_attn.v_proj",
        ["attn_output"] = "self_attn.o_proj",
        ["ffn_gate"] = "mlp.gate_proj",
        ["ffn_up"] = "mlp.up_proj",
        ["ffn_down"] = "mlp.down_proj",
    };

    static readonly Dictionary<string, string> PeftNamesOfVocabulary = new() { ["token_embd"] = "model.embed_tokens", ["output"] = "lm_head" };

    public int Seed { get; init; } = 1;

    public int Rank { get; init; } = 4;

    public float Alpha { get; init; } = 6;

    public TensorType Type { get; init; } = TensorType.F32;

    /// <summary>Which of the matrices that can be changed are; all as a rule.</summary>
    public Func<AdapterTarget, bool> Changes { get; init; } = _ => true;

    /// <summary>Rows of the embedding and the head that a folder brings whole; null: it brings none.</summary>
    public int? WholeRows { get; init; }

    /// <summary>Of the embedding and the head, those that are brought whole where <see cref="WholeRows"/> says so.</summary>
    public Func<AdapterTarget, bool> BringsWhole { get; init; } = target => target.IsOfVocabulary;

    /// <summary>All matrices that could be changed.</summary>
    public IEnumerable<AdapterTarget> AllTargets => AdapterTargets.Of(Config, WholeRows ?? Config.VocabularySize).Values;

    IEnumerable<AdapterTarget> Targets => AllTargets.Where(Changes);

    /// <summary>The matrices that a folder brings whole.</summary>
    public IEnumerable<AdapterTarget> Wholes => AllTargets.Where(target => WholeRows is not null && target.IsOfVocabulary && BringsWhole(target));

    /// <summary>[R, C] or [N, R] of a target, in GGUF's order; of the embedding [V, R] and [D, R].</summary>
    public float[] Values(AdapterTarget target, bool isA)
    {
        var (columns, rows) = target.IsEmbedding ? (target.Rows, target.Columns) : (target.Columns, target.Rows);
        var shape = isA
            ? new TensorShape(AdapterPair.NameOfA(target.Name), Rank + 1, columns)
            : new TensorShape(AdapterPair.NameOfB(target.Name), rows, Rank + 1);
        return SyntheticValues.Of(Seed, shape, Config)[..(Rank * (isA ? columns : rows))];
    }

    /// <summary>[V, D] of a matrix that is brought whole.</summary>
    public float[] WholeValues(AdapterTarget target) => SyntheticValues.Of(Seed, new TensorShape($"whole {target.Name}", target.Rows, target.Columns), Config);

    /// <summary>As llama.cpp's converter writes it. Gives the path.</summary>
    public string WriteGguf(string path)
    {
        var pairs = new GgufPairs();
        pairs.Set("general.architecture", "llama");
        pairs.Set("general.type", "adapter");
        pairs.Set("adapter.type", "lora");
        pairs.Set("adapter.lora.alpha", Alpha);
        var tensors = new InMemory(Config);
        foreach (var target in Targets)
        {
            var (a, b) = (Values(target, isA: true), Values(target, isA: false));
            tensors.Add(
                target.IsEmbedding
                    ? new TensorInfo(AdapterPair.NameOfA(target.Name), Type, target.Rows, Rank)
                    : new TensorInfo(AdapterPair.NameOfA(target.Name), Type, Rank, target.Columns),
                Encode(a));
            tensors.Add(new TensorInfo(AdapterPair.NameOfB(target.Name), Type, b.Length / Rank, Rank), Encode(b));
        }
        using var file = File.Create(path);
        GgufWriter.Write(file, pairs, tensors, tensors.Tensors);
        return path;
    }

    /// <summary>As the PEFT library writes it. Gives the folder.</summary>
    /// <param name="change">Changes the settings before they are written.</param>
    /// <param name="more">Adds further tensors.</param>
    public string WritePeft(string folder, Action<JsonObject>? change = null, Action<SafetensorsBuilder>? more = null)
    {
        Directory.CreateDirectory(folder);
        var settings = new JsonObject
        {
            ["peft_type"] = "LORA",
            ["task_type"] = "CAUSAL_LM",
            ["base_model_name_or_path"] = "some/llama",
            ["bias"] = "none",
            ["fan_in_fan_out"] = false,
            ["init_lora_weights"] = true,
            ["r"] = Rank,
            ["lora_alpha"] = Alpha,
            ["lora_dropout"] = 0.05,
            ["modules_to_save"] = null,
            ["rank_pattern"] = new JsonObject(),
            ["alpha_pattern"] = new JsonObject(),
            ["target_modules"] = new JsonArray("q_proj", "v_proj"),
            ["use_dora"] = false,
            ["use_rslora"] = false,
        };
        change?.Invoke(settings);
        File.WriteAllText(Path.Combine(folder, "adapter_config.json"), settings.ToJsonString());
        var tensors = new SafetensorsBuilder();
        foreach (var target in Targets)
        {
            var name = "base_model.model."
                + (target.Layer is { } layer ? $"model.layers.{layer}.{PeftNames[target.Part]}" : PeftNamesOfVocabulary[target.Part]);
            if (target.IsEmbedding)
            {
                // The library keeps A of an embedding as [R, V].
                tensors.Add($"{name}.lora_embedding_A", Type.ToString(), [Rank, target.Rows], Encode(Turned(Values(target, isA: true), Rank)));
                tensors.Add($"{name}.lora_embedding_B", Type.ToString(), [target.Columns, Rank], Encode(Values(target, isA: false)));
                continue;
            }
            tensors.Add($"{name}.lora_A.weight", Type.ToString(), [Rank, target.Columns], Encode(Values(target, isA: true)));
            var b = Values(target, isA: false);
            tensors.Add($"{name}.lora_B.weight", Type.ToString(), [target.Rows, Rank], Encode(target.Part is "attn_q" or "attn_k" ? HalvesApart(b) : b));
        }
        foreach (var target in Wholes)
            tensors.Add(
                $"base_model.model.{PeftNamesOfVocabulary[target.Part]}.weight", Type.ToString(), [target.Rows, target.Columns], Encode(WholeValues(target)));
        more?.Invoke(tensors);
        File.WriteAllBytes(Path.Combine(folder, "adapter_model.safetensors"), tensors.Build());
        return folder;
    }

    static float[] Turned(float[] values, int columns)
    {
        var (rows, turned) = (values.Length / columns, new float[values.Length]);
        for (var i = 0; i < values.Length; i++) turned[(i % columns * rows) + (i / columns)] = values[i];
        return turned;
    }

    byte[] Encode(float[] values)
    {
        var stored = new byte[Type.RowBytes(values.Length)];
        RowEncoder.Encode(Type, values, stored);
        return stored;
    }

    // Row 2 i + s of a head becomes row i + s E / 2, as in folders of models.
    float[] HalvesApart(float[] values)
    {
        var size = Config.HeadSize;
        var result = new float[values.Length];
        for (var row = 0; row < values.Length / Rank; row++)
        {
            var (head, within) = Math.DivRem(row, size);
            values.AsSpan(row * Rank, Rank).CopyTo(result.AsSpan((head * size + within / 2 + within % 2 * (size / 2)) * Rank));
        }
        return result;
    }

    sealed class InMemory(LlamaConfig config) : IModelWeights
    {
        readonly Dictionary<string, byte[]> _stored = [];
        readonly List<TensorInfo> _tensors = [];

        public string Name => "adapter";

        public LlamaConfig Config => config;

        public IReadOnlyList<TensorInfo> Tensors => _tensors;

        public void Add(TensorInfo tensor, byte[] stored)
        {
            _tensors.Add(tensor);
            _stored.Add(tensor.Name, stored);
        }

        public TensorInfo? Find(string name) => _tensors.Find(tensor => tensor.Name == name);

        public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination) =>
            _stored[tensor.Name].AsSpan((int)(firstRow * tensor.RowBytes), destination.Length).CopyTo(destination);

        public string ComputeDigest(CancellationToken cancellation = default) => throw new NotSupportedException();

        public void Dispose() { }
    }
}

/// <summary>
/// A model into which an adapter has been merged, as floats of 32 bits: w + scale * B A, where w is the adapter's own where it brings the matrix whole. A row
/// of the embedding gets scale * B a. A head that was the embedding is one of its own where the adapter changes it.
/// </summary>
/// <param name="model">Of floats.</param>
public sealed class MergedWeights(IModelWeights model, SyntheticAdapter adapter) : IModelWeights
{
    readonly Dictionary<string, AdapterTarget> _targets = adapter.AllTargets.Where(adapter.Changes).ToDictionary(target => target.Name);
    readonly Dictionary<string, AdapterTarget> _wholes = adapter.Wholes.ToDictionary(target => target.Name);

    public string Name => model.Name;

    public LlamaConfig Config => model.Config with
    {
        VocabularySize = adapter.WholeRows ?? model.Config.VocabularySize,
        TiedEmbeddings = model.Config.TiedEmbeddings && !UntiesHead,
    };

    public IReadOnlyList<TensorInfo> Tensors =>
        [.. model.Tensors.Select(tensor => Find(tensor.Name)!), .. UntiesHead ? [Find(LlamaTensors.Output)!] : (TensorInfo[])[]];

    bool UntiesHead => model.Config.TiedEmbeddings && (_targets.ContainsKey(LlamaTensors.Output) || _wholes.ContainsKey(LlamaTensors.Output));

    public TensorInfo? Find(string name) => _wholes.TryGetValue(name, out var whole)
        ? new TensorInfo(name, TensorType.F32, whole.Rows, whole.Columns)
        : StoredOf(name) is { } stored ? stored with { Name = name, Type = TensorType.F32 } : null;

    /// <summary>The model's own tensor; of a head that is the embedding that one.</summary>
    TensorInfo? StoredOf(string name) => model.Find(name == LlamaTensors.Output && UntiesHead ? LlamaTensors.Embedding : name);

    public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
    {
        if (_wholes.TryGetValue(tensor.Name, out var whole))
            MemoryMarshal.AsBytes(adapter.WholeValues(whole).AsSpan((int)firstRow * whole.Columns, destination.Length / sizeof(float))).CopyTo(destination);
        else ReadFloats(StoredOf(tensor.Name)!, firstRow, MemoryMarshal.Cast<byte, float>(destination));
        if (!_targets.TryGetValue(tensor.Name, out var target)) return;
        var (a, b) = (adapter.Values(target, isA: true), adapter.Values(target, isA: false));
        var w = MemoryMarshal.Cast<byte, float>(destination);
        for (var i = 0; i < w.Length; i++)
        {
            var (row, column) = ((int)firstRow + (i / target.Columns), i % target.Columns);
            var sum = 0.0;
            for (var r = 0; r < adapter.Rank; r++)
                sum += target.IsEmbedding
                    ? (double)b[(column * adapter.Rank) + r] * a[(row * adapter.Rank) + r]
                    : (double)b[(row * adapter.Rank) + r] * a[(r * target.Columns) + column];
            w[i] = (float)(w[i] + (sum * adapter.Alpha / adapter.Rank));
        }
    }

    void ReadFloats(TensorInfo stored, long firstRow, Span<float> floats)
    {
        var bytes = new byte[floats.Length / stored.Columns * stored.RowBytes];
        model.ReadRows(stored, firstRow, bytes);
        RowDecoder.Decode(stored.Type, bytes, floats);
    }

    public string ComputeDigest(CancellationToken cancellation = default) => ModelDigest.Compute(this, cancellation);

    public void Dispose() { }
}
