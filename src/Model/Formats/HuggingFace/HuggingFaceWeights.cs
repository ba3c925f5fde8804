using System.Globalization;
using LlamaCluster.Kernels;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>The transformers library's names of a model's tensors, and GGUF's for them.</summary>
sealed class HuggingFaceNames(HuggingFaceFamily family)
{
    /// <summary>The head of a model that has one of its own.</summary>
    public const string Head = "lm_head.weight";

    /// <summary>What names of a text model begin with that is a part of another.</summary>
    const string TextModel = "language_model.";

    const string LayerPrefix = "model.layers.";

    static readonly string[] ImageParts =
        ["vision_model.", "vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector."];

    static readonly Dictionary<string, string> Attention = new(StringComparer.Ordinal)
    {
        ["input_layernorm"] = LlamaTensors.AttentionNorm,
        ["self_attn.q_proj"] = LlamaTensors.Query,
        ["self_attn.k_proj"] = LlamaTensors.Key,
        ["self_attn.v_proj"] = LlamaTensors.Value,
        ["self_attn.o_proj"] = LlamaTensors.AttentionOutput,
        ["post_attention_layernorm"] = LlamaTensors.FfnNorm,
    };

    readonly Dictionary<string, string> _layerParts = new(Attention.Concat(FeedForward(family)), StringComparer.Ordinal);

    /// <summary>GGUF's name; a name that is not a Llama's stays as it is, to be refused by it.</summary>
    public string ToGguf(string name)
    {
        var inText = NameInText(name);
        return inText switch
        {
            "model.embed_tokens.weight" => LlamaTensors.Embedding,
            "model.norm.weight" => LlamaTensors.OutputNorm,
            Head => LlamaTensors.Output,
            _ => OfLayer(inText) ?? name,
        };
    }

    /// <summary>Transformers 5 writes the text model of Mistral 3 as a part of the model, and the head beside it.</summary>
    string NameInText(string name)
    {
        const string inModel = "model." + TextModel;
        if (!IsPart) return name;
        if (name.StartsWith(TextModel, StringComparison.Ordinal)) return name[TextModel.Length..];
        return name.StartsWith(inModel, StringComparison.Ordinal) ? "model." + name[inModel.Length..] : name;
    }

    /// <summary>The name in a folder of what GGUF calls so: the inverse of <see cref="ToGguf"/>.</summary>
    public string FromGguf(string name)
    {
        if (name == LlamaTensors.Embedding) return "model.embed_tokens.weight";
        if (name == LlamaTensors.OutputNorm) return "model.norm.weight";
        if (name == LlamaTensors.Output) return Head;
        return name.Split('.') switch
        {
            ["blk", var layer, var part, ("weight" or "bias") and var end] when Find(part) is { } inLayer => $"{LayerPrefix}{layer}.{inLayer}.{end}",
            ["blk", var layer, var part, _, "weight"] when family is HuggingFaceFamily.Llama4 =>
                $"{LayerPrefix}{layer}.feed_forward.experts.{(part == LlamaTensors.Down ? "down_proj" : "gate_up_proj")}",
            ["blk", var layer, var part, var expert, "weight"] when Find($"{part}.0") is { } first =>
                $"{LayerPrefix}{layer}.{first.Replace(".0.", $".{expert}.", StringComparison.Ordinal)}.weight",
            _ => name,
        };
    }

    /// <summary>The matrices of experts that are stacked in a tensor, and their layer; null if it is no such.</summary>
    public (int Layer, string[] Parts)? StackOf(string name)
    {
        const string gateUp = ".feed_forward.experts.gate_up_proj", down = ".feed_forward.experts.down_proj", prefix = TextModel + LayerPrefix;
        if (family is not HuggingFaceFamily.Llama4) return null;
        var end = name.EndsWith(gateUp, StringComparison.Ordinal) ? gateUp : down;
        var begin = name.StartsWith(prefix, StringComparison.Ordinal) ? prefix : LayerPrefix;
        if (!name.StartsWith(begin, StringComparison.Ordinal) || !name.EndsWith(end, StringComparison.Ordinal)) return null;
        if (name.Length < begin.Length + end.Length || !TryNumber(name[begin.Length..^end.Length], out var layer)) return null;
        return (layer, end == gateUp ? ["ffn_gate", "ffn_up"] : [LlamaTensors.Down]);
    }

