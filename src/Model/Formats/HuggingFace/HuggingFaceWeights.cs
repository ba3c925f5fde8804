using System.Globalization;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Formats.HuggingFace;

/// <summary>The transformers library's names of a Llama's tensors, and GGUF's for them.</summary>
static class HuggingFaceNames
{
    /// <summary>The head of a model that has one of its own.</summary>
    public const string Head = "lm_head.weight";

    const string LayerPrefix = "model.layers.";

    static readonly Dictionary<string, string> LayerParts = new(StringComparer.Ordinal)
    {
        ["input_layernorm.weight"] = "attn_norm",
        ["self_attn.q_proj.weight"] = LlamaTensors.Query,
        ["self_attn.k_proj.weight"] = LlamaTensors.Key,
        ["self_attn.v_proj.weight"] = "attn_v",
        ["self_attn.o_proj.weight"] = "attn_output",
        ["post_attention_layernorm.weight"] = "ffn_norm",
        ["mlp.gate_proj.weight"] = "ffn_gate",
        ["mlp.up_proj.weight"] = "ffn_up",
        ["mlp.down_proj.weight"] = "ffn_down",
    };

    /// <summary>GGUF's name; a name that is not a Llama's stays as it is, to be refused by it.</summary>
    public static string ToGguf(string name) => name switch
    {
        "model.embed_tokens.weight" => LlamaTensors.Embedding,
        "model.norm.weight" => LlamaTensors.OutputNorm,
        Head => LlamaTensors.Output,
        _ => OfLayer(name) ?? name,
    };

    /// <summary>The name in a folder of what GGUF calls so: the inverse of <see cref="ToGguf"/>.</summary>
    public static string FromGguf(string name)
    {
        if (name == LlamaTensors.Embedding) return "model.embed_tokens.weight";
        if (name == LlamaTensors.OutputNorm) return "model.norm.weight";
        if (name == LlamaTensors.Output) return Head;
        if (name.Split('.') is not ["blk", var layer, var part, "weight"]) return name;
        return LayerParts.FirstOrDefault(entry => entry.Value == part).Key is { } inLayer ? $"{LayerPrefix}{layer}.{inLayer}" : name;
    }

    /// <summary>Tables of RoPE's frequencies that old checkpoints hold: they follow from the config.</summary>
    public static bool IsDerived(string name) => name.EndsWith(".rotary_emb.inv_freq", StringComparison.Ordinal);

    static string? OfLayer(string name)
    {
        if (!name.StartsWith(LayerPrefix, StringComparison.Ordinal)) return null;
        var rest = name[LayerPrefix.Length..];
        var dot = rest.IndexOf('.');
        if (dot < 0 || !LayerParts.TryGetValue(rest[(dot + 1)..], out var part)) return null;
        return int.TryParse(rest[..dot], NumberStyles.None, CultureInfo.InvariantCulture, out var layer) ? LlamaTensors.OfLayer(layer, part) : null;
    }
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

    HuggingFaceWeights(List<SafetensorsFile> files, string name, LlamaConfig config, IReadOnlyList<StoredTensor> tensors) : base(name, config, tensors) =>
        _files = files;

    public static HuggingFaceWeights Open(string folder)
    {
        var config = new HuggingFaceConfig(HuggingFaceFolder.ReadConfig(folder)).Read();
        var files = HuggingFaceFolder.OpenFiles(folder);
        try
        {
            return new HuggingFaceWeights(files, NameOf(folder), config, Collect(folder, files, config));
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
            return;
        }
        var rowBytes = (int)tensor.Info.RowBytes;
        for (var row = firstRow; !destination.IsEmpty; row++, destination = destination[rowBytes..])
            base.ReadRows(tensor, StoredRow(tensor, row), destination[..rowBytes]);
    }

    protected override long StoredRow(StoredTensor tensor, long row) =>
        IsRotated(tensor.Info.Name) ? RopeRowOrder.StoredRow(row, Config.HeadSize) : row;

    static bool IsRotated(string name) =>
        name.EndsWith($".{LlamaTensors.Query}.weight", StringComparison.Ordinal) || name.EndsWith($".{LlamaTensors.Key}.weight", StringComparison.Ordinal);

    static List<StoredTensor> Collect(string folder, List<SafetensorsFile> files, LlamaConfig config)
    {
        OrderedDictionary<string, StoredTensor> tensors = new(StringComparer.Ordinal);
        foreach (var file in files)
            foreach (var name in file.Names.Where(name => !HuggingFaceNames.IsDerived(name)))
            {
                var tensor = file.Locate(name, HuggingFaceNames.ToGguf(name));
                if (!tensors.TryAdd(tensor.Info.Name, tensor)) throw tensor.File.Error($"tensor {ErrorText.Quote(name)} is in another file too");
            }
        // The config decides: some tied models hold the embedding a second time.
        if (config.TiedEmbeddings) tensors.Remove(LlamaTensors.Output);
        else if (!tensors.ContainsKey(LlamaTensors.Output))
            throw new ModelFormatException(
                $"{folder}: tensor {HuggingFaceNames.Head} is missing: a model whose head is its embedding says so in config.json, "
                + "with tie_word_embeddings: true");
        var problem = LlamaTensorRules.FirstProblem(
            config, tensors.Values.ToDictionary(t => t.Info.Name, t => t.Info, StringComparer.Ordinal), HuggingFaceNames.FromGguf);
        return problem is null ? [.. tensors.Values] : throw new ModelFormatException($"{folder}: {problem}");
    }

    static string NameOf(string folder) => Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
}
