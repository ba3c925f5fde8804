using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using LlamaCluster.Kernels;
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

    public int Seed { get; init; } = 1;

    public int Rank { get; init; } = 4;

    public float Alpha { get; init; } = 6;

    public TensorType Type { get; init; } = TensorType.F32;

    /// <summary>Which of the matrices that can be changed are; all as a rule.</summary>
    public Func<AdapterTarget, bool> Changes { get; init; } = _ => true;

    IEnumerable<AdapterTarget> Targets => AdapterTargets.Of(Config).Values.Where(Changes);

    /// <summary>[R, C] or [N, R] of a target, in GGUF's order.</summary>
    public float[] Values(AdapterTarget target, bool isA) => SyntheticValues.Of(
        Seed, isA ? new TensorShape(AdapterPair.NameOfA(target.Name), Rank + 1, target.Columns) : new TensorShape(AdapterPair.NameOfB(target.Name), target.Rows, Rank + 1), Config)
        [..(Rank * (isA ? target.Columns : target.Rows))];

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
            tensors.Add(new TensorInfo(AdapterPair.NameOfA(target.Name), Type, Rank, target.Columns), Encode(Values(target, isA: true)));
            tensors.Add(new TensorInfo(AdapterPair.NameOfB(target.Name), Type, target.Rows, Rank), Encode(Values(target, isA: false)));
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
            var name = target.Layer is { } layer ? $"base_model.model.model.layers.{layer}.{PeftNames[target.Part]}" : "base_model.model.lm_head";
            tensors.Add($"{name}.lora_A.weight", Type.ToString(), [Rank, target.Columns], Encode(Values(target, isA: true)));
            var b = Values(target, isA: false);
            tensors.Add($"{name}.lora_B.weight", Type.ToString(), [target.Rows, Rank], Encode(target.Part is "attn_q" or "attn_k" ? HalvesApart(b) : b));
        }
        more?.Invoke(tensors);
        File.WriteAllBytes(Path.Combine(folder, "adapter_model.safetensors"), tensors.Build());
        return folder;
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

/// <summary>A model into which an adapter has been merged: w + scale * B A, as floats.</summary>
/// <param name="model">Of floats of 32 bits.</param>
public sealed class MergedWeights(IModelWeights model, SyntheticAdapter adapter) : IModelWeights
{
    readonly Dictionary<string, AdapterTarget> _targets = AdapterTargets.Of(model.Config).Values.Where(adapter.Changes).ToDictionary(target => target.Name);

    public string Name => model.Name;

    public LlamaConfig Config => model.Config;

    public IReadOnlyList<TensorInfo> Tensors => model.Tensors;

    public TensorInfo? Find(string name) => model.Find(name);

    public void ReadRows(TensorInfo tensor, long firstRow, Span<byte> destination)
    {
        model.ReadRows(tensor, firstRow, destination);
        if (!_targets.TryGetValue(tensor.Name, out var target)) return;
        var (a, b) = (adapter.Values(target, isA: true), adapter.Values(target, isA: false));
        var w = MemoryMarshal.Cast<byte, float>(destination);
        for (var i = 0; i < w.Length; i++)
        {
            var (row, column) = ((int)firstRow + (i / target.Columns), i % target.Columns);
            var sum = 0.0;
            for (var r = 0; r < adapter.Rank; r++) sum += (double)b[(row * adapter.Rank) + r] * a[(r * target.Columns) + column];
            w[i] = (float)(w[i] + (sum * adapter.Alpha / adapter.Rank));
        }
    }

    public string ComputeDigest(CancellationToken cancellation = default) => ModelDigest.Compute(this, cancellation);

    public void Dispose() { }
}