    /// <summary>Tables of RoPE's frequencies that old checkpoints hold: they follow from the config.</summary>
    public static bool IsDerived(string name) => name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);

    /// <summary>What a model that sees images has for them.</summary>
    public bool IsForImages(string name) => IsPart && ImageParts.Any(part => name.StartsWith(part, StringComparison.Ordinal));

    /// <summary>The text model may be a part of another.</summary>
    bool IsPart => family is HuggingFaceFamily.Llama4 or HuggingFaceFamily.Mistral3;

    /// <summary>
    /// The parts of a layer after attention, and what may be in attention's place. An expert's have 0 for its number; those of Llama 4 are
    /// stacked, but in folders of few bits.
    /// </summary>
    static Dictionary<string, string> FeedForward(HuggingFaceFamily family) => family switch
    {
        HuggingFaceFamily.Mixtral => new()
        {
            ["block_sparse_moe.gate"] = ExpertTensors.Router,
            ["block_sparse_moe.experts.0.w1"] = "ffn_gate.0",
            ["block_sparse_moe.experts.0.w3"] = "ffn_up.0",
            ["block_sparse_moe.experts.0.w2"] = "ffn_down.0",
        },
        HuggingFaceFamily.Llama4 => new()
        {
            ["feed_forward.gate_proj"] = "ffn_gate",
            ["feed_forward.up_proj"] = "ffn_up",
            ["feed_forward.down_proj"] = "ffn_down",
            ["feed_forward.router"] = ExpertTensors.Router,
            ["feed_forward.experts.0.gate_proj"] = "ffn_gate.0",
            ["feed_forward.experts.0.up_proj"] = "ffn_up.0",
            ["feed_forward.experts.0.down_proj"] = "ffn_down.0",
            ["feed_forward.shared_expert.gate_proj"] = "ffn_gate_shexp",
            ["feed_forward.shared_expert.up_proj"] = "ffn_up_shexp",
            ["feed_forward.shared_expert.down_proj"] = "ffn_down_shexp",
        },
        HuggingFaceFamily.Nemotron => new(FeedForward(HuggingFaceFamily.Llama)) { ["self_attn.linear_attn"] = LlamaTensors.AttentionOutput },
        _ => new() { ["mlp.gate_proj"] = "ffn_gate", ["mlp.up_proj"] = "ffn_up", ["mlp.down_proj"] = "ffn_down" },
    };

    string? Find(string part) => _layerParts.FirstOrDefault(entry => entry.Value == part).Key;

    string? OfLayer(string name)
    {
        const string end = ".weight";
        if (!name.StartsWith(LayerPrefix, StringComparison.Ordinal)) return null;
        if (name.EndsWith(LlamaTensors.BiasEnd, StringComparison.Ordinal))
            return OfLayer(name[..^LlamaTensors.BiasEnd.Length] + end) is { } weight ? weight[..^end.Length] + LlamaTensors.BiasEnd : null;
        if (!name.EndsWith(end, StringComparison.Ordinal)) return null;
        var rest = name[LayerPrefix.Length..^end.Length];
        var dot = rest.IndexOf('.');
        if (dot < 0 || !TryNumber(rest[..dot], out var layer)) return null;
        if (_layerParts.TryGetValue(rest[(dot + 1)..], out var part)) return LlamaTensors.OfLayer(layer, part);
        return rest[(dot + 1)..].Split('.') is [var block, "experts", var number, var matrix] && TryNumber(number, out var expert)
            && _layerParts.TryGetValue($"{block}.experts.0.{matrix}", out var first)
                ? LlamaTensors.OfLayer(layer, first[..^2] + ExpertTensors.Suffix(expert))
                : null;
    }

    static bool TryNumber(string text, out int number) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);
}

/// <summary>
/// RoPE rotates the E numbers of a head in pairs, pair i by the i-th frequency. The transformers library takes numbers i and
/// i + E/2 for pair i, GGUF (as Meta's own code) numbers 2i and 2i + 1. Both give the same attention if the rows of Q and K that
/// make these numbers are ordered accordingly: a dot product does not depend on the order of its terms.
/// </summary>
static class RopeRowOrder
{
    /// <summary>The row of a folder's attn_q or attn_k that is row <paramref name="row"/> in GGUF's order.</summary>
    /// <param name="headSize">E, all of which is rotated.</param>
    public static long StoredRow(long row, int headSize)
    {
        var (head, within) = Math.DivRem(row, headSize);
        var (pair, second) = Math.DivRem(within, 2);
        return head * headSize + pair + second * (headSize / 2);
    }
}

/// <summary>A Llama in a folder as the transformers library writes it: config.json and safetensors, in one file or several.</summary>
sealed class HuggingFaceWeights : StoredWeights
{
    readonly List<SafetensorsFile> _files;

    /// <summary>Rows of Q and K stand in the order of halves. Llama 4's stand in pairs, as in GGUF.</summary>
    readonly bool _hasHalves;

    HuggingFaceWeights(List<SafetensorsFile> files, string name, LlamaConfig config, HuggingFaceFamily family, IReadOnlyList<StoredTensor> tensors)
        : base(name, config, tensors) => (_files, _hasHalves) = (files, family is not HuggingFaceFamily.Llama4);

