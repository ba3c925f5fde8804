using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using LlamaCluster.Model.Config;

namespace LlamaCluster.Model.Formats;

/// <summary>
/// The digest that names a model's content, the same wherever the model is stored. It is the SHA-256, in lower-case hex, of UTF-8
/// lines (each ended by a line feed, numbers in invariant culture, floats as they round-trip) and stored bytes:
/// <list type="number">
/// <item>the line <c>llamacluster model 1</c>, and a line <c>field=value</c> for each field of the config;</item>
/// <item>for each tensor, in ordinal order of names, a line <c>name type rows columns</c> and then a sample of its rows as
/// <see cref="IModelWeights.ReadRows"/> gives them: all rows of a tensor of at most 256 KiB, else 8 rows spread evenly from the
/// first to the last.</item>
/// </list>
/// So it does not depend on file names, on metadata such as the model's name, on how files are split or tensors are ordered.
/// It tells models apart, also those that were tuned from one another, which differ in nearly every row; it does not find a
/// damaged row outside the sample: for that each part of a tensor has a <see cref="PartHash"/>. The 405B model in BF16 needs about 0.3 GB to be read.
/// </summary>
public static class ModelDigest
{
    const long WholeTensorBytes = 256 * 1024;
    const int SampledRows = 8;

    public static string Compute(IModelWeights weights, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Append(hash, "llamacluster model 1\n");
        Append(hash, Describe(weights.Config));
        foreach (var tensor in weights.Tensors.OrderBy(t => t.Name, StringComparer.Ordinal))
        {
            cancellation.ThrowIfCancellationRequested();
            Append(hash, Invariant($"{tensor.Name} {(int)tensor.Type} {tensor.Rows} {tensor.Columns}\n"));
            AppendSample(hash, weights, tensor);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    static void AppendSample(IncrementalHash hash, IModelWeights weights, TensorInfo tensor)
    {
        var whole = tensor.Bytes <= WholeTensorBytes || tensor.Rows <= SampledRows;
        var buffer = new byte[whole ? tensor.Bytes : tensor.RowBytes];
        for (var i = 0; i < (whole ? 1 : SampledRows); i++)
        {
            weights.ReadRows(tensor, i * (tensor.Rows - 1) / (SampledRows - 1), buffer);
            hash.AppendData(buffer);
        }
    }

    static string Describe(LlamaConfig config) => Invariant($"""
        layers={config.LayerCount}
        hidden={config.HiddenSize}
        ffn={config.FfnSize}
        heads={config.HeadCount}
        kv-heads={config.KvHeadCount}
        head-size={config.HeadSize}
        vocabulary={config.VocabularySize}
        context={config.ContextLength}
        rms-epsilon={config.RmsEpsilon:R}
        rope-theta={config.RopeTheta:R}
        rope-dimensions={config.RopeDimensionCount}
        rope-scaling={Describe(config.RopeScaling)}
        tied={config.TiedEmbeddings}

        """).ReplaceLineEndings("\n") + DescribeKinds(config);

    /// <summary>Nothing for a model whose layers are all dense and see all positions.</summary>
    static string DescribeKinds(LlamaConfig config) =>
        (config.Sizes is { } sizes ? $"sizes={string.Join(' ', sizes.Select(s => Invariant($"{s.HeadCount}/{s.KvHeadCount}/{s.FfnSize}")))}\n" : "")
        + (config.Experts is { } e ? Invariant($"experts={e.Count} {e.UsedCount} {e.FfnSize} {e.LayerStep} {e.Gate} {e.HasShared}\n") : "")
        + (config.Chunks is { } c ? Invariant($"chunks={c.ChunkSize} {c.FullLayerStep}{DescribeScale(config.QueryScale, of: 1)}\n") : "")
        + (config is { Chunks: null, QueryScale: { } q } ? Invariant($"query-scale={DescribeScale(q, of: 0)}\n") : "")
        + (config.Window is { } w ? Invariant($"window={w}\n") : "")
        + (config.NormsHeads ? "norms-heads=True\n" : "");

    static string DescribeScale(QueryScale? scale, int of) =>
        scale is null ? " none" : Invariant($" {scale.Growth:R} {scale.Span}{(scale.Offset == of ? "" : $" {scale.Offset}")}");

    static string Describe(RopeScaling? scaling) => scaling switch
    {
        null => "none",
        RopeScaling.Linear linear => Invariant($"linear {linear.Factor:R}"),
        RopeScaling.Llama3 l => Invariant($"llama3 {l.Factor:R} {l.LowFrequencyFactor:R} {l.HighFrequencyFactor:R} {l.OriginalContextLength}"),
        RopeScaling.Yarn y => Invariant($"yarn {y.Factor:R} {y.OriginalContextLength} {y.FastTurns:R} {y.SlowTurns:R} {y.Magnitude:R}"),
        RopeScaling.Factors => "factors",   // the tensor rope_freqs.weight is hashed
        _ => throw new ArgumentException($"no digest of {scaling}", nameof(scaling)),
    };

    static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    static void Append(IncrementalHash hash, string text) => hash.AppendData(Encoding.UTF8.GetBytes(text));
}