    public static HuggingFaceWeights Open(string folder)
    {
        var reader = new HuggingFaceConfig(HuggingFaceFolder.ReadConfig(folder));
        var config = reader.Read();
        var files = HuggingFaceFolder.OpenFiles(folder);
        try
        {
            var tensors = Collect(folder, files, config, new HuggingFaceNames(reader.Family), reader.Quantization);
            return new HuggingFaceWeights(files, NameOf(folder), config, reader.Family, tensors);
        }
        catch
        {
            files.ForEach(file => file.Dispose());
            throw;
        }
    }

    public override void Dispose() => _files.ForEach(file => file.Dispose());

    protected override void ReadRows(StoredTensor tensor, long firstRow, Span<byte> destination)
    {
        if (!IsRotated(tensor.Info.Name))
        {
            base.ReadRows(tensor, firstRow, destination);
            if (IsRotatedBias(tensor.Info.Name)) PutInPairs(destination, tensor.Info.Type.BlockBytes());
            return;
        }
        var rowBytes = (int)tensor.Info.RowBytes;
        for (var row = firstRow; !destination.IsEmpty; row++, destination = destination[rowBytes..])
            base.ReadRows(tensor, StoredRow(tensor, row), destination[..rowBytes]);
    }

    protected override bool IsInOrder(TensorInfo tensor) => !IsRotated(tensor.Name) && !IsRotatedBias(tensor.Name);

    protected override long StoredRow(StoredTensor tensor, long row) =>
        IsRotated(tensor.Info.Name) ? RopeRowOrder.StoredRow(row, Config.HeadSize) : row;

    bool IsRotated(string name) => _hasHalves
        && (name.EndsWith($".{LlamaTensors.Query}.weight", StringComparison.Ordinal) || name.EndsWith($".{LlamaTensors.Key}.weight", StringComparison.Ordinal));

    bool IsRotatedBias(string name) => _hasHalves
        && (name.EndsWith($".{LlamaTensors.Query}{LlamaTensors.BiasEnd}", StringComparison.Ordinal)
            || name.EndsWith($".{LlamaTensors.Key}{LlamaTensors.BiasEnd}", StringComparison.Ordinal));

    /// <summary>A bias has a number for each row of its matrix.</summary>
    void PutInPairs(Span<byte> bias, int size)
    {
        var stored = bias.ToArray();
        for (var i = 0; i < bias.Length / size; i++)
            stored.AsSpan((int)RopeRowOrder.StoredRow(i, Config.HeadSize) * size, size).CopyTo(bias[(i * size)..]);
    }

    static List<StoredTensor> Collect(
        string folder, List<SafetensorsFile> files, LlamaConfig config, HuggingFaceNames names, HuggingFaceQuantization? quantization)
    {
        OrderedDictionary<string, SafetensorsFile> fileOf = new(StringComparer.Ordinal);
        foreach (var file in files)
            foreach (var name in file.Names.Where(name => !HuggingFaceNames.IsDerived(name) && !names.IsForImages(name)))
                if (!fileOf.TryAdd(name, file)) throw file.Error($"tensor {ErrorText.Quote(name)} is in another file too");
        var scaled = quantization is null ? null : new ScaledTensors(quantization, fileOf, config);
        OrderedDictionary<string, StoredTensor> tensors = new(StringComparer.Ordinal);
        foreach (var (name, file) in fileOf)
            if (scaled?.IsPart(name) is not true)
                foreach (var tensor in Locate(file, name, names, scaled))
                    if (!tensors.TryAdd(tensor.Info.Name, tensor)) throw file.Error($"tensor {ErrorText.Quote(name)} is there under another name too");
        // The config decides: some tied models hold the embedding a second time.
        if (config.TiedEmbeddings) tensors.Remove(LlamaTensors.Output);
        else if (!tensors.ContainsKey(LlamaTensors.Output))
            throw new ModelFormatException(
                $"{folder}: tensor {HuggingFaceNames.Head} is missing: a model whose head is its embedding says so in config.json, "
                + "with tie_word_embeddings: true");
        var problem = LlamaTensorRules.FirstProblem(
            config, tensors.Values.ToDictionary(t => t.Info.Name, t => t.Info, StringComparer.Ordinal), names.FromGguf);
        return problem is null ? [.. tensors.Values] : throw new ModelFormatException($"{folder}: {problem}");
    }

    static IEnumerable<StoredTensor> Locate(SafetensorsFile file, string name, HuggingFaceNames names, ScaledTensors? scaled) =>
        names.StackOf(name) is var (layer, parts)
            ? file.LocateExperts(name, parts, (part, expert) => LlamaTensors.OfLayer(layer, part + ExpertTensors.Suffix(expert)))
            : [scaled?.Find(name, names) ?? file.Locate(name, names.ToGguf(name))];

    static string NameOf(string folder) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
}
